"""Draw the page of ``evercan watch``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from evercan.cli.pages.bus_line import health_line
from evercan.cli.pages.member_table import member_table, ordered, selected_style, shortened
from evercan.cli.pages.status import heading, other_remarks, recovery, remarks, title
from evercan.cli.pages.terminal import SIGN, STYLE, verdict_text
from evercan.cli.views import words
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.overview import NetworkView, Overview, Verdict, shown_state
from evercan.cli.views.rates import History, Rates
from evercan.cli.views.scene import Lost, Measured

_CURVE = 8
"""Columns of the bars over time, at least, for the peak to be shown beside them."""


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
    selected: str = "",
) -> RenderableType:
    """Draw every network in its own box, below the problems that concern none of them.

    Args:
        overviews: the last overviews.
        measured: what was measured since the overviews before.
        width: columns.
        by_rate: sort members by rate instead of by name.
        stale: whether the overviews may be outdated.
        selected: the key of the row that is selected; empty for none.
    """
    settings = _Settings(measured, width, by_rate, stale, selected)
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
    selected: str


def _network(network: NetworkView, now: float | None, settings: _Settings) -> RenderableType:
    inner = settings.width - 4
    parts: list[RenderableType] = [
        _curve(network, settings.measured.rates, settings.measured.history, inner)
    ]
    state = settings.measured.states.get(network.id, BusState(network.bus, network))
    if network.timing and (health := health_line(state)):
        parts.append(health)
    if network.members:
        rates = settings.measured.rates
        members = ordered(network, rates, by_rate=settings.by_rate)
        parts.append(member_table(members, rates, inner, settings.selected))
    else:
        style = selected_style(network.id) if settings.selected == network.id else "dim"
        parts.append(Text("no container has joined yet", style=style))
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
    without_speed = heading(replace(network, controller={}, wire={}, load=None))
    bus = f"  {network.bus}" if network.bus else ""
    state = verdict_text(network.bus_verdict, shown_state(network.state))
    short = Text.assemble((network.name, "bold cyan"), (bus, "bold"), "  ", state)
    for line in (heading(network), without_speed, short):
        if line.cell_len <= width:
            return line
    name = shortened(network.name, width - state.cell_len - 2)
    return Text.assemble((name, "bold cyan"), "  ", state)


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
