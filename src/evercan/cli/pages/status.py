"""Draw the page of ``evercan status``: networks, buses and members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.terminal import (
    SIGN,
    STYLE,
    FirstThatFits,
    member_state,
    verdict_text,
)
from evercan.cli.views import words
from evercan.cli.views.bus_state import percent
from evercan.cli.views.overview import NetworkView, Overview, ProblemView, Verdict, shown_state

_COLUMNS: dict[str, JustifyMethod] = {
    "on the host": "left",
    "state": "left",
    "sent": "right",
    "received": "right",
    "dropped": "right",
    "denied": "right",
}
_NAME, _BETWEEN = 14, 3
"""Columns for a container's name, at least, and between two columns of a table."""

_KINDS = {"virtual": "virtual", "physical": "CAN controller"}


_INDENT = (0, 0, 0, 2)


def page(overviews: Sequence[Overview]) -> RenderableType:
    """Draw overviews for people."""
    parts: list[RenderableType] = []
    for overview in overviews:
        parts += [Text(), *_plugin(overview)]
    return Group(*parts[1:])


def _plugin(overview: Overview) -> Iterator[RenderableType]:
    yield title(overview)
    if not overview.networks:
        yield Text()
        yield Text("  No networks yet. Create one:")
        yield Text(f"  docker network create -d {overview.plugin} --ipam-driver null NAME")
    for network in overview.networks:
        yield Text()
        yield heading(network)
        if network.bridge:
            yield Padding(_bridge(network), _INDENT, expand=False)
        if network.members:
            yield Padding(_members(network), _INDENT, expand=False)
        if frames := ", ".join(_frames(network)):
            yield Padding(Text(f"frames: {frames}", style="dim"), _INDENT, expand=False)
        for lines in remarks(network):
            yield Padding(lines, _INDENT, expand=False)
        if network.recovered_at is not None:
            line = Text(recovery(network, overview.now), style="dim")
            yield Padding(line, _INDENT, expand=False)
    if others := other_remarks(overview):
        yield Text()
        yield from others


def title(overview: Overview) -> Text:
    """Draw the plugin in one line."""
    members = sum(len(network.members) for network in overview.networks)
    state = "healthy" if overview.verdict is Verdict.OK else "unhealthy"
    if overview.verdict is Verdict.WARN:
        state = "warning"
    line = Text(overview.plugin, style="bold")
    if overview.version:
        line.append(f" {overview.version}", style="dim")
    line.append("  ")
    line.append_text(verdict_text(overview.verdict, state))
    facts = [
        words.number_of(len(overview.networks), "network"),
        words.number_of(members, "member"),
    ]
    if overview.recovery:
        facts.append(f"recovery {overview.recovery}")
    if overview.started is not None and overview.now is not None:
        facts.append(f"up {words.span(overview.now - overview.started)}")
    line.append(f"  {', '.join(facts)}", style="dim")
    return line


def heading(network: NetworkView) -> Text:
    """Draw a network and its bus in one line."""
    line = Text()
    line.append(network.name, style="bold cyan")
    if network.bus:
        line.append(f"  {network.bus}", style="bold")
        line.append(f" ({_KINDS.get(network.kind, network.kind)})", style="dim")
    line.append("  ")
    line.append_text(verdict_text(network.bus_verdict, shown_state(network.state)))
    facts = [_number_of_members(network)]
    if speed := words.speed(network.timing):
        facts.append(speed)
    if network.load is not None:
        facts.append(f"load {percent(network.load)}")
    line.append(f"  {', '.join(facts)}", style="dim")
    return line


def _number_of_members(network: NetworkView) -> str:
    """Return how many members there are, and how many of them a filter shows."""
    shown = len(network.members)
    together = words.number_of(shown + network.left_out, "member")
    return f"{shown} of {together}" if network.left_out else together


def _bridge(network: NetworkView) -> Text:
    """Draw the further interfaces of the host on a bus, in one line."""
    line = Text("bridged: ", style="dim")
    for number, bridged in enumerate(network.bridge):
        line.append(", " if number else "", style="dim")
        style = "" if bridged.verdict is Verdict.OK else STYLE[bridged.verdict]
        line.append(bridged.caption, style=style)
    return line


def _frames(network: NetworkView) -> Iterator[str]:
    if network.to_bus is not None:
        yield f"{words.count(network.to_bus)} to {network.bus}"
    if network.from_bus is not None:
        # A frame counts once for each member that got it.
        yield f"{words.count(network.from_bus)} deliveries from {network.bus}"
    if network.dropped:
        yield f"{words.count(network.dropped)} dropped"


def recovery(network: NetworkView, now: float | None) -> str:
    """Return when a network was last repaired, and what was repaired."""
    if network.recovered_at is None:
        return ""
    ago = "" if now is None else f" {words.span(now - network.recovered_at)} ago"
    return f"repaired{ago}: {network.recovery or 'the plugin does not report what'}"


def remarks(network: NetworkView) -> Iterator[RenderableType]:
    """Draw a network's links, problems and warnings, and the networks that share its bus."""
    for member in network.members:
        if member.link:
            yield Text(f"{member.container}: {member.link}", style="dim")
    for problem in network.all_problems:
        yield problem_lines(problem)
    for warning in network.all_warnings:
        yield problem_lines(warning, verdict=Verdict.WARN)
    if network.sharing:
        yield Text(network.sharing, style="yellow")


def other_remarks(overview: Overview, whose: str = "") -> list[RenderableType]:
    """Draw the problems and warnings that concern no network of an overview.

    Args:
        overview: the overview.
        whose: what they concern, as the beginning of each sentence.
    """
    return [
        *(problem_lines(problem, whose) for problem in overview.other_problems),
        *(
            problem_lines(warning, whose, verdict=Verdict.WARN)
            for warning in overview.other_warnings
        ),
    ]


def problem_lines(
    problem: ProblemView, whose: str = "", *, verdict: Verdict = Verdict.FAIL
) -> RenderableType:
    """Draw a problem or a warning and, below it, its remedy.

    Args:
        problem: the problem.
        whose: what it concerns, as the beginning of the sentence.
        verdict: how severe it is.
    """
    rows = Table.grid(padding=(0, 1, 0, 0))
    sign = Text(SIGN[verdict], style=STYLE[verdict])
    style = STYLE[verdict].removeprefix("bold ")
    rows.add_row(sign, Text(f"{whose}{problem.sentence}", style=style))
    if problem.remedy:
        rows.add_row(Text("→", style="cyan"), Text(problem.remedy))
    return rows


def _members(network: NetworkView) -> RenderableType:
    """Draw the members; in a narrow terminal fewer columns, but whole numbers."""
    return FirstThatFits(
        _table(network, ("on the host", "sent", "received", "dropped"), words.count),
        _table(network, ("sent", "received", "dropped"), words.count),
        _table(network, ("sent", "received", "dropped"), words.short_count),
        _table(network, ("sent", "dropped"), words.short_count),
        _table(network, ("dropped",), words.short_count),
    )


def _table(
    network: NetworkView, shown: Sequence[str], number: Callable[[int | None], str]
) -> tuple[int, Table]:
    """Return a table, and the terminal columns that it needs if names are broken to the minimum."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("container", overflow="fold", min_width=_NAME)
    names = [column for column in _COLUMNS if column in shown or column == "state"]
    if any(member.limits for member in network.members):
        names.append("denied")
    for name in names:
        table.add_column(name, justify=_COLUMNS[name], no_wrap=True)
    needed = {name: len(name) for name in names}
    for member in network.members:
        cells = {
            "on the host": Text(member.host_end or words.NOTHING, style="dim"),
            "state": member_state(member),
            "sent": Text(number(member.sent)),
            "received": Text(number(member.received)),
            "dropped": Text(number(member.dropped), style="yellow" if member.dropped else ""),
            "denied": Text(number(member.denied), style="yellow" if member.denied_sent else ""),
        }
        table.add_row(Text(member.container), *(cells[name] for name in names))
        needed = {name: max(needed[name], cells[name].cell_len) for name in names}
    return _NAME + sum(_BETWEEN + columns for columns in needed.values()), table
