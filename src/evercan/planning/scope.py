"""Plans what some endpoints need, from what is known of their bus; pure.

A call of the engine is about one endpoint. ``make_plan`` compares the whole host for it:
all links and, for N members, 2·N·(N + 1) rules. This plans the links of the endpoints
alone and adds the rules that lead from and to them, without observing any rule.

Each frame still reaches each member exactly once:

- The rules among the members of before are not touched.
- Rules are added only to *fresh* ends: ifindexes that this process has created and has
  added no rule to. The kernel never gives an ifindex again, and the rules of a link go
  with it (``cgw_notifier``), so that a fresh end has no rules.
- The kernel acknowledges each rule. If it does not take one, or anything else is not as
  expected, the same pass goes on with ``make_plan``.
- The interfaces of the host that the bus has are read, and are as they were.
- What somebody else has changed since the last full pass is found by the next one, which
  follows after about a second (``reconcile.retries``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.model.rule_list import RuleList
from evercan.model.steps import AddRules, Step
from evercan.planning.bus import plan_bus
from evercan.planning.bus_off import plan_bus_off
from evercan.planning.drift import classify
from evercan.planning.pairs import plan_pairs
from evercan.planning.plan import Plan
from evercan.planning.removals import plan_removals
from evercan.planning.rules import Ends, mesh
from evercan.planning.wires import plan_wire_entries
from evercan.values import NamedTuple


class Scope(NamedTuple):
    """What a plan is limited to, and what is known without an observation.

    Attributes:
        endpoints: the ids of the endpoints that calls have changed.
        names: the names of their pairs' ends on the host, and of the interfaces of the
            host that their buses have.
        former: the ifindexes that their host ends had, as far as they existed.
        ends: by bus interface, the ends between which all rules exist exactly once.
        fresh: the ifindexes of host ends that have no rules.
    """

    endpoints: Collection[str]
    names: AbstractSet[str]
    former: Collection[int]
    ends: Mapping[str, Ends]
    fresh: AbstractSet[int]


def plan_scope(
    before: Declared, declared: Declared, observed: Observed, scope: Scope
) -> Plan | None:
    """Compare what is wanted of some endpoints with what exists.

    Args:
        before: what was wanted when the pass began.
        declared: what is wanted now.
        observed: links, of which those of ``scope.names`` were just read; no rules.
        scope: what the plan is limited to.

    Returns:
        The plan; None if only a full observation can tell what to do.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    ends: dict[str, Ends] = {}
    if any(_is_repeated(before, declared, endpoint) for endpoint in scope.endpoints):
        return None
    known = map(declared.endpoints.get, scope.endpoints)
    endpoints = [endpoint for endpoint in known if endpoint is not None]
    for bus, former in scope.ends.items():
        repairs: list[Step] = []
        host = _host_ends(declared, observed, bus, repairs, problems)
        if repairs or host != list(former.host):
            return None
        links = plan_pairs(declared, observed, bus, steps, problems, endpoints)
        of_bus = [
            endpoint for endpoint in endpoints if declared.networks[endpoint.network].bus == bus
        ]
        steps += plan_wire_entries(declared, observed, bus, of_bus)
        members = [link.index for link in links]
        others = [index for index in former.members if index not in scope.former]
        kept = [index for index in members if index in former.members]
        new = [index for index in members if index not in former.members]
        if not scope.fresh >= set(new):
            return None
        ends[bus] = Ends(former.host, [*others, *kept, *new])
        if new:
            steps.append(AddRules(bus, RuleList(mesh(*ends[bus], new))))
    retired = sorted(declared.retired & scope.names)
    steps += plan_removals(declared, observed, scope.endpoints, retired)
    ordered, drift = classify(before, declared, observed, steps)
    return None if problems or drift else Plan(steps=ordered, ends=ends)


def _is_repeated(before: Declared, declared: Declared, endpoint_id: str) -> bool:
    """Whether the calls about an endpoint change nothing: an earlier answer may have been lost."""
    was, now = before.endpoints.get(endpoint_id), declared.endpoints.get(endpoint_id)
    if was is None or now is None:
        return was is now
    return (was.is_member, was.has_left) == (now.is_member, now.has_left)


def _host_ends(
    declared: Declared, observed: Observed, bus: str, steps: list[Step], problems: list[Problem]
) -> list[int]:
    """Return the interfaces of the host that a bus has and that can forward frames."""
    networks = declared.networks_by_bus()[bus]
    bus_link = plan_bus(declared, networks, observed, steps, problems)
    found = map(observed.find, declared.bridged()[bus])
    bridged = [link for link in found if link is not None and link.up]
    for link in bridged:
        plan_bus_off(bus, link, None, observed, steps, problems)
    links = bridged if bus_link is None else [bus_link, *bridged]
    return list(dict.fromkeys(link.index for link in links))
