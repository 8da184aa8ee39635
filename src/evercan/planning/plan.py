"""Plans what has to happen for the kernel to be as declared; pure.

An empty plan proves that everything is as declared: the reconciler applies plans until
one is empty, and ``/health`` is the same plan, not applied.
"""

from __future__ import annotations

from collections.abc import Mapping

from evercan.errors import ModuleMissing
from evercan.model.declared import NONE, Declared
from evercan.model.observed import Observed, placeholder_name
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import ClearTag, Step
from evercan.planning.bridge import plan_bridge
from evercan.planning.bus import plan_bus
from evercan.planning.drift import Drift, classify
from evercan.planning.faults import plan_faults
from evercan.planning.pairs import plan_pairs
from evercan.planning.removals import plan_removals
from evercan.planning.rules import Ends, plan_rules
from evercan.planning.wires import plan_wires
from evercan.values import NamedTuple


class Plan(NamedTuple):
    """What to do, and what cannot be done.

    Attributes:
        steps: in the order to take them.
        problems: what none of them repairs.
        drift: what was wanted before and has changed, each with the step that repairs it.
            A step that is not in here was asked for by a call.
        ends: the ends of each bus, between which it has all rules if no step is about rules.
    """

    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    drift: tuple[Drift, ...] = ()
    ends: Mapping[str, Ends] = NONE


def make_plan(declared: Declared, observed: Observed, before: Declared | None = None) -> Plan:
    """Compare what is wanted with what exists.

    Links come first; the rules of links that do not exist yet come in the plan after the
    next observation, when their ifindexes are known.

    Args:
        declared: what is wanted.
        observed: what exists.
        before: what was wanted when the pass began; the same as ``declared`` if no call
            has changed it.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    buses: dict[str, Ends] = {}
    bridged = declared.bridged()
    owner = {link.index: bus for bus in bridged if (link := observed.find(bus)) is not None}

    for bus, networks in declared.networks_by_bus().items():
        members = plan_pairs(declared, observed, bus, steps, problems)
        bus_link = plan_bus(declared, networks, observed, steps, problems)
        if not observed.can_gw:
            problems.append(
                Problem.of_error(ModuleMissing("can-gw"), kind=ProblemKind.CAN_GW_MISSING, bus=bus)
            )
        host = [] if bus_link is None else [bus_link]
        host += plan_bridge(declared, observed, bus, bridged[bus], owner, problems)
        buses[bus] = Ends([link.index for link in host], [link.index for link in members])

    # Frames are let in before rules forward them, and are no longer before a wire is deleted.
    steps += plan_wires(declared, observed, problems)
    steps += plan_faults(declared, observed)  # before rules let frames pass to a new member
    if observed.can_gw:
        steps += plan_rules(declared, observed, buses)
    steps += plan_removals(declared, observed, declared.endpoints, _retired(declared))
    steps += (
        ClearTag(link.index, link.name)
        for link in observed.links.values()
        if link.is_tagged_controller
    )
    ordered, drift = classify(declared if before is None else before, declared, observed, steps)
    return Plan(steps=ordered, problems=tuple(problems), drift=drift, ends=buses)


def _retired(declared: Declared) -> list[str]:
    """Return the names of links that nobody wants, if they exist.

    A placeholder that is observed is left over: a repair deletes its own at its end.
    """
    pairs = {endpoint.host_end for endpoint in declared.endpoints.values()} | declared.retired
    return sorted(declared.retired | set(map(placeholder_name, pairs)))
