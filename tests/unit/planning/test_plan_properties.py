"""What holds of every plan, whatever is on record and whatever is found."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from evercan.model.declared import Phase
from evercan.model.observed import Observed
from evercan.model.problems import ProblemKind
from evercan.model.steps import AddRules, ConfigureBus, DeleteLink, RemoveRules
from evercan.planning.plan import make_plan
from tests.support.invariants import CLASSIC, FD, assert_flags, full_mesh, paths
from tests.support.plan_cases import write_steps
from tests.support.worlds import World, worlds

ENOUGH = 6
"""Plans that are enough to mend anything."""


def converge(world: World) -> Observed:
    """Apply plans until none does anything more; hold that it takes few."""
    refused: set[object] = set()
    for _ in range(ENOUGH):
        observed = world.kernel.observe()
        steps = [each for each in make_plan(world.declared, observed).steps if each not in refused]
        if not steps:
            return observed
        refused |= {failure.step for failure in world.kernel.apply(steps)}
    raise AssertionError(f"still to do: {[str(step) for step in steps]}")


@given(worlds())
def test_a_plan_applied_leaves_nothing_to_plan(world: World) -> None:
    everything = {"vcan", "vxcan", "can-gw"} <= world.kernel.modules
    observed = converge(world)
    if everything:
        assert make_plan(world.declared, observed).steps == ()


@given(worlds())
def test_after_a_plan_every_pair_of_members_has_one_rule_of_each_kind(world: World) -> None:
    observed = converge(world)
    if not observed.can_gw:
        return
    for bus, networks in world.declared.networks_by_bus().items():
        ids = {each.id for each in networks}
        members = {
            each.host_end
            for each in world.declared.endpoints.values()
            if each.network in ids
            and each.phase in (Phase.OFFERED, Phase.JOINED)
            and each.host_end in observed.links
            and observed.links[each.host_end].is_ours
        }
        left_out = {
            each.bus
            for each in make_plan(world.declared, observed).problems
            if each.kind in (ProblemKind.BUS_FOREIGN, ProblemKind.BUS_SETTINGS)
        }
        if bus in observed.links and observed.links[bus].is_can and bus not in left_out:
            members.add(bus)
        among = {
            path: times
            for path, times in paths(observed).items()
            if {*path[:2]} <= members and path[0] != path[1]
        }
        if members - {bus}:
            assert among == dict(full_mesh(sorted(members)))
        if bus in members and members - {bus}:
            assert_flags(observed, bus, members)


@given(worlds())
def test_after_a_plan_no_frame_leaves_its_bus_through_an_end_of_ours(world: World) -> None:
    observed = converge(world)
    if not observed.can_gw:
        return
    bus_of = {
        each.host_end: world.declared.networks[each.network].bus
        for each in world.declared.endpoints.values()
        if each.host_end in observed.links and observed.links[each.host_end].is_ours
    }
    bus_of |= {bus: bus for bus in world.declared.networks_by_bus()}
    for source, target, kind in paths(observed):
        assert kind in (CLASSIC, FD)
        if source.startswith("vxcan") and source in bus_of:
            assert bus_of.get(target) == bus_of[source]


@given(worlds())
def test_what_is_foreign_is_not_touched(world: World) -> None:
    before = world.kernel.observe()
    ours = world.ours(before)
    may_set = world.may_set(before)
    foreign = {
        name: link
        for name, link in before.links.items()
        if link.index not in ours and name not in may_set
    }
    rules = Counter(
        {
            rule: times
            for rule, times in before.rules.items()
            if not {rule.source, rule.target} & ours
        }
    )
    after = converge(world)
    assert {name: after.links.get(name) for name in foreign} == foreign
    assert not rules - after.rules


@given(worlds())
def test_a_controller_is_set_only_if_a_network_asks_and_nobody_else_has_it_up(world: World) -> None:
    before = world.kernel.observe()
    steps = make_plan(world.declared, before).steps
    assert {each.name for each in steps if isinstance(each, ConfigureBus)} <= world.may_set(before)


@given(worlds())
def test_a_controller_is_there_as_before_and_as_up_as_before(world: World) -> None:
    before = world.kernel.observe()
    after = converge(world)
    for name, link in before.links.items():
        if link.controller is not None:
            assert after.links[name].index == link.index
            assert after.links[name].up >= link.up


@given(worlds())
def test_only_what_is_tagged_and_retired_is_deleted(world: World) -> None:
    before = world.kernel.observe()
    deleted = {
        step.name
        for step in make_plan(world.declared, before).steps
        if isinstance(step, DeleteLink)
    }
    assert deleted <= world.declared.retired
    assert all(before.links[name].is_ours for name in deleted)


@given(worlds())
def test_rules_are_added_before_any_are_dropped(world: World) -> None:
    steps = make_plan(world.declared, world.kernel.observe()).steps
    kinds = [type(step) for step in steps if isinstance(step, AddRules | RemoveRules)]
    assert kinds == sorted(kinds, key=[AddRules, RemoveRules].index)


@given(worlds())
def test_every_dropped_rule_is_there_as_often_as_it_is_dropped(world: World) -> None:
    observed = world.kernel.observe()
    dropped: Counter[object] = Counter()
    for step in make_plan(world.declared, observed).steps:
        if isinstance(step, RemoveRules):
            dropped.update(step.rules)
    assert not dropped - Counter[object](observed.rules)


@given(worlds())
def test_a_plan_depends_on_nothing_but_what_is_declared_and_observed(world: World) -> None:
    observed = world.kernel.observe()
    backwards = Observed(
        links=dict(reversed(list(observed.links.items()))),
        rules=Counter(dict(reversed(list(observed.rules.items())))),
        can_gw=observed.can_gw,
    )
    one, other = (make_plan(world.declared, each) for each in (observed, backwards))
    assert one.problems == other.problems
    assert sorted(map(repr, write_steps(one, observed))) == sorted(
        map(repr, write_steps(other, observed))
    )
