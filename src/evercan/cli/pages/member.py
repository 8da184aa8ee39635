"""Draw what is known of one member of a bus."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evercan.cli.pages.status import problem_lines
from evercan.cli.pages.terminal import member_state
from evercan.cli.views import words
from evercan.cli.views.overview import MemberView, NetworkView, Verdict
from evercan.cli.views.rates import Rates


def member_page(network: NetworkView, member: MemberView, rates: Rates) -> RenderableType:
    """Draw a member: its interfaces, its limits, its counters, its problems and warnings."""
    parts: list[RenderableType] = [_facts(network, member), Text(), _frames(member, rates)]
    remarks = [
        *(problem_lines(problem) for problem in member.problems),
        *(problem_lines(warning, verdict=Verdict.WARN) for warning in member.warnings),
    ]
    if remarks:
        parts += [Text(), *remarks]
    return Group(*parts)


def _facts(network: NetworkView, member: MemberView) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    facts = [
        ("container", Text(member.container, style="bold")),
        ("network", Text(network.name, style="cyan")),
        ("state", member_state(member)),
        ("bus interface", Text(network.bus or words.NOTHING)),
        ("on the host", Text(member.host_end or words.NOTHING)),
    ]
    if member.filter_interface:
        facts.append(("filtered by", Text(member.filter_interface)))
    if inside := ", ".join(_inside(member)):
        facts.append(("in the container", Text(inside)))
    facts.append(("limits", Text(member.limits or "none")))
    for name, value in facts:
        table.add_row(Text(name, style="dim"), value)
    return table


def _inside(member: MemberView) -> Iterator[str]:
    """Yield the names of its interface in the container."""
    if member.prefix:
        yield f"{member.prefix}N (the engine chooses N)"
    if member.altname:
        yield f"also {member.altname}" if member.prefix else member.altname


def _frames(member: MemberView, rates: Rates) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("frames")
    for column in ("per second", "total"):
        table.add_column(column, justify="right", no_wrap=True)
    sent, received = (part.get(member.endpoint) for part in (rates.sent, rates.received))
    counters = [
        ("sent", words.rate(sent), member.sent, ""),
        ("received", words.rate(received), member.received, ""),
        ("lost on their way to it", "", member.dropped, "yellow"),
    ]
    if member.limits:
        counters += [
            ("denied by its limits: sent", "", member.denied_sent, "yellow"),
            ("denied by its limits: received", "", member.denied_received, ""),
        ]
    for name, rate, total, alarm in counters:
        table.add_row(name, rate, Text(words.count(total), style=alarm if total else ""))
    return table
