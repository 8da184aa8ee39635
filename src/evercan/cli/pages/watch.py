"""Draw the page of ``evercan watch``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.bus_line import health_line
from evercan.cli.pages.status import heading, other_remarks, recovery, remarks, title
from evercan.cli.pages.terminal import SIGN, STYLE, member_sign, member_state, verdict_text
from evercan.cli.views import words
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.overview import MemberView, NetworkView, Overview, Verdict, shown_state
from evercan.cli.views.rates import History, Rates

_BAR = 8
"""Columns of the bar beside a member's rate."""

_CURVE = 8
"""Columns of the bars over time, at least, for the peak to be shown beside them."""

_NAME = 14
"""Columns for a long name, at least; a third of the width if that is more."""

_WITH_INTERFACE = 100
"""Width from which on the interface on the host is shown."""

_LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("host", "state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "sent", "dropped"),
    ("state", "sent/s", "bar", "recv/s", "dropped"),
    ("state", "sent/s", "recv/s", "dropped"),
    ("state", "sent/s", "dropped"),
    ("state", "sent/s"),
    # The state's word may be long: the sign replaces it, and the problem is shown in a line below.
    ("sign", "sent/s", "recv/s", "dropped"),
    ("sign", "sent/s", "recv/s"),
    ("sign", "sent/s"),
    ("sign",),
)
"""Columns beside a member's name, from wide to narrow: the least important go first."""

_IN_SHORT = {"sent": "about sent", "dropped": "about dropped"}
"""Counters, and the rounded ones that replace them where they do not fit."""


@dataclass(frozen=True)
class Lost:
    """What does not answer, and the sentence that says why."""

    what: str
    why: str


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        rates: frames per second.
        history: the earlier rates.
        states: how full buses are, and their errors, by network id.
    """

    rates: Rates = field(default_factory=Rates)
    history: History = field(default_factory=History)
    states: Mapping[str, BusState] = field(default_factory=dict)


def state_line(
    overviews: Sequence[Overview], *, lost: Lost | None, seconds: float, late: Verdict, paused: bool
) -> RenderableType:
    """Draw the line at the top: the health of all, or what does not answer.

    Args:
        overviews: the last overviews.
        lost: what does not answer; None if the last refresh succeeded.
        seconds: how long that has been so, or how long a refresh has been under way.
        late: the severity of that time.
        paused: whether the page below is paused.
    """
    if lost is not None:
        lines = [Text(f"{SIGN[Verdict.FAIL]} {lost.what}, retrying", style="bold red")]
        lines[0].append(f"  {words.span(seconds)}", style="red")
    elif late is not Verdict.OK:
        # The last answer is not shown: it may no longer be true.
        waited = f"{SIGN[late]} no answer for {words.span(seconds)}"
        lines = [Text(waited, style=STYLE[late])]
    else:
        lines = [title(overview) for overview in overviews] or [Text("connecting …", style="dim")]
    if paused:
        lines[0].append("  ‖ paused", style="bold yellow")
    if lost is not None:
        lines.append(Text(lost.why, style="dim"))
    return Group(*lines)


def page(
    overviews: Sequence[Overview],
    measured: Measured,
    *,
    width: int,
    by_rate: bool = False,
    stale: bool = False,
) -> RenderableType:
    """Draw every network in its own box, below the problems that concern none of them.

    Args:
        overviews: the last overviews.
        measured: what was measured since the overviews before.
        width: columns.
        by_rate: sort members by rate instead of by name.
        stale: whether the overviews may be outdated.
    """
    settings = _Settings(measured, width, by_rate, stale)
    several = len(overviews) > 1
    parts = [
        lines
        for overview in overviews
        for lines in other_remarks(overview, f"{overview.plugin}: " if several else "")
    ]
    boxes = [
        _network(network, overview.now, settings)
        for overview in overviews
        for network in overview.networks
    ]
    hints = [] if boxes else [Text(_hint(overview), style="dim") for overview in overviews]
    return Group(*parts, *boxes, *hints)


def _hint(overview: Overview) -> str:
    """Return how to create a network."""
    command = f"docker network create -d {overview.plugin} --ipam-driver null NAME"
    return f"No networks. Create one: {command}"


@dataclass(frozen=True)
class _Settings:
    """The arguments of `page` that apply to each network."""

    measured: Measured
    width: int
    by_rate: bool
    stale: bool


def _network(network: NetworkView, now: float | None, settings: _Settings) -> RenderableType:
    inner = settings.width - 4
    parts: list[RenderableType] = [
        _curve(network, settings.measured.rates, settings.measured.history, inner)
    ]
    state = settings.measured.states.get(network.id, BusState(network.bus, network))
    if network.controller and (health := health_line(state)):
        parts.append(health)
    if network.members:
        parts.append(_members(network, settings.measured.rates, inner, by_rate=settings.by_rate))
    else:
        parts.append(Text("no container has joined yet", style="dim"))
    parts += remarks(network)
    if network.recovered_at is not None:
        parts.append(Text(recovery(network, now), style="dim"))
    return Panel(
        Group(*parts),
        title=_heading(network, settings.width - 6),
        title_align="left",
        border_style="dim" if settings.stale else STYLE[network.verdict].removeprefix("bold "),
        box=box.ROUNDED,
        width=settings.width,
        style="dim" if settings.stale else "",
    )


def _heading(network: NetworkView, width: int) -> Text:
    """Draw a network and its bus in one line; leave out what does not fit, except the state."""
    without_speed = heading(replace(network, controller={}))
    bus = f"  {network.bus}" if network.bus else ""
    state = verdict_text(network.bus_verdict, shown_state(network.state))
    short = Text.assemble((network.name, "bold cyan"), (bus, "bold"), "  ", state)
    for line in (heading(network), without_speed, short):
        if line.cell_len <= width:
            return line
    name = _shortened(network.name, width - state.cell_len - 2)
    return Text.assemble((name, "bold cyan"), "  ", state)


def _shortened(name: str, width: int) -> str:
    """Cut a name in its middle, since long names often have equal beginnings."""
    if len(name) <= width:
        return name
    end = (width - 1) // 3
    return f"{name[: max(0, width - 1 - end)]}…{name[len(name) - end :]}"


def _curve(network: NetworkView, rates: Rates, history: History, width: int) -> Text:
    """Draw the bus's frames per second, as a number and as bars over time."""
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
    """A column as wide as its widest cell: rich would cut 12,345,678 to 12,345."""

    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(*map(len, self.title.split("\n")), *(cell.cell_len for cell in self.cells))


def _members(network: NetworkView, rates: Rates, width: int, *, by_rate: bool) -> Table:
    members = list(network.members)
    if by_rate:
        members.sort(key=lambda member: -(rates.sent.get(member.endpoint) or 0.0))
    room, columns = _fitting(members, rates, width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("container", width=room, no_wrap=True, vertical="bottom")
    for column in columns:
        table.add_column(
            column.title,
            justify=column.justify,
            width=column.width,
            no_wrap=True,
            vertical="bottom",
        )
    names = [Text(_shortened(member.container, room)) for member in members]
    for row in zip(names, *(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _fitting(members: Sequence[MemberView], rates: Rates, width: int) -> tuple[int, list[_Column]]:
    """Choose the columns beside the names; return the width that is left for names, and them."""
    longest = max(len(member.container) for member in members)
    wanted = max(len("container"), min(longest, max(_NAME, width // 3)))
    all_of_them = _columns(members, rates)
    room, columns = width, []
    for layout in _layouts(width, limited=any(member.limits for member in members)):
        columns = [all_of_them[column] for column in layout]
        room = width - sum(column.width + 1 for column in columns)
        if room >= wanted:
            break
    return max(1, room), columns


def _layouts(width: int, *, limited: bool) -> Iterator[Sequence[str]]:
    """Yield the layouts, each also with one counter after the other rounded.

    Args:
        width: columns of the terminal.
        limited: there are members with limits, so that there is a column of what was denied.
    """
    for columns in _LAYOUTS if width >= _WITH_INTERFACE else _LAYOUTS[1:]:
        layout = (*columns, "denied") if limited and "dropped" in columns else columns
        yield layout
        for counter, short in _IN_SHORT.items():
            if counter in layout:
                layout = tuple(short if key == counter else key for key in layout)
                yield layout


def _columns(members: Sequence[MemberView], rates: Rates) -> dict[str, _Column]:
    sent = [rates.sent.get(member.endpoint) for member in members]
    received = [rates.received.get(member.endpoint) for member in members]
    top = max((rate or 0.0 for rate in sent), default=0.0)

    def numbers(title: str, texts: Iterable[str], styles: Iterable[str]) -> _Column:
        cells = [Text(*cell) for cell in zip(texts, styles, strict=True)]
        return _Column(title, cells, "right")

    busy = ["bold" if rate else "dim" for rate in sent]
    received_style = ["" if rate else "dim" for rate in received]
    lost = ["yellow" if member.dropped else "dim" for member in members]
    dim = ["dim"] * len(members)
    return {
        "host": _Column(
            "on the host",
            [Text(member.host_end or words.NOTHING, style="dim") for member in members],
        ),
        "state": _Column("state", [member_state(member) for member in members]),
        "sign": _Column("", [member_sign(member) for member in members]),
        "bar": _Column(
            "", [Text(_bar(rate or 0.0, top).ljust(_BAR), style="green") for rate in sent]
        ),
        "sent/s": numbers("sent/s", map(words.rate, sent), busy),
        "recv/s": numbers("recv/s", map(words.rate, received), received_style),
        "sent": numbers("total\nsent", (words.count(member.sent) for member in members), dim),
        "about sent": numbers(
            "total\nsent", (words.short_count(member.sent) for member in members), dim
        ),
        "dropped": numbers(
            "total\ndropped", (words.count(member.dropped) for member in members), lost
        ),
        "denied": numbers(
            "total\ndenied",
            (words.short_count(member.denied) for member in members),
            ["yellow" if member.denied_sent else "dim" for member in members],
        ),
        "about dropped": numbers(
            "total\ndropped", (words.short_count(member.dropped) for member in members), lost
        ),
    }


def _bar(value: float, top: float) -> str:
    """Draw a bar from the left, in eighths of a column."""
    if top <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / top * _BAR * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
