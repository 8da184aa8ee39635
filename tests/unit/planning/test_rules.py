"""The plan of rules, compared with one that counts all rules as objects."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.model.rule import OWNER_MARK, Rule
from evercan.model.rule_list import RuleList
from evercan.model.rule_table import RuleTable
from evercan.model.steps import AddRules, RemoveRules
from evercan.planning.rules import Ends, mesh, plan_rules

_T = TypeVar("_T")

BUSES = ("vcan0", "vcan1")
HOSTS = {"vcan0": [1, 2, 3], "vcan1": [4]}
MEMBERS = {"vcan0": [12, 10, 11], "vcan1": [20, 21]}
STRANGERS = [50, 51]


def world(ends: dict[str, Ends]) -> tuple[Declared, dict[str, Link]]:
    """Return what is declared and the links of it, of which only the members' matter here."""
    networks = {bus: Network(id=bus, bus=bus) for bus in ends}
    endpoints, links = {}, {}
    for bus, (_, members) in ends.items():
        for index in members:
            name = f"vx{index}"
            endpoints[name] = Endpoint(
                id=name, network=bus, host_end=name, container_end=f"{name}p", peer_prefix="can",
                phase=Phase.JOINED,
            )  # fmt: skip
            links[name] = Link(index=index, name=name, kind="vxcan", group=LINK_GROUP, up=True)
    return Declared(networks=networks, endpoints=endpoints), links


@st.composite
def rules_near_a_mesh(draw: st.DrawFn) -> tuple[dict[str, Ends], Counter[Rule]]:
    ends = {
        bus: Ends(draw(some_of(HOSTS[bus])), draw(some_of(MEMBERS[bus])))
        for bus in draw(some_of(BUSES))
    }
    needed = [rule for found in ends.values() for rule in mesh(*found)]
    indexes = st.sampled_from([*range(1, 5), 10, 11, 12, 20, 21, *STRANGERS])
    other = st.builds(
        Rule,
        indexes,
        indexes,
        st.sampled_from([4, 5, 12, 13]),
        st.sampled_from([1, 1, 0]),
        st.sampled_from([b"", OWNER_MARK, b"else"]),
    )
    rules = Counter(needed if draw(st.booleans()) else ())
    if needed:
        near = st.sampled_from(needed)
        near = st.one_of(near, near.map(lambda rule: rule._replace(extras=b"")))
        rules.update(draw(st.lists(near, max_size=8)))
        rules.subtract(draw(st.lists(near, max_size=8)))
    rules.update(draw(st.lists(other, max_size=8)))
    return ends, +rules


def some_of(values: Sequence[_T]) -> st.SearchStrategy[list[_T]]:
    return st.lists(st.sampled_from(values), unique=True)


@given(rules_near_a_mesh(), st.data())
def test_the_plan_is_that_of_a_comparison_of_all_rules(
    situation: tuple[dict[str, Ends], Counter[Rule]], data: st.DataObject
) -> None:
    ends, rules = situation
    marked = sorted(rule for rule in rules if rule.is_marked)
    host_rules = frozenset(data.draw(some_of(marked))) if marked else frozenset[Rule]()
    plain, links = world(ends)
    declared = Declared(networks=plain.networks, endpoints=plain.endpoints, host_rules=host_rules)
    steps = list(plan_rules(declared, Observed(links=links, rules=RuleTable.of(rules)), ends))
    wanted = {rule for found in ends.values() for rule in mesh(*found)}
    missing = {
        bus: [
            rule
            for rule in mesh(*found)
            if rule not in rules and not (rule.is_marked and rule.without_mark() in rules)
        ]
        for bus, found in ends.items()
    }
    assert {step.bus: list(step.rules) for step in steps if isinstance(step, AddRules)} == {
        bus: lacking for bus, lacking in missing.items() if lacking
    }
    removed = {step.bus: Counter(step.rules) for step in steps if isinstance(step, RemoveRules)}
    assert removed == surplus(ends, rules, wanted, host_rules)


def surplus(
    ends: dict[str, Ends], rules: Counter[Rule], wanted: set[Rule], host_rules: frozenset[Rule]
) -> dict[str, Counter[Rule]]:
    """Return what is to be removed of each bus, rule by rule."""
    bus_of = {index: bus for bus, found in ends.items() for index in found.members}
    host_bus = {index: bus for bus, found in ends.items() for index in found.host}
    removed: dict[str, Counter[Rule]] = {}
    for rule, times in rules.items():
        mine = rule._replace(extras=OWNER_MARK)
        bus = bus_of.get(rule.source) or bus_of.get(rule.target)
        if rule in wanted:
            removed.setdefault(bus or host_bus[rule.source], Counter())[rule] += times - 1
        elif bus is not None:
            removed.setdefault(bus, Counter())[rule] += times
        if not rule.extras and mine in wanted and mine in rules:
            removed.setdefault(host_bus[rule.source], Counter())[mine] += 1
    stray = Counter({rule: max(rules[rule], 1) for rule in host_rules - wanted})
    return {bus: +found for bus, found in {**removed, "": stray}.items() if +found}


def test_a_healthy_bus_is_compared_without_an_object_for_each_rule() -> None:
    ends = {"vcan0": Ends([1], range(10, 110))}
    declared, links = world(ends)
    observed = Observed(links=links, rules=RuleTable.of(mesh(*ends["vcan0"])))
    tracemalloc.start()
    try:
        assert not list(plan_rules(declared, observed, ends))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 1024, "1 kB a member"


def test_rules_that_a_large_bus_lacks_are_added_in_the_order_of_a_mesh() -> None:
    ends = {"vcan0": Ends([1], range(10, 60))}
    declared, links = world(ends)
    needed = list(mesh(*ends["vcan0"]))
    for lacking in (needed, needed[::7], needed[-1:]):
        rules = RuleTable.of(Counter(needed) - Counter(lacking))
        (step,) = plan_rules(declared, Observed(links=links, rules=rules), ends)
        assert step == AddRules("vcan0", RuleList(lacking))
