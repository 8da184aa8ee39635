"""What is true of every plan, whatever is declared and whatever exists."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from evercan.model.declared import Phase
from evercan.model.observed import Observed
from evercan.model.problems import ProblemKind
from evercan.model.rule_table import RuleTable
from evercan.model.steps import AddRules, ConfigureBus, DeleteLink, RemoveRules
from evercan.planning.plan import make_plan
from evercan.values import replace
from tests.support.invariants import CLASSIC, FD, assert_flags, full_mesh, paths
from tests.support.plan_cases import write_steps
from tests.support.strategies import Situation, situations

ENOUGH = 6
"""Plans that are enough to repair anything."""


def converge(situation: Situation) -> Observed:
    """Apply plans until one is empty; assert that few are needed."""
    failed: set[object] = set()
    for _ in range(ENOUGH):
        observed = situation.kernel.observe()
        steps = [
            step for step in make_plan(situation.declared, observed).steps if step not in failed
        ]
        if not steps:
            return observed
        failed |= {failure.step for failure in situation.kernel.apply(steps)}
    raise AssertionError(f"still to do: {[str(step) for step in steps]}")


@given(situations())
def test_after_all_steps_of_a_plan_nothing_is_left_to_do(situation: Situation) -> None:
    everything = {"vcan", "vxcan", "can-gw"} <= situation.kernel.modules
    observed = converge(situation)
    if everything:
        assert make_plan(situation.declared, observed).steps == ()


@given(situations())
def test_after_a_plan_every_pair_of_members_has_one_rule_of_each_kind(situation: Situation) -> None:
    observed = converge(situation)
    if not observed.can_gw:
        return
    for bus, networks in situation.declared.networks_by_bus().items():
        ids = {network.id for network in networks}
        members = {
            endpoint.rule_end
            for endpoint in situation.declared.endpoints.values()
            if endpoint.network in ids
            and endpoint.phase in (Phase.OFFERED, Phase.JOINED)
            and endpoint.rule_end in observed.links
            and observed.links[endpoint.rule_end].is_ours
        }
        left_out = {
            problem.bus
            for problem in make_plan(situation.declared, observed).problems
            if problem.kind in (ProblemKind.BUS_FOREIGN, ProblemKind.BUS_SETTINGS)
        }
        if bus in observed.links and observed.links[bus].is_can and bus not in left_out:
            members.add(bus)
        between = {
            path: times
            for path, times in paths(observed).items()
            if {*path[:2]} <= members and path[0] != path[1]
        }
        if members - {bus}:
            assert between == dict(full_mesh(sorted(members)))
        if bus in members and members - {bus}:
            assert_flags(observed, bus, members)


@given(situations())
def test_after_a_plan_no_rule_of_evercan_leads_out_of_its_bus(
    situation: Situation,
) -> None:
    observed = converge(situation)
    if not observed.can_gw:
        return
    bus_of = {
        name: situation.declared.networks[endpoint.network].bus
        for endpoint in situation.declared.endpoints.values()
        for name in endpoint.host_interfaces
        if name in observed.links and observed.links[name].is_ours
    }
    bus_of |= {bus: bus for bus in situation.declared.networks_by_bus()}
    # The rules of what left, and is down, forward nothing.
    left = {
        name
        for endpoint in situation.declared.endpoints.values()
        if endpoint.has_left
        for name in endpoint.host_interfaces
    }
    for source, target, kind in paths(observed):
        assert kind in (CLASSIC, FD)
        if {source, target} & left:
            continue
        if source.startswith("vxcan") and source in bus_of:
            assert bus_of.get(target) == bus_of[source]


@given(situations())
def test_what_is_not_evercans_is_not_changed(situation: Situation) -> None:
    before = situation.kernel.observe()
    ours = situation.ours(before)
    may_configure = situation.may_configure(before)
    foreign = {
        name: link
        for name, link in before.links.items()
        if link.index not in ours and name not in may_configure
    }
    rules = Counter(
        {
            rule: times
            for rule, times in before.rules.items()
            if not {rule.source, rule.target} & ours
        }
    )
    after = converge(situation)
    assert {name: after.links.get(name) for name in foreign} == foreign
    assert not rules - Counter(after.rules)


@given(situations())
def test_a_controller_is_configured_only_if_a_network_asks_and_nobody_else_configured_it(
    situation: Situation,
) -> None:
    before = situation.kernel.observe()
    steps = make_plan(situation.declared, before).steps
    configured = {step.name for step in steps if isinstance(step, ConfigureBus)}
    assert configured <= situation.may_configure(before)


@given(situations())
def test_a_controller_keeps_its_ifindex_and_is_never_set_down(situation: Situation) -> None:
    before = situation.kernel.observe()
    after = converge(situation)
    for name, link in before.links.items():
        if link.controller is not None:
            assert after.links[name].index == link.index
            assert after.links[name].up >= link.up


@given(situations())
def test_only_what_is_tagged_and_retired_is_deleted(situation: Situation) -> None:
    before = situation.kernel.observe()
    deleted = {
        step.name
        for step in make_plan(situation.declared, before).steps
        if isinstance(step, DeleteLink)
    }
    assert deleted <= situation.declared.retired
    assert all(before.links[name].is_ours for name in deleted)


@given(situations())
def test_rules_are_added_before_any_are_removed(situation: Situation) -> None:
    steps = make_plan(situation.declared, situation.kernel.observe()).steps
    kinds = [type(step) for step in steps if isinstance(step, AddRules | RemoveRules)]
    assert kinds == sorted(kinds, key=[AddRules, RemoveRules].index)


@given(situations())
def test_a_rule_is_removed_at_most_as_often_as_it_exists(situation: Situation) -> None:
    observed = situation.kernel.observe()
    removed: Counter[object] = Counter()
    for step in make_plan(situation.declared, observed).steps:
        if isinstance(step, RemoveRules):
            removed.update(step.rules)
    assert not removed - Counter[object](observed.rules)


@given(situations())
def test_a_plan_does_not_depend_on_the_order_of_links_and_rules(situation: Situation) -> None:
    observed = situation.kernel.observe()
    backwards = replace(
        observed,
        links=dict(reversed(list(observed.links.items()))),
        rules=RuleTable.of(dict(reversed(list(observed.rules.items())))),
    )
    one, other = (make_plan(situation.declared, seen) for seen in (observed, backwards))
    assert one.problems == other.problems
    assert sorted(map(repr, write_steps(one, observed))) == sorted(
        map(repr, write_steps(other, observed))
    )
