"""What has to happen for the vxcan pairs of a bus to be as declared; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evercan.model.declared import Declared, Endpoint, Phase
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import (
    DeleteLink,
    MakePair,
    NameEnd,
    RepairPair,
    Step,
)
from evercan.planning.ends import foreign_end, plan_end
from evercan.planning.filters import plan_filters


def plan_pairs(
    declared: Declared,
    observed: Observed,
    bus: str,
    steps: list[Step],
    problems: list[Problem],
    endpoints: Iterable[Endpoint] | None = None,
) -> list[Link]:
    """Plan the pairs of one bus; return the members' interfaces that get rules.

    Args:
        declared: what is wanted.
        observed: what exists.
        bus: the bus interface.
        steps: gets the steps.
        problems: gets what no step repairs.
        endpoints: the endpoints concerned; None for all.
    """
    members: list[Link] = []
    filters: list[Step] = []
    for endpoint in declared.endpoints.values() if endpoints is None else endpoints:
        if declared.networks[endpoint.network].bus != bus or not endpoint.wants_pair:
            continue
        end = _plan_pair(observed, bus, endpoint, steps, problems)
        if endpoint.filter_interface is not None:
            end = plan_filters(observed, bus, endpoint, filters, problems)
        if end is not None and endpoint.is_member:
            members.append(end)
    steps += filters  # they redirect frames to interfaces that are up by then
    return members


def _plan_pair(
    observed: Observed, bus: str, endpoint: Endpoint, steps: list[Step], problems: list[Problem]
) -> Link | None:
    """Plan the pair of an endpoint; return its host end if it can get rules."""
    link = observed.links.get(endpoint.host_end)
    if link is None:
        planned = _plan_missing_pair(observed, bus, endpoint)
        if isinstance(planned, Problem):
            problems.append(planned)
        else:
            steps.append(planned)
        return None
    if not link.is_ours:
        problems.append(foreign_end(bus, endpoint, link, "pair"))
        return None
    if observed.is_repair_unfinished(link):
        steps.append(DeleteLink(link.index, link.name))
        return None
    steps += plan_end(bus, endpoint, link)
    steps += _plan_name(observed, bus, endpoint)
    return link


def _plan_missing_pair(observed: Observed, bus: str, endpoint: Endpoint) -> Step | Problem:
    location = observed.locations.get(endpoint.id)
    ends = (bus, endpoint.id, endpoint.host_end, endpoint.container_end)
    if endpoint.phase is not Phase.JOINED:
        return MakePair(*ends)
    if location is not None:
        return RepairPair(*ends, location, endpoint.altname)
    return Problem(
        kind=ProblemKind.PAIR_MISSING,
        bus=bus,
        endpoint=endpoint.id,
        text=f"the interface pair {endpoint.host_end} of endpoint {endpoint.id[:12]} was deleted "
        "while its container ran",
        remedy="restart the container",
    )


def name_holder(observed: Observed, endpoint: Endpoint) -> Link | None:
    """Find the interface of the host that keeps a container end from getting its name.

    The kernel gives names on the host only, before the engine moves the end, and two
    ends of one name cannot be there at the same time: the second waits until the first
    was moved.
    """
    end = observed.links.get(endpoint.container_end)
    if endpoint.altname is None or end is None or endpoint.phase is not Phase.OFFERED:
        return None
    holder = observed.find(endpoint.altname)
    return None if holder == end else holder


def _plan_name(observed: Observed, bus: str, endpoint: Endpoint) -> Iterator[Step]:
    """Plan to name a container end, as soon as the name is free."""
    end = observed.links.get(endpoint.container_end)
    if end is None or endpoint.altname is None or endpoint.phase is not Phase.OFFERED:
        return
    if observed.find(endpoint.altname) is None:
        yield NameEnd(bus, endpoint.id, end.index, endpoint.altname)
