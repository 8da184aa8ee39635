"""``evercan status``: networks, buses and members as a page of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.terminal import SIGN, STYLE, FirstThatFits, verdict_text
from evercan.cli.views import words
from evercan.cli.views.overview import NetworkView, Overview, Trouble, Verdict, worst

HEALTHY, UNHEALTHY = 0, 1
"""Exit statuses of ``evercan status``."""

_COLUMNS: dict[str, JustifyMethod] = {
    "on the host": "left",
    "state": "left",
    "sent": "right",
    "received": "right",
    "dropped": "right",
}
_NAME, _BETWEEN = 14, 3
"""Columns of the terminal that a container's name has at least, and between two of a table's."""

_KINDS = {"virtual": "virtual", "physical": "CAN controller"}


def exit_status(overviews: Sequence[Overview]) -> int:
    """Unhealthy is whatever fails; what only deserves a look is not."""
    fails = worst([each.verdict for each in overviews]) is Verdict.FAIL
    return UNHEALTHY if fails else HEALTHY


def document(overviews: Sequence[Overview]) -> dict[str, Any]:
    """Write overviews for machines."""
    return {
        "schema": 1,
        "plugins": [{**asdict(each), "verdict": each.verdict} for each in overviews],
    }


def page(overviews: Sequence[Overview]) -> RenderableType:
    """Write overviews for people."""
    parts: list[RenderableType] = []
    for each in overviews:
        parts += [Text(), *_plugin(each)]
    return Group(*parts[1:])


def _plugin(seen: Overview) -> Iterator[RenderableType]:
    yield title(seen)
    if not seen.networks:
        yield Text()
        yield Text("  No networks yet; this makes one:")
        yield Text(f"  docker network create -d {seen.plugin} --ipam-driver null NAME")
    for each in seen.networks:
        yield Text()
        yield heading(each)
        if each.members:
            yield Padding(_members(each), (0, 0, 0, 2), expand=False)
        if frames := ", ".join(_frames(each)):
            yield Padding(Text(f"frames: {frames}", style="dim"), (0, 0, 0, 2), expand=False)
        yield from (
            Padding(_trouble(one), (0, 0, 0, 2), expand=False) for one in all_troubles(each)
        )
        if each.recovered_at is not None:
            yield Padding(Text(recovery(each, seen.now), style="dim"), (0, 0, 0, 2), expand=False)
    named = {one for each in seen.networks for one in all_troubles(each)}
    left = [each for each in seen.troubles if each not in named]
    if left:
        yield Text()
        yield from map(_trouble, left)


def title(seen: Overview) -> Text:
    """The plugin in one line."""
    members = sum(len(each.members) for each in seen.networks)
    state = "healthy" if seen.verdict is Verdict.OK else "unhealthy"
    if seen.verdict is Verdict.WARN:
        state = "needs a look"
    line = Text(seen.plugin, style="bold")
    if seen.version:
        line.append(f" {seen.version}", style="dim")
    line.append("  ")
    line.append_text(verdict_text(seen.verdict, state))
    facts = [
        words.number_of(len(seen.networks), "network"),
        words.number_of(members, "member"),
    ]
    if seen.recovery:
        facts.append(f"recovery {seen.recovery}")
    if seen.started is not None and seen.now is not None:
        facts.append(f"up {words.span(seen.now - seen.started)}")
    line.append(f"  {', '.join(facts)}", style="dim")
    return line


def heading(network: NetworkView) -> Text:
    """A network and its bus in one line."""
    line = Text()
    line.append(network.name, style="bold cyan")
    if network.bus:
        line.append(f"  {network.bus}", style="bold")
        line.append(f" ({_KINDS.get(network.kind, network.kind)})", style="dim")
    line.append("  ")
    line.append_text(verdict_text(network.bus_verdict, network.state))
    facts = [words.number_of(len(network.members), "member")]
    if speed := words.speed(network.controller):
        facts.append(speed)
    line.append(f"  {', '.join(facts)}", style="dim")
    return line


def _frames(network: NetworkView) -> Iterator[str]:
    if network.to_bus is not None:
        yield f"{words.count(network.to_bus)} to {network.bus}"
    if network.from_bus is not None:
        # Counted once for each member that it was handed to.
        yield f"{words.count(network.from_bus)} deliveries from {network.bus}"
    if network.dropped:
        yield f"{words.count(network.dropped)} dropped"


def recovery(network: NetworkView, now: float | None) -> str:
    """When a network was last mended, and what was."""
    if network.recovered_at is None:
        return ""
    ago = "" if now is None else f" {words.span(now - network.recovered_at)} ago"
    return f"mended{ago}: {network.recovery or 'the plugin does not say what'}"


def all_troubles(network: NetworkView) -> Iterator[Trouble]:
    """Yield what is wrong with a bus, then with its members."""
    yield from network.troubles
    for each in network.members:
        yield from each.troubles


def _trouble(trouble: Trouble) -> RenderableType:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_row(
        Text(SIGN[Verdict.FAIL], style=STYLE[Verdict.FAIL]), Text(trouble.text, style="red")
    )
    return row


def _members(network: NetworkView) -> RenderableType:
    """Write the members; where there is little room with less, but whole figures."""
    return FirstThatFits(
        _table(network, ("on the host", "sent", "received", "dropped"), words.count),
        _table(network, ("sent", "received", "dropped"), words.count),
        _table(network, ("sent", "received", "dropped"), words.short_count),
        _table(network, ("sent", "dropped"), words.short_count),
        _table(network, ("dropped",), words.short_count),
    )


def _table(
    network: NetworkView, told: Sequence[str], figure: Callable[[int | None], str]
) -> tuple[int, Table]:
    """Return the columns that a table needs, with names broken as far as they may be, and it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("container", overflow="fold", min_width=_NAME)
    names = [each for each in _COLUMNS if each in told or each == "state"]
    for name in names:
        table.add_column(name, justify=_COLUMNS[name], no_wrap=True)
    needed = {name: len(name) for name in names}
    for each in network.members:
        cells = {
            "on the host": Text(each.host_end or words.NOTHING, style="dim"),
            "state": verdict_text(each.verdict, each.state),
            "sent": Text(figure(each.sent)),
            "received": Text(figure(each.received)),
            "dropped": Text(figure(each.dropped), style="yellow" if each.dropped else ""),
        }
        table.add_row(Text(each.container), *(cells[name] for name in names))
        needed = {name: max(needed[name], cells[name].cell_len) for name in names}
    return _NAME + sum(_BETWEEN + each for each in needed.values()), table
