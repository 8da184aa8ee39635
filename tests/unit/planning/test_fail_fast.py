"""What fail-fast lets a turn do: what its calls ask for, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given

from evercan.intent.changes import Join, Leave
from evercan.model.declared import Declared, Phase
from evercan.model.observed import LINK_GROUP, Observed, Rule
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import AddRules, BringUp, DeleteLink, MakeBus, MakePair, RemoveRules
from evercan.planning.fail_fast import leave_drift
from evercan.planning.plan import Plan, make_plan
from evercan.planning.rules import mesh
from tests.support.fake_kernel import FakeKernel
from tests.support.records import endpoint, network, record
from tests.support.worlds import World, worlds

TRIO = record([network()], [endpoint("aa"), endpoint("bb"), endpoint("cc")])


def whole(declared: Declared) -> FakeKernel:
    """A kernel on which everything declared is in place, container ends in sandboxes."""
    kernel = FakeKernel()
    for _ in range(3):
        kernel.apply(make_plan(declared, kernel.observe()).steps)
    for number, each in enumerate(declared.endpoints.values()):
        if each.host_end not in kernel.observe().links:
            kernel.apply([MakePair("vcan0", each.id, each.host_end, each.container_end)])
            kernel.take(each.container_end, number)
    kernel.apply(make_plan(declared, kernel.observe()).steps)
    assert make_plan(declared, kernel.observe()) == Plan()
    return kernel


def plan_of(before: Declared, declared: Declared, observed: Observed) -> Plan:
    """Plan a pass that began with ``before``, and leave its drift."""
    return leave_drift(make_plan(declared, observed, before), declared, observed)


def drift(plan: Plan) -> list[Problem]:
    return [each for each in plan.problems if each.kind is ProblemKind.DRIFT]


def test_a_whole_bus_wants_nothing() -> None:
    assert plan_of(TRIO, TRIO, whole(TRIO).observe()) == Plan()


def test_a_new_networks_bus_is_made() -> None:
    wanted = record([network()])
    assert plan_of(record(), wanted, Observed()) == Plan(steps=(MakeBus("vcan0"),))


def test_a_bus_that_went_away_is_told_and_not_made() -> None:
    wanted = record([network()])
    plan = plan_of(wanted, wanted, Observed())
    assert plan.steps == ()
    (problem,) = plan.problems
    assert (problem.kind, problem.bus, problem.endpoint) == (ProblemKind.DRIFT, "vcan0", None)
    assert "vcan0 is missing" in problem.text
    for words in ("down && docker compose up", "EVERCAN_RECOVERY=auto"):
        assert words in problem.remedy


def test_a_new_network_gets_its_bus_even_if_another_network_lacks_it() -> None:
    plan = plan_of(record([network()]), record([network(), network("other")]), Observed())
    assert plan == Plan(steps=(MakeBus("vcan0"),))


def test_a_network_that_is_removed_and_created_again_gets_its_bus() -> None:
    plan = plan_of(record([network()]), record([network("anew")]), Observed())
    assert plan == Plan(steps=(MakeBus("vcan0"),))


@pytest.mark.parametrize(
    "before", [record([network()]), record([network()], [endpoint("aa", phase=Phase.DORMANT)])]
)
def test_a_new_endpoint_gets_its_pair(before: Declared) -> None:
    observed = whole(record([network()])).observe()
    wanted = before.with_endpoint(endpoint("aa", phase=Phase.CREATED))
    assert plan_of(before, wanted, observed) == Plan(
        steps=(MakePair("vcan0", "aa", "vxcanaa", "vxcanaap"),)
    )


def test_a_pair_that_went_away_before_the_join_is_not_made_again() -> None:
    before = record([network()], [endpoint("aa", phase=Phase.CREATED)])
    observed = whole(record([network()])).observe()
    plan = plan_of(before, Join("net", "aa").apply(before, observed), observed)
    assert plan.steps == ()
    (problem,) = plan.problems
    assert (problem.kind, problem.endpoint) == (ProblemKind.DRIFT, "aa")
    assert "restart its container" in problem.remedy


def test_a_host_end_or_a_bus_that_was_set_down_stays_down() -> None:
    kernel = whole(TRIO)
    kernel.set_flag("vxcanaa", up=False)
    kernel.set_flag("vcan0", up=False)
    plan = plan_of(TRIO, TRIO, kernel.observe())
    assert plan.steps == ()
    assert {(each.endpoint, "ip link set" in each.remedy) for each in plan.problems} == {
        ("aa", True),
        (None, True),
    }


def test_an_unused_bus_of_ours_that_is_down_is_set_up_for_a_new_network() -> None:
    kernel = FakeKernel()
    kernel.make("vcan0", "vcan", group=LINK_GROUP)
    plan = plan_of(record(), record([network()]), kernel.observe())
    assert plan.steps == (BringUp("vcan0", None, "vcan0"),)


def test_who_joins_is_wired_and_the_rules_among_the_others_stay_flushed() -> None:
    pair = record([network()], [endpoint("aa"), endpoint("bb")])
    kernel = whole(TRIO)
    kernel.flush_rules()
    observed = kernel.observe()
    (step,) = plan_of(pair, TRIO, observed).steps
    assert isinstance(step, AddRules)
    joined = observed.links["vxcancc"].index
    members = [observed.links[f"vxcan{each}"].index for each in ("aa", "bb", "cc")]
    every = list(mesh(observed.links["vcan0"].index, members))
    assert Counter(step.rules) == Counter(
        each for each in every if joined in (each.source, each.target)
    )
    problems = drift(plan_of(pair, TRIO, observed))
    assert [each.endpoint for each in problems] == ["aa", "bb"]
    assert "lacks 8 rules, and EVERCAN_RECOVERY" in problems[0].text


def test_rules_laid_twice_stay_and_are_told_at_both_ends() -> None:
    kernel = whole(TRIO)
    links = kernel.observe().links
    kernel.add_rule(Rule(links["vxcanaa"].index, links["vxcanbb"].index, 0x4))
    plan = plan_of(TRIO, TRIO, kernel.observe())
    assert plan.steps == ()
    assert [(each.endpoint, "has 1 surplus rule" in each.text) for each in drift(plan)] == [
        ("aa", True),
        ("bb", True),
    ]


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("told_before", [False, True], ids=["by this turn", "by a killed process"])
def test_the_rules_of_who_left_go(doubled: bool, told_before: bool) -> None:
    kernel = whole(TRIO)
    links = kernel.observe().links
    if doubled:
        kernel.add_rule(Rule(links["vxcanaa"].index, links["vxcanbb"].index, 0x4))
    left = Leave("aa").apply(TRIO, Observed())
    plan = plan_of(left if told_before else TRIO, left, kernel.observe())
    assert plan.problems == ()
    (step,) = plan.steps
    assert isinstance(step, RemoveRules)
    assert len(step.rules) == 12 + doubled


@pytest.mark.parametrize("told_before", [False, True], ids=["by this turn", "by a killed process"])
def test_what_was_deleted_goes(told_before: bool) -> None:
    kernel = whole(TRIO)
    wanted = TRIO.without_network("net")
    plan = plan_of(wanted if told_before else TRIO, wanted, kernel.observe())
    assert plan.problems == ()
    assert [each.name for each in plan.steps if isinstance(each, DeleteLink)] == [
        "vcan0",
        "vxcanaa",
        "vxcanbb",
        "vxcancc",
    ]


def test_a_restart_of_one_container_after_another_mends_flushed_rules() -> None:
    kernel, declared = whole(TRIO), TRIO
    kernel.flush_rules()

    def turn(wanted: Declared) -> Declared:
        for _ in range(4):
            kernel.apply(plan_of(declared, wanted, kernel.observe()).steps)
        return wanted

    for name in ("aa", "bb", "cc"):
        declared = turn(Leave(name).apply(declared, Observed()))
        declared = turn(declared.without_endpoint(name))
        declared = turn(declared.with_endpoint(endpoint(f"{name}2", phase=Phase.CREATED)))
        declared = turn(declared.with_endpoint(endpoint(f"{name}2", phase=Phase.OFFERED)))
    assert make_plan(declared, kernel.observe()) == Plan()


@given(worlds())
def test_what_nobody_asked_for_is_told_and_not_done(world: World) -> None:
    declared, observed = world.declared, world.kernel.observe()
    left = {
        observed.links[each.host_end].index
        for each in declared.endpoints.values()
        if not each.is_member and each.host_end in observed.links
    }
    plan = plan_of(declared, declared, observed)
    for step in plan.steps:
        assert isinstance(step, DeleteLink | RemoveRules)
        if isinstance(step, RemoveRules):
            assert all(left & {rule.source, rule.target} for rule in step.rules)
    withheld = [each for each in make_plan(declared, observed).steps if each not in plan.steps]
    going = {each.index for each in plan.steps if isinstance(each, DeleteLink)}
    if any(not isinstance(each, AddRules | RemoveRules) for each in withheld) and not going:
        assert drift(plan)


@given(worlds())
def test_what_is_all_new_is_all_done(world: World) -> None:
    observed = world.kernel.observe()
    everything = make_plan(world.declared, observed)
    asked = plan_of(Declared(), replace(world.declared), observed)
    assert asked.problems == everything.problems or drift(asked)
    links = [each for each in everything.steps if not isinstance(each, AddRules | RemoveRules)]
    assert [each for each in asked.steps if not isinstance(each, AddRules | RemoveRules)] == links
