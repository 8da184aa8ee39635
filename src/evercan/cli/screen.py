"""What ``evercan watch`` shows: a pure function from what was seen to what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evercan.cli import words
from evercan.cli.overview import MemberView, NetworkView, Overview, Verdict
from evercan.cli.rates import History, Rates
from evercan.cli.show import SIGN, STYLE
from evercan.cli.status import all_troubles, heading, recovery, title

_WITH_BAR, _WITH_INTERFACE = 60, 100
"""Columns from which a member has a bar, and its interface: its name comes first."""

_BAR = 8
"""Columns of the bar beside a member's rate."""


def state_line(
    overviews: Sequence[Overview], *, away: str, for_seconds: float, late: Verdict, paused: bool
) -> RenderableType:
    """Write the line at the top: how all is, or who is away since when.

    Args:
        overviews: what was seen last.
        away: why the last look failed; empty if it did not.
        for_seconds: since when that is so, or since when an answer is waited for.
        late: how bad it is to wait for so long.
        paused: what is below stands still.
    """
    why = ""
    if away:
        what, _, why = away.partition(": ")
        lines = [Text(f"{SIGN[Verdict.FAIL]} {what}", style="bold red")]
        lines[0].append(f"  {words.span(for_seconds)}", style="red")
    elif late is not Verdict.OK:
        # Not what the last answer said: nobody knows whether that is still so.
        waited = f"{SIGN[late]} no answer for {words.span(for_seconds)}"
        lines = [Text(waited, style=STYLE[late])]
    else:
        lines = [title(each) for each in overviews] or [Text("looking …", style="dim")]
    if paused:
        lines[0].append("  ‖ paused", style="bold yellow")
    if why:
        lines.append(Text(why, style="dim"))
    return Group(*lines)


def page(
    overviews: Sequence[Overview],
    rates: Rates,
    history: History,
    *,
    width: int,
    by_rate: bool = False,
    stale: bool = False,
) -> RenderableType:
    """Draw every network in a frame of its own, below what is wrong with none of them.

    Args:
        overviews: what was seen last.
        rates: frames a second since the look before.
        history: how busy the networks were before.
        width: columns.
        by_rate: the busiest members first, instead of by name.
        stale: what was seen last may be so no more.
    """
    look = _Look(rates, history, width, by_rate, stale)
    several = len(overviews) > 1
    parts = [Text(line, style="red") for each in overviews for line in _of_nobody(each, several)]
    frames = [_network(net, each.now, look) for each in overviews for net in each.networks]
    hints = [] if frames else [Text(_hint(each), style="dim") for each in overviews]
    return Group(*parts, *frames, *hints)


def _hint(seen: Overview) -> str:
    """How to make a first network."""
    command = f"docker network create -d {seen.plugin} --ipam-driver null NAME"
    return f"No networks yet.  {command}"


def _of_nobody(seen: Overview, several: bool) -> Iterator[str]:
    """What is wrong and with no network that is shown, such as with the plugin as a whole."""
    told = {one for each in seen.networks for one in all_troubles(each)}
    whose = f"{seen.plugin}: " if several else ""
    for each in seen.troubles:
        if each not in told:
            yield f"{SIGN[Verdict.FAIL]} {whose}{each.text}"


@dataclass(frozen=True)
class _Look:
    """What `page` takes, for each of its networks."""

    rates: Rates
    history: History
    width: int
    by_rate: bool
    stale: bool


def _network(network: NetworkView, now: float | None, look: _Look) -> RenderableType:
    inner = look.width - 4
    parts: list[RenderableType] = [_curve(network, look.rates, look.history, inner)]
    if network.members:
        parts.append(_members(network, look.rates, inner, by_rate=look.by_rate))
    else:
        parts.append(Text("no container has joined yet", style="dim"))
    parts += [
        Text(f"{SIGN[Verdict.FAIL]} {each.text}", style="red") for each in all_troubles(network)
    ]
    if network.recovered_at is not None:
        parts.append(Text(recovery(network, now), style="dim"))
    title = heading(network)
    title.truncate(look.width - 6, overflow="ellipsis")
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        border_style="dim" if look.stale else STYLE[network.verdict].removeprefix("bold "),
        box=box.ROUNDED,
        width=look.width,
        style="dim" if look.stale else "",
    )


def _curve(network: NetworkView, rates: Rates, history: History, width: int) -> Text:
    """The bus's frames a second, as a figure and as bars over time."""
    line = Text()
    line.append(f"{words.rate(rates.bus.get(network.id)):>5}", style="bold")
    line.append(" frames/s  ", style="dim")
    peak = history.peak(network.id)
    tail = f"  peak {words.rate(peak)}" if peak else ""
    room = max(8, width - len(line) - len(tail))
    line.append(history.curve(network.id, room).rjust(room), style="cyan")
    line.append(tail, style="dim")
    return line


def _members(network: NetworkView, rates: Rates, width: int, *, by_rate: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True, padding=(0, 1, 0, 0))
    table.add_column("container", ratio=1, no_wrap=True, overflow="ellipsis", min_width=12)
    if width >= _WITH_INTERFACE:
        table.add_column("on the host", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("sent/s", justify="right", no_wrap=True, min_width=6)
    if width >= _WITH_BAR:
        table.add_column("", no_wrap=True, width=_BAR)
    table.add_column("recv/s", justify="right", no_wrap=True, min_width=6)
    table.add_column("sent", justify="right", no_wrap=True)
    table.add_column("dropped", justify="right", no_wrap=True)
    members = list(network.members)
    if by_rate:
        members.sort(key=lambda each: -(rates.sent.get(each.endpoint) or 0.0))
    top = max((rates.sent.get(each.endpoint) or 0.0 for each in members), default=0.0)
    for each in members:
        table.add_row(*_row(each, rates, top, width))
    return table


def _row(member: MemberView, rates: Rates, top: float, width: int) -> Iterator[Text]:
    sent, received = rates.sent.get(member.endpoint), rates.received.get(member.endpoint)
    yield Text(member.container)
    if width >= _WITH_INTERFACE:
        yield Text(member.host_end or words.NOTHING, style="dim")
    yield Text(f"{SIGN[member.verdict]} {member.state}", style=STYLE[member.verdict])
    yield Text(words.rate(sent), style="bold" if sent else "dim")
    if width >= _WITH_BAR:
        yield Text(_bar(sent or 0.0, top), style="green")
    yield Text(words.rate(received), style="" if received else "dim")
    yield Text(words.count(member.sent), style="dim")
    yield Text(words.count(member.dropped), style="yellow" if member.dropped else "dim")


def _bar(value: float, top: float) -> str:
    """A bar from the left, in eighths of a column."""
    if top <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / top * _BAR * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
