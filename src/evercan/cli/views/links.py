"""What links between hosts report of themselves, as a part of the members of a bus; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evercan.cli.views.overview import (
    MemberView,
    NetworkView,
    Overview,
    ProblemView,
    Verdict,
    worst,
)

KIND = "link"
"""Kind of a warning about a link."""

Healths = Mapping[str, Mapping[str, Any] | None]
"""What each link reports in ``/health``, by its container; None if it does not answer."""


def with_links(overview: Overview, healths: Healths) -> Overview:
    """Return an overview whose members that are links say how they are linked."""
    networks = tuple(_network(network, healths) for network in overview.networks)
    found = tuple(
        warning
        for network in networks
        for member in network.members
        for warning in member.warnings
        if warning.kind == KIND
    )
    return replace(overview, networks=networks, warnings=(*overview.warnings, *found))


def _network(network: NetworkView, healths: Healths) -> NetworkView:
    members = tuple(
        _member(member, network.bus, healths[member.container])
        if member.container in healths
        else member
        for member in network.members
    )
    verdict = worst([network.verdict, *(member.verdict for member in members)])
    return replace(network, members=members, verdict=verdict)


def _member(member: MemberView, bus: str, health: Mapping[str, Any] | None) -> MemberView:
    if health is None:
        problems = [("the link does not answer", f"docker logs {member.container}")]
    else:
        problems = [(found["text"], found["remedy"]) for found in health["problems"]]
    warnings = tuple(
        ProblemView(KIND, text, bus, member.endpoint, remedy, member.container)
        for text, remedy in problems
    )
    return replace(
        member,
        link=link_line(health),
        verdict=worst([member.verdict, Verdict.WARN if warnings else Verdict.OK]),
        warnings=(*member.warnings, *warnings),
    )


def link_line(health: Mapping[str, Any] | None) -> str:
    """Return which host a link sends for and which others it hears, in a line."""
    if health is None:
        return "link that does not answer"
    others = ", ".join(f"{host['host']} {_way(host)}" for host in health["hosts"])
    state = "" if health["state"] == "active" else f" ({health['state']})"
    return f"link of host {health['host']}{state} to {others or 'no other host'}"


def _way(host: Mapping[str, Any]) -> str:
    trip = host["round_trip_ms"]
    return f"({trip} ms)" if host["links"] and trip is not None else "(not linked)"
