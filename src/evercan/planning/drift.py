"""Tells drift from what was asked for; the one place that decides it; pure.

A plan mixes what the calls of a pass newly want with what has changed since the last
pass. Only the latter is *drift*: health checks report it, counters count it, recoveries
repair it, and ``EVERCAN_RECOVERY=fail-fast`` leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from itertools import compress
from operator import not_

from evercan.errors import number_of
from evercan.model.declared import Declared, Endpoint
from evercan.model.names import end_words
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.rule import Rule
from evercan.model.rule_list import RuleList
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
    RestartBus,
    SetFaults,
    SetFilters,
    SetMtu,
    SetWireEntry,
    Step,
)
from evercan.planning.faults import wanted_queues
from evercan.values import NamedTuple


class DriftKind(StrEnum):
    """What has changed; the label ``fault`` of the metrics."""

    BUS_MISSING = "bus-missing"
    BUS_DOWN = "bus-down"
    BUS_SETTINGS = "bus-settings"
    BUS_MTU = "bus-mtu"
    BUS_OFF = "bus-off"
    PAIR_MISSING = "pair-missing"
    PAIR_MTU = "pair-mtu"
    PAIR_DOWN = "pair-down"
    FILTER_MISSING = "filter-missing"
    FAULTS_CHANGED = "faults-changed"
    WIRE_MISSING = "wire-missing"
    WIRE_BYPASSED = "wire-bypassed"
    RULES_MISSING = "rules-missing"
    RULES_SURPLUS = "rules-surplus"


class Drift(NamedTuple):
    """One thing that was wanted before and is not so.

    Attributes:
        kind: what has changed, for machines.
        bus: the bus interface concerned.
        step: the step that repairs it.
        text: what is wrong, without the remedy.
        endpoint: the endpoint id, when it concerns one endpoint alone.
        interface: the name of the endpoint's interface, which may have several.
    """

    kind: DriftKind
    bus: str
    step: Step
    text: str
    endpoint: str | None = None
    interface: str | None = None

    @property
    def key(self) -> tuple[DriftKind, str, str | None, str | None]:
        """Identify it over several observations, in which the step may differ."""
        return self.kind, self.bus, self.endpoint, self.interface

    def problem(self) -> Problem:
        """Return the problem that it is until it is repaired."""
        return Problem(
            kind=ProblemKind.DRIFT,
            bus=self.bus,
            endpoint=self.endpoint,
            text=self.text,
            remedy="evercan repairs it in its next pass",
        )


def classify(
    before: Declared, declared: Declared, observed: Observed, steps: Collection[Step]
) -> tuple[tuple[Step, ...], tuple[Drift, ...]]:
    """Tell drift from what was asked for.

    A step of rules that mixes both is split into two.

    Args:
        before: what was wanted when the pass began.
        declared: what is wanted now.
        observed: what exists.
        steps: the steps that lead from ``observed`` to ``declared``.

    Returns:
        The steps in their order, and those of them that are drift.
    """
    if not steps:
        return (), ()
    asked = _Asked(before, declared, observed)
    ordered: list[Step] = []
    drift: list[Drift] = []
    for step in steps:
        match step:
            case AddRules() | RemoveRules():
                for part, changed in _split_rules(step, asked):
                    ordered.append(part)
                    if changed is not None:
                        drift.append(changed)
            case _:
                ordered.append(step)
                if (found := _drift_of(step, asked)) is not None:
                    drift.append(found)
    return tuple(ordered), tuple(drift)


class _Asked:
    """What the calls of a pass have asked for: the difference between two intents.

    Attributes:
        wanted_buses: bus interfaces that were wanted before and that no network of this
            pass asks for. A new network asks for its bus, whoever else lacks it.
        old_ends: ifindexes that were members of a bus before: the host ends of members,
            and the interfaces of buses whose networks are the same as before.
        changed_ends: ifindexes of host ends that were not members before or are not now,
            and of interfaces of the host on buses whose networks have changed.
    """

    def __init__(self, before: Declared, declared: Declared, observed: Observed) -> None:
        self._before = before
        self._declared = declared
        self._observed = observed
        old, now = _buses(before), _buses(declared)
        new_networks = declared.networks.keys() - before.networks.keys()
        self.wanted_buses = old - {declared.networks[network].bus for network in new_networks}
        gone_networks = before.networks.keys() - declared.networks.keys()
        changed = {declared.networks[network].bus for network in new_networks}
        changed |= {before.networks[network].bus for network in gone_networks}
        self.old_ends = _member_ends(before, observed)
        self.changed_ends = changing_ends(before, declared, observed)
        former, current = before.bridged(), declared.bridged()
        for bus in old | now:
            for name in {bus, *former.get(bus, ()), *current.get(bus, ())}:
                link = observed.find(name)
                if link is not None:
                    (self.changed_ends if bus in changed else self.old_ends).add(link.index)

    def had_pair(self, endpoint_id: str) -> bool:
        """Whether an endpoint's pair was wanted before."""
        endpoint = self._before.endpoints.get(endpoint_id)
        return endpoint is not None and endpoint.wants_pair

    def had_faults(self, step: SetFaults) -> bool:
        """Whether an interface was to have the same queue before; one that is to go was not."""
        if step.queue is None:
            return False
        former = wanted_queues(self._before, self._observed).get(step.index)
        return former is not None and former[1] == step.queue

    def had_wire(self, bus: str) -> bool:
        """Whether a bus was to be as slow as it is to be now."""
        former = self._before.wire_of(bus)
        return former is not None and former == self._declared.wire_of(bus)

    def had_settings(self, bus: str) -> bool:
        """Whether the settings of a bus were wanted before as they are now."""
        setter, former = (
            intent.network_that_sets(bus) for intent in (self._declared, self._before)
        )
        return setter is not None and former is not None and setter.settings == former.settings


def _buses(declared: Declared) -> set[str]:
    return {network.bus for network in declared.networks.values()}


def changing_ends(before: Declared, declared: Declared, observed: Observed) -> set[int]:
    """Return the ifindexes of host ends that were not members before, or are not now."""
    both = _member_ends(before, observed) & _member_ends(declared, observed)
    endpoints = (*before.endpoints.values(), *declared.endpoints.values())
    return _indexes_of(endpoints, observed) - both


def _member_ends(declared: Declared, observed: Observed) -> set[int]:
    members = (endpoint for endpoint in declared.endpoints.values() if endpoint.is_member)
    return _indexes_of(members, observed)


def _indexes_of(endpoints: Iterable[Endpoint], observed: Observed) -> set[int]:
    names = (name for endpoint in endpoints for name in endpoint.host_interfaces)
    links = map(observed.links.get, names)
    return {link.index for link in links if link is not None}


def _drift_of(step: Step, asked: _Asked) -> Drift | None:
    if isinstance(step, SetFaults):
        if not asked.had_faults(step):
            return None
        text = f"the faults on {step.name} are not as they were set"
        return Drift(DriftKind.FAULTS_CHANGED, step.bus, step, text, step.endpoint)
    if step.bus in asked.wanted_buses and (of_bus := _drift_of_bus(step, asked)) is not None:
        return Drift(of_bus[0], step.bus, step, of_bus[1])
    if step.endpoint is not None and asked.had_pair(step.endpoint):
        of_pair = _drift_of_pair(step)
        if of_pair is not None:
            kind, text, interface = of_pair
            return Drift(kind, step.bus, step, text, step.endpoint, interface)
    return None


def _drift_of_bus(step: Step, asked: _Asked) -> tuple[DriftKind, str] | None:
    match step:
        case MakeBus(bus):
            return DriftKind.BUS_MISSING, f"the bus interface {bus} is missing"
        case BringUp(_, None, name):
            return DriftKind.BUS_DOWN, f"the bus interface {name} is down"
        case ConfigureBus(bus, _, name) if asked.had_settings(bus):
            text = f"the controller {name} is not configured as its network asks"
            return DriftKind.BUS_SETTINGS, text
        case MakeWire(bus) if asked.had_wire(bus):
            return DriftKind.WIRE_MISSING, f"the wire of {bus} is missing or not as it was made"
        case SetWireEntry(bus, None, _, name) if asked.had_wire(bus):
            text = f"frames from {name} do not pass through the wire of {bus}"
            return DriftKind.WIRE_BYPASSED, text
        case RestartBus(_, _, name):
            return DriftKind.BUS_OFF, f"the controller {name} is bus-off"
        case SetMtu(_, None, _, name):
            text = f"the bus interface {name} has not the MTU that carries FD frames"
            return DriftKind.BUS_MTU, text
        case _:
            return None


def _drift_of_pair(step: Step) -> tuple[DriftKind, str, str] | None:
    """Return the kind of drift, what is wrong, and the interface concerned."""
    match step:
        case SetMtu(_, str(), _, name):
            text = f"the {end_words(name)} {name} has not the MTU that carries FD frames"
            return DriftKind.PAIR_MTU, text, name
        case BringUp(_, str(), name):
            return DriftKind.PAIR_DOWN, f"the {end_words(name)} {name} is down", name
        case MakePair(_, endpoint, name, _) | RepairPair(_, endpoint, name, _, _):
            text = f"the interface pair {name} of endpoint {endpoint[:12]} is missing"
            return DriftKind.PAIR_MISSING, text, name
        case MakeFilterInterface(_, endpoint, name):
            text = f"the filter interface {name} of endpoint {endpoint[:12]} is missing"
            return DriftKind.FILTER_MISSING, text, name
        case SetFilters(_, endpoint, _, name):
            text = f"the filters on {name} of endpoint {endpoint[:12]} are not as its options ask"
            return DriftKind.FILTER_MISSING, text, name
        case SetWireEntry(bus, str(), _, name):
            text = f"frames from {name} do not pass through the wire of {bus}"
            return DriftKind.WIRE_BYPASSED, text, name
        case _:
            return None


def _split_rules(
    step: AddRules | RemoveRules, asked: _Asked
) -> Iterator[tuple[AddRules | RemoveRules, Drift | None]]:
    """Split a step of rules into the drift and what was asked for."""
    if not step.bus:
        yield step, None  # what no bus needs any more
        return
    if isinstance(step, AddRules):
        kind, what = DriftKind.RULES_MISSING, "missing"
        has_drifted = [_within(rule, asked.old_ends) for rule in step.rules]
    else:
        kind, what = DriftKind.RULES_SURPLUS, "surplus"
        has_drifted = [not _touches(rule, asked.changed_ends) for rule in step.rules]
    if all(has_drifted):
        drifted, rest = step.rules, RuleList()
    else:
        drifted = RuleList(compress(step.rules, has_drifted))
        rest = RuleList(compress(step.rules, map(not_, has_drifted)))
    if drifted:
        part = type(step)(step.bus, drifted)
        verb = "is" if len(drifted) == 1 else "are"
        text = f"{number_of(len(drifted), 'rule')} of {step.bus} {verb} {what}"
        yield part, Drift(kind, step.bus, part, text)
    if rest:
        yield type(step)(step.bus, rest), None


def _within(rule: Rule, ends: Collection[int]) -> bool:
    return rule.source in ends and rule.target in ends


def _touches(rule: Rule, ends: Collection[int]) -> bool:
    return rule.source in ends or rule.target in ends
