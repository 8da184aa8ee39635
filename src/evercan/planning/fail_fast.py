"""What ``EVERCAN_RECOVERY=fail-fast`` does with a plan: drift is reported, not repaired; pure.

What the calls of a pass newly want is done: a new network's bus, a new endpoint's pair,
the rules between it and the members. What nobody wants any more is always removed. A
controller that is bus-off is restarted, since its network asks for that by
``vxcan.restart-ms``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from evercan.errors import number_of
from evercan.model.declared import Declared
from evercan.model.names import end_words
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.rule import Rule
from evercan.model.steps import (
    AddRules,
    BringUp,
    ConfigureBus,
    MakeBus,
    MakeFilterInterface,
    MakePair,
    MakeWire,
    RemoveRules,
    RepairPair,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)
from evercan.planning.drift import DriftKind
from evercan.planning.plan import Plan

_LEFT = ", and EVERCAN_RECOVERY=fail-fast does not repair it"
_AUTO = "or set EVERCAN_RECOVERY=auto"


def leave_drift(plan: Plan, declared: Declared, observed: Observed) -> Plan:
    """Take the steps that repair drift out of a plan and report them as problems.

    Args:
        plan: the whole plan.
        declared: what it is for.
        observed: what it was made from.
    """
    drifted = [drift.step for drift in plan.drift if drift.kind is not DriftKind.BUS_OFF]
    withheld = set(drifted)
    problems = [problem for step in drifted for problem in _of_link(step)]
    problems += _of_rules(
        declared, observed, _rules(drifted, AddRules), _rules(drifted, RemoveRules)
    )
    problems += [problem for step in drifted for problem in _between_hosts(observed, step)]
    return plan._replace(
        steps=tuple(step for step in plan.steps if step not in withheld),
        problems=(*plan.problems, *problems),
    )


def _rules(steps: Iterable[Step], kind: type[AddRules | RemoveRules]) -> Counter[Rule]:
    """Count the rules of all steps of one kind."""
    return Counter(
        rule
        for step in steps
        if isinstance(step, AddRules | RemoveRules) and isinstance(step, kind)
        for rule in step.rules
    )


def _of_link(step: Step) -> Iterator[Problem]:
    """Report a link that is not as it was wanted, and what repairs it by hand."""
    match step:
        case MakeBus(bus):
            text = f"the bus interface {bus} is missing"
            remedy = (
                "remove the networks on it and create them again "
                "(docker compose down && docker compose up)"
            )
        case BringUp(_, endpoint, name):
            text = f"the {end_words(name) if endpoint else 'bus interface'} {name} is down"
            remedy = f"on the host run 'ip link set {name} up'"
        case SetMtu(_, _, _, name, mtu):
            text = f"the interface {name} has not the MTU {mtu}"
            remedy = f"on the host run 'ip link set {name} down; ip link set {name} mtu {mtu} up'"
        case ConfigureBus(bus, _, name, settings):
            text = f"the controller {bus} is not configured as its network asks"
            remedy = f"on the host run '{settings.command(name)}'"
        case MakePair(_, endpoint, host_end, _) | RepairPair(_, endpoint, host_end, _, _):
            text = f"the interface pair {host_end} of endpoint {endpoint[:12]} is missing"
            remedy = "restart its container"
        case MakeFilterInterface(_, endpoint, name):
            text = f"the filter interface {name} of endpoint {endpoint[:12]} is missing"
            remedy = "restart its container"
        case SetFaults(_, _, _, name):
            text = f"the faults on {name} are not as they were set"
            remedy = "clear and set them again"
        case SetFilters(_, endpoint, _, name):
            text = f"the filters on {name} of endpoint {endpoint[:12]} are not as its options ask"
            remedy = "restart its container"
        case MakeWire() | SetWireEntry():
            text, remedy = _of_wire(step)
        case _:
            return
    yield Problem(
        kind=ProblemKind.DRIFT,
        bus=step.bus,
        endpoint=step.endpoint,
        text=f"{text}{_LEFT}",
        remedy=f"{remedy}, {_AUTO}",
    )


def _of_wire(step: MakeWire | SetWireEntry) -> tuple[str, str]:
    """Report what keeps frames from passing through the wire of a bus."""
    if isinstance(step, SetWireEntry):
        text = f"frames from {step.name} do not pass through the wire of {step.bus}"
        if step.endpoint is not None:
            return text, "restart its container"
    else:
        text = f"the wire of {step.bus} is missing or not as it was made"
    again = "remove the networks on it and create them again "
    return text, again + "(docker compose down && docker compose up)"


def _of_rules(
    declared: Declared, observed: Observed, missing: Counter[Rule], surplus: Counter[Rule]
) -> Iterator[Problem]:
    """Report for each endpoint what is wrong with its rules.

    A rule between two containers counts for both, since the restart of either repairs it.
    So no container is kept from joining, and restarting one after another repairs a bus.
    """
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.rule_end)
        if link is None:
            continue
        lacks, extra = (
            sum(count for rule, count in rules.items() if link.index in (rule.source, rule.target))
            for rules in (missing, surplus)
        )
        parts = []
        if lacks:
            parts.append(f"lacks {number_of(lacks, 'rule')}")
        if extra:
            parts.append(f"has {number_of(extra, 'surplus rule')}")
        if parts:
            yield Problem(
                kind=ProblemKind.DRIFT,
                bus=declared.networks[endpoint.network].bus,
                endpoint=endpoint.id,
                text=f"endpoint {endpoint.id[:12]} ({endpoint.host_end}) "
                f"{' and '.join(parts)}{_LEFT}",
                remedy=f"restart its container, {_AUTO}",
            )


def _between_hosts(observed: Observed, step: Step) -> Iterator[Problem]:
    """Report what is wrong with the rules between the bus interface and bridged interfaces."""
    if not isinstance(step, AddRules | RemoveRules):
        return
    names = {link.index: link.name for link in observed.links.values() if not link.is_of_endpoint}
    ends = [
        {names[rule.source], names[rule.target]}
        for rule in step.rules
        if rule.source in names and rule.target in names
    ]
    if ends:
        verb, what = ("lacks", "rule") if isinstance(step, AddRules) else ("has", "surplus rule")
        members = " and ".join(sorted(set[str]().union(*ends)))
        yield Problem(
            kind=ProblemKind.DRIFT,
            bus=step.bus,
            text=f"the bus {step.bus} {verb} {number_of(len(ends), what)} between {members}{_LEFT}",
            remedy="remove the networks on it and create them again "
            f"(docker compose down && docker compose up), {_AUTO}",
        )
