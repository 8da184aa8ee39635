"""What ``evercan watch`` shows: a pure function from what was seen to what is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.status import all_troubles, heading, recovery, title
from evercan.cli.pages.terminal import SIGN, STYLE, verdict_text
from evercan.cli.views import words
from evercan.cli.views.overview import MemberView, NetworkView, Overview, Verdict
from evercan.cli.views.rates import History, Rates

_BAR = 8
"""Columns of the bar beside a member's rate."""

_CURVE = 8
"""Columns of the bars over time, at least, beside which the peak is told."""

_NAME = 14
"""Columns that a name has at least, if it is that long; a third of all if that is more."""

_WITH_INTERFACE = 100
"""Columns from which a member has its interface."""

_LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("host", "state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "dropped"),
    ("state", "sent/s", "recv/s", "dropped"),
    ("state", "sent/s", "dropped"),
    ("state", "sent/s"),
    # The word for a state may be long. Its sign tells that something is wrong; what, a line below.
    ("sign", "sent/s", "recv/s", "dropped"),
    ("sign", "sent/s", "recv/s"),
    ("sign", "sent/s"),
    ("sign",),
)
"""What stands beside a member's name, from wide to narrow: what matters least goes first."""

_IN_SHORT = {"sent": "about sent", "dropped": "about dropped"}
"""Counters, and what stands for them where they have no room."""


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
    return Panel(
        Group(*parts),
        title=_heading(network, look.width - 6),
        title_align="left",
        border_style="dim" if look.stale else STYLE[network.verdict].removeprefix("bold "),
        box=box.ROUNDED,
        width=look.width,
        style="dim" if look.stale else "",
    )


def _heading(network: NetworkView, width: int) -> Text:
    """A network and its bus in one line; what has no room is left out, but its state."""
    without_speed = heading(replace(network, controller={}))
    bus = f"  {network.bus}" if network.bus else ""
    state = verdict_text(network.bus_verdict, network.state)
    short = Text.assemble((network.name, "bold cyan"), (bus, "bold"), "  ", state)
    for each in (heading(network), without_speed, short):
        if each.cell_len <= width:
            return each
    name = _shortened(network.name, width - state.cell_len - 2)
    return Text.assemble((name, "bold cyan"), "  ", state)


def _shortened(name: str, width: int) -> str:
    """Cut a name in its middle: names that are long often begin alike."""
    if len(name) <= width:
        return name
    end = (width - 1) // 3
    return f"{name[: max(0, width - 1 - end)]}…{name[len(name) - end :]}"


def _curve(network: NetworkView, rates: Rates, history: History, width: int) -> Text:
    """The bus's frames a second, as a figure and as bars over time."""
    line = Text()
    line.append(f"{words.rate(rates.bus.get(network.id)):>5}", style="bold")
    line.append(" frames/s  ", style="dim")
    peak = history.peak(network.id)
    tail = f"  peak {words.rate(peak)}" if peak else ""
    if len(line) + _CURVE + len(tail) > width:
        tail = ""
    room = max(1, width - len(line) - len(tail))
    line.append(history.curve(network.id, room).rjust(room), style="cyan")
    line.append(tail, style="dim")
    return line


@dataclass(frozen=True)
class _Column:
    """A column that is as wide as what is in it: rich would cut it, and 12,345,678 to 12,345."""

    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """What its widest cell needs."""
        return max(len(self.title), *(each.cell_len for each in self.cells))


def _members(network: NetworkView, rates: Rates, width: int, *, by_rate: bool) -> Table:
    members = list(network.members)
    if by_rate:
        members.sort(key=lambda each: -(rates.sent.get(each.endpoint) or 0.0))
    room, columns = _fitting(members, rates, width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("container", width=room, no_wrap=True)
    for each in columns:
        table.add_column(each.title, justify=each.justify, width=each.width, no_wrap=True)
    names = [Text(_shortened(each.container, room)) for each in members]
    for row in zip(names, *(each.cells for each in columns), strict=True):
        table.add_row(*row)
    return table


def _fitting(members: Sequence[MemberView], rates: Rates, width: int) -> tuple[int, list[_Column]]:
    """Choose what stands beside the names; return the columns that are left for these, and it."""
    longest = max(len(each.container) for each in members)
    wanted = max(len("container"), min(longest, max(_NAME, width // 3)))
    all_of_them = _columns(members, rates)
    room, columns = width, []
    for layout in _layouts(width):
        columns = [all_of_them[each] for each in layout]
        room = width - sum(each.width + 1 for each in columns)
        if room >= wanted:
            break
    return max(1, room), columns


def _layouts(width: int) -> Iterator[Sequence[str]]:
    """Each layout, and then with one counter after the other in short."""
    for each in _LAYOUTS if width >= _WITH_INTERFACE else _LAYOUTS[1:]:
        layout = each
        yield layout
        for counter, short in _IN_SHORT.items():
            if counter in layout:
                layout = tuple(short if key == counter else key for key in layout)
                yield layout


def _columns(members: Sequence[MemberView], rates: Rates) -> dict[str, _Column]:
    sent = [rates.sent.get(each.endpoint) for each in members]
    received = [rates.received.get(each.endpoint) for each in members]
    top = max((each or 0.0 for each in sent), default=0.0)

    def figures(title: str, texts: Iterable[str], styles: Iterable[str]) -> _Column:
        cells = [Text(*each) for each in zip(texts, styles, strict=True)]
        return _Column(title, cells, "right")

    busy = ["bold" if each else "dim" for each in sent]
    handed = ["" if each else "dim" for each in received]
    lost = ["yellow" if each.dropped else "dim" for each in members]
    dim = ["dim"] * len(members)
    return {
        "host": _Column(
            "on the host", [Text(each.host_end or words.NOTHING, style="dim") for each in members]
        ),
        "state": _Column("state", [verdict_text(each.verdict, each.state) for each in members]),
        "sign": _Column(
            "", [Text(SIGN[each.verdict], style=STYLE[each.verdict]) for each in members]
        ),
        "bar": _Column(
            "", [Text(_bar(each or 0.0, top).ljust(_BAR), style="green") for each in sent]
        ),
        "sent/s": figures("sent/s", map(words.rate, sent), busy),
        "recv/s": figures("recv/s", map(words.rate, received), handed),
        "sent": figures("sent", (words.count(each.sent) for each in members), dim),
        "about sent": figures("sent", (words.short_count(each.sent) for each in members), dim),
        "dropped": figures("dropped", (words.count(each.dropped) for each in members), lost),
        "about dropped": figures(
            "dropped", (words.short_count(each.dropped) for each in members), lost
        ),
    }


def _bar(value: float, top: float) -> str:
    """A bar from the left, in eighths of a column."""
    if top <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / top * _BAR * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
