"""What was wanted already and is not there: the part of a plan that nobody has just asked for.

The plan of a turn mixes what its calls newly want with what broke since the last
one. Only the latter is *drift*: it is what a check finds, what makes a bus
unhealthy, and what a recovery mends. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from evercan.model import Declared, Observed, Phase, Rule
from evercan.steps import (
    AddRules,
    ConfigureBus,
    DropRules,
    MakeBus,
    MakePair,
    MendPair,
    SetUp,
    Step,
)
from evercan.troubles import Problem, Trouble


class Fault(StrEnum):
    """What has drifted."""

    BUS_MISSING = "bus-missing"
    BUS_DOWN = "bus-down"
    BUS_SETTINGS = "bus-settings"
    PAIR_MISSING = "pair-missing"
    PAIR_DOWN = "pair-down"
    RULES_MISSING = "rules-missing"
    RULES_SURPLUS = "rules-surplus"


OF_RULES = frozenset({Fault.RULES_MISSING, Fault.RULES_SURPLUS})
"""What is seen in the rule table alone."""


class Drift(NamedTuple):
    """One thing that is not as it was wanted.

    Attributes:
        fault: what it is, for machines.
        bus: the bus interface concerned.
        step: what mends it.
        text: what is wrong, without the remedy.
        endpoint: the endpoint id, when it concerns one alone.
    """

    fault: Fault
    bus: str
    step: Step
    text: str
    endpoint: str | None = None

    @property
    def key(self) -> tuple[Fault, str, str | None]:
        """What stays the same from one look at it to the next."""
        return self.fault, self.bus, self.endpoint

    def problem(self) -> Problem:
        """Say it as the reason that it is until the next look."""
        return Problem(
            kind=Trouble.DRIFT,
            bus=self.bus,
            endpoint=self.endpoint,
            text=f"{self.text}; evercan mends it at its next look",
        )


def drifted(
    before: Declared, declared: Declared, observed: Observed, steps: Iterable[Step]
) -> Iterator[Drift]:
    """Pick from the first plan of a turn what was wanted before it.

    Args:
        before: what was wanted when the turn began.
        declared: what is wanted now.
        observed: what was there when the turn began.
        steps: the plan for it.
    """
    buses = {each.bus for each in before.networks.values()}
    for step in steps:
        match step:
            case MakeBus(bus) if bus in buses:
                yield Drift(
                    fault=Fault.BUS_MISSING,
                    bus=bus,
                    step=step,
                    text=f"the bus interface {bus} is gone",
                )
            case SetUp(bus, None, name) if bus in buses:
                yield Drift(
                    fault=Fault.BUS_DOWN,
                    bus=bus,
                    step=step,
                    text=f"the bus interface {name} is down",
                )
            case ConfigureBus(bus, _, name) if bus in buses:
                yield Drift(
                    fault=Fault.BUS_SETTINGS,
                    bus=bus,
                    step=step,
                    text=f"the controller {name} is not set as its network asks",
                )
            case SetUp(bus, endpoint, name) if endpoint in before.endpoints:
                yield Drift(
                    fault=Fault.PAIR_DOWN,
                    bus=bus,
                    endpoint=endpoint,
                    step=step,
                    text=f"the host end {name} is down",
                )
            case MakePair(bus, endpoint, name, _) | MendPair(bus, endpoint, name, _, _) if (
                _had_pair(before, endpoint)
            ):
                yield Drift(
                    fault=Fault.PAIR_MISSING,
                    bus=bus,
                    endpoint=endpoint,
                    step=step,
                    text=f"the interface pair {name} of endpoint {endpoint[:12]} is gone",
                )
            case AddRules(bus, rules):
                yield from _rules(step, Fault.RULES_MISSING, bus, _old(before, observed, rules))
            case DropRules(bus, rules):
                yield from _rules(
                    step, Fault.RULES_SURPLUS, bus, _uncalled(declared, observed, rules)
                )
            case _:
                continue


def _rules(step: Step, fault: Fault, bus: str, rules: int) -> Iterator[Drift]:
    if rules:
        verb = "missing" if fault is Fault.RULES_MISSING else "too many"
        noun = "rule is" if rules == 1 else "rules are"
        yield Drift(fault=fault, bus=bus, step=step, text=f"{rules} {noun} {verb} on {bus}")


def _had_pair(before: Declared, endpoint_id: str) -> bool:
    endpoint = before.endpoints.get(endpoint_id)
    return endpoint is not None and endpoint.phase is not Phase.DORMANT


def _old(before: Declared, observed: Observed, rules: Iterable[Rule]) -> int:
    """Count the missing rules both of whose ends were members already."""
    members = {
        link.index
        for each in before.endpoints.values()
        if each.is_member and (link := observed.links.get(each.host_end)) is not None
    }
    for bus in before.networks_by_bus():
        link = observed.find(bus)
        if link is not None:
            members.add(link.index)
    return sum(rule.source in members and rule.target in members for rule in rules)


def _uncalled(declared: Declared, observed: Observed, rules: Iterable[Rule]) -> int:
    """Count the surplus rules that are not those of an endpoint which has just left."""
    left = {
        link.index
        for each in declared.endpoints.values()
        if not each.is_member and (link := observed.links.get(each.host_end)) is not None
    }
    return sum(rule.source not in left and rule.target not in left for rule in rules)


def count_by_fault(found: Iterable[Drift]) -> Counter[tuple[str, str]]:
    """Count what has drifted by bus and fault."""
    return Counter((each.bus, each.fault.value) for each in found)
