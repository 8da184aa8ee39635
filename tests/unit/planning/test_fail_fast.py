"""Under fail-fast a pass does what its calls ask for, reports drift, and does not repair it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from evercan.intent.endpoint_changes import Join, Leave
from evercan.model.declared import Declared, Phase
from evercan.model.observed import LINK_GROUP, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.rule import Rule
from evercan.model.steps import (
    AddRules,
    BringDown,
    BringUp,
    DeleteLink,
    MakeBus,
    MakePair,
    RemoveRules,
    SetWireEntry,
    Step,
)
from evercan.planning.fail_fast import leave_drift
from evercan.planning.plan import Plan, make_plan
from evercan.planning.rules import mesh
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel
from tests.support.healthy_host import healthy_kernel
from tests.support.strategies import Situation, situations

TRIO = declare([network()], [endpoint("aa"), endpoint("bb"), endpoint("cc")])


def plan_of(before: Declared, declared: Declared, observed: Observed) -> Plan:
    """Plan a pass that began with ``before``, and leave its drift."""
    plan = make_plan(declared, observed, before)._replace(ends={})
    return leave_drift(plan, declared, observed)


def drift(plan: Plan) -> list[Problem]:
    return [problem for problem in plan.problems if problem.kind is ProblemKind.DRIFT]


def test_a_healthy_bus_needs_no_step() -> None:
    assert plan_of(TRIO, TRIO, healthy_kernel(TRIO).observe()) == Plan()


def test_the_bus_of_a_new_network_is_created() -> None:
    wanted = declare([network()])
    assert plan_of(declare(), wanted, Observed()) == Plan(steps=(MakeBus("vcan0"),))


def test_a_missing_bus_is_reported_and_not_created() -> None:
    wanted = declare([network()])
    plan = plan_of(wanted, wanted, Observed())
    assert plan.steps == ()
    (problem,) = plan.problems
    assert (problem.kind, problem.bus, problem.endpoint) == (ProblemKind.DRIFT, "vcan0", None)
    assert "vcan0 is missing" in problem.text
    for words in ("down && docker compose up", "EVERCAN_RECOVERY=auto"):
        assert words in problem.remedy


def test_a_new_network_gets_its_bus_even_if_another_network_lacks_it() -> None:
    plan = plan_of(declare([network()]), declare([network(), network("other")]), Observed())
    assert plan == Plan(steps=(MakeBus("vcan0"),))


def test_a_network_that_is_removed_and_created_again_gets_its_bus() -> None:
    plan = plan_of(declare([network()]), declare([network("new")]), Observed())
    assert plan == Plan(steps=(MakeBus("vcan0"),))


@pytest.mark.parametrize(
    "before", [declare([network()]), declare([network()], [endpoint("aa", phase=Phase.DORMANT)])]
)
def test_a_new_endpoint_gets_its_pair(before: Declared) -> None:
    observed = healthy_kernel(declare([network()])).observe()
    wanted = before.with_endpoint(endpoint("aa", phase=Phase.CREATED))
    assert plan_of(before, wanted, observed) == Plan(
        steps=(MakePair("vcan0", "aa", "vxcanaa", "vxcanaap"),)
    )


def test_a_pair_that_is_missing_before_the_join_is_not_created_again() -> None:
    before = declare([network()], [endpoint("aa", phase=Phase.CREATED)])
    observed = healthy_kernel(declare([network()])).observe()
    plan = plan_of(before, Join("net", "aa").apply(before, observed), observed)
    assert plan.steps == ()
    (problem,) = plan.problems
    assert (problem.kind, problem.endpoint) == (ProblemKind.DRIFT, "aa")
    assert "restart its container" in problem.remedy


def test_a_host_end_or_a_bus_that_was_set_down_stays_down() -> None:
    kernel = healthy_kernel(TRIO)
    kernel.set_flag("vxcanaa", up=False)
    kernel.set_flag("vcan0", up=False)
    plan = plan_of(TRIO, TRIO, kernel.observe())
    assert plan.steps == ()
    assert {(problem.endpoint, "ip link set" in problem.remedy) for problem in plan.problems} == {
        ("aa", True),
        (None, True),
    }


def test_an_unused_bus_of_evercan_that_is_down_is_brought_up_for_a_new_network() -> None:
    kernel = FakeKernel()
    kernel.make("vcan0", "vcan", group=LINK_GROUP)
    plan = plan_of(declare(), declare([network()]), kernel.observe())
    assert plan.steps == (BringUp("vcan0", None, "vcan0"),)


def test_a_new_member_gets_its_rules_and_flushed_rules_of_the_others_stay_missing() -> None:
    pair = declare([network()], [endpoint("aa"), endpoint("bb")])
    kernel = healthy_kernel(TRIO)
    kernel.flush_rules()
    observed = kernel.observe()
    (step,) = plan_of(pair, TRIO, observed).steps
    assert isinstance(step, AddRules)
    joined = observed.links["vxcancc"].index
    members = [observed.links[f"vxcan{name}"].index for name in ("aa", "bb", "cc")]
    all_rules = list(mesh([observed.links["vcan0"].index], members))
    assert Counter(step.rules) == Counter(
        rule for rule in all_rules if joined in (rule.source, rule.target)
    )
    problems = drift(plan_of(pair, TRIO, observed))
    assert [problem.endpoint for problem in problems] == ["aa", "bb"]
    assert "lacks 8 rules, and EVERCAN_RECOVERY" in problems[0].text


def test_doubled_rules_stay_and_are_reported_for_both_ends() -> None:
    kernel = healthy_kernel(TRIO)
    links = kernel.observe().links
    kernel.add_rule(Rule(links["vxcanaa"].index, links["vxcanbb"].index, 0x4))
    plan = plan_of(TRIO, TRIO, kernel.observe())
    assert plan.steps == ()
    assert [
        (problem.endpoint, "has 1 surplus rule" in problem.text) for problem in drift(plan)
    ] == [
        ("aa", True),
        ("bb", True),
    ]


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("known_before", [False, True], ids=["by this pass", "by a killed process"])
def test_the_host_end_of_an_endpoint_that_left_is_set_down(
    doubled: bool, known_before: bool
) -> None:
    kernel = healthy_kernel(TRIO)
    links = kernel.observe().links
    if doubled:
        kernel.add_rule(Rule(links["vxcanaa"].index, links["vxcanbb"].index, 0x4))
    left = Leave("aa").apply(TRIO, Observed())
    plan = plan_of(left if known_before else TRIO, left, kernel.observe())
    assert plan.problems == ()
    assert plan.steps == (BringDown("vcan0", "aa", links["vxcanaa"].index, "vxcanaa"),)


@pytest.mark.parametrize("known_before", [False, True], ids=["by this pass", "by a killed process"])
def test_interfaces_of_a_deleted_network_are_deleted(known_before: bool) -> None:
    kernel = healthy_kernel(TRIO)
    wanted = TRIO.without_network("net")
    plan = plan_of(wanted if known_before else TRIO, wanted, kernel.observe())
    assert plan.problems == ()
    assert [step.name for step in plan.steps if isinstance(step, DeleteLink)] == [
        "vcan0",
        "vxcanaa",
        "vxcanbb",
        "vxcancc",
    ]


def test_restarting_one_container_after_another_restores_flushed_rules() -> None:
    kernel, declared = healthy_kernel(TRIO), TRIO
    kernel.flush_rules()

    def run_pass(wanted: Declared) -> Declared:
        for _ in range(4):
            kernel.apply(plan_of(declared, wanted, kernel.observe()).steps)
        return wanted

    for name in ("aa", "bb", "cc"):
        declared = run_pass(Leave(name).apply(declared, Observed()))
        declared = run_pass(declared.without_endpoint(name))
        declared = run_pass(declared.with_endpoint(endpoint(f"{name}2", phase=Phase.CREATED)))
        declared = run_pass(declared.with_endpoint(endpoint(f"{name}2", phase=Phase.OFFERED)))
    assert make_plan(declared, kernel.observe()).steps == ()


@given(situations())
def test_drift_is_reported_and_not_repaired(situation: Situation) -> None:
    declared, observed = situation.declared, situation.kernel.observe()
    not_members = {
        observed.links[name].index
        for endpoint in declared.endpoints.values()
        if not endpoint.is_member
        for name in endpoint.host_interfaces
        if name in observed.links
    }
    plan = plan_of(declared, declared, observed)
    for step in plan.steps:
        if isinstance(step, SetWireEntry):
            assert step.entry is None
        else:
            assert isinstance(step, BringDown | DeleteLink | RemoveRules)
        if isinstance(step, BringDown):
            assert declared.endpoints[step.endpoint].has_left
        if isinstance(step, RemoveRules):
            assert all(not_members & {rule.source, rule.target} for rule in step.rules)
    withheld = [step for step in make_plan(declared, observed).steps if step not in plan.steps]
    deleted = {step.index for step in plan.steps if isinstance(step, DeleteLink)}
    if any(not isinstance(step, AddRules | RemoveRules) for step in withheld) and not deleted:
        assert drift(plan)


@given(situations())
def test_everything_is_done_if_everything_is_new(situation: Situation) -> None:
    observed = situation.kernel.observe()
    everything = make_plan(situation.declared, observed)
    asked = plan_of(Declared(), replace(situation.declared), observed)
    assert asked.problems == everything.problems or drift(asked)

    def steps_of_links(plan: Plan) -> list[Step]:
        return [step for step in plan.steps if not isinstance(step, AddRules | RemoveRules)]

    assert steps_of_links(asked) == steps_of_links(everything)
