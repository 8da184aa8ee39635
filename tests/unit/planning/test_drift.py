"""Each kind of step is drift if its result was wanted before the pass, and asked for otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from evercan.intent.endpoint_changes import Join, Leave
from evercan.model.controller import ControllerSettings
from evercan.model.declared import Declared, Network, Phase
from evercan.model.observed import LINK_GROUP, Location, Observed
from evercan.model.problems import ProblemKind
from evercan.model.rule import Rule
from evercan.model.steps import (
    AddRules,
    BringDown,
    BringUp,
    ClearTag,
    ConfigureBus,
    DeleteLink,
    MakeBus,
    MakePair,
    NameEnd,
    RemoveRules,
    RepairPair,
    SetMtu,
)
from evercan.planning.drift import Drift, DriftKind
from evercan.planning.fail_fast import leave_drift
from evercan.planning.plan import Plan, make_plan
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network, physical
from tests.support.fake_kernel import FakeKernel
from tests.support.healthy_host import healthy, healthy_host, healthy_kernel
from tests.support.strategies import Situation, situations

NOTHING = declare()
ONE_NETWORK = declare([network()])
PAIR = declare([network()], [endpoint("aa"), endpoint("bb")])
TRIO = PAIR.with_endpoint(endpoint("cc"))
SETTINGS = ControllerSettings(bitrate=500_000)


def with_settings(name: str = "net") -> Network:
    return replace(physical(name), settings=SETTINGS)


def only_drift(plan: Plan) -> Drift:
    """Return the drift of a plan that has one step, which is drift."""
    (step,) = plan.steps
    (drift,) = plan.drift
    assert drift.step == step
    return drift


def planned(before: Declared, declared: Declared, observed: Observed) -> Plan:
    return make_plan(declared, observed, before)._replace(ends={})


# --- the bus interface ---------------------------------------------------------------


def test_a_missing_bus_is_drift_if_its_network_was_known() -> None:
    drift = only_drift(planned(ONE_NETWORK, ONE_NETWORK, Observed()))
    assert drift == Drift(
        DriftKind.BUS_MISSING, "vcan0", MakeBus("vcan0"), "the bus interface vcan0 is missing"
    )


@pytest.mark.parametrize(
    "before", [NOTHING, declare([network("other")])], ids=["first network", "second network"]
)
def test_a_missing_bus_is_asked_for_by_a_new_network(before: Declared) -> None:
    plan = planned(before, before.with_network(network("new")), Observed())
    assert plan == Plan(steps=(MakeBus("vcan0"),))


@pytest.mark.parametrize("mtu", [16, 2060])
def test_another_mtu_of_a_bus_is_drift_if_its_network_was_known(mtu: int) -> None:
    kernel = healthy_kernel(ONE_NETWORK)
    kernel.set_mtu("vcan0", mtu)
    drift = only_drift(planned(ONE_NETWORK, ONE_NETWORK, kernel.observe()))
    assert (drift.kind, drift.bus, drift.endpoint) == (DriftKind.BUS_MTU, "vcan0", None)
    assert drift.step == SetMtu("vcan0", None, kernel.link("vcan0").index, "vcan0", 72)
    (problem,) = leave_drift(
        planned(ONE_NETWORK, ONE_NETWORK, kernel.observe()), ONE_NETWORK, kernel.observe()
    ).problems
    assert "has not the MTU 72" in problem.text
    assert "ip link set vcan0 mtu 72 up" in problem.remedy


def test_the_mtu_of_a_bus_is_asked_for_by_a_new_network() -> None:
    kernel = healthy_kernel(ONE_NETWORK)
    kernel.set_mtu("vcan0", 2060)
    after = ONE_NETWORK.with_network(network("new"))
    plan = planned(ONE_NETWORK, after, kernel.observe())
    assert [type(step) for step in plan.steps] == [SetMtu]
    assert plan.drift == ()


@pytest.mark.parametrize("mtu", [16, 2060])
def test_another_mtu_of_a_host_end_is_drift_if_the_pair_was_wanted(mtu: int) -> None:
    kernel = healthy_kernel(PAIR)
    kernel.set_mtu("vxcanaa", mtu)
    drift = only_drift(planned(PAIR, PAIR, kernel.observe()))
    assert (drift.kind, drift.bus, drift.endpoint) == (DriftKind.PAIR_MTU, "vcan0", "aa")


def bus_that_is_down() -> Observed:
    kernel = FakeKernel()
    kernel.make("vcan0", group=LINK_GROUP)
    return kernel.observe()


def test_a_bus_that_is_down_is_drift_if_its_network_was_known() -> None:
    drift = only_drift(planned(ONE_NETWORK, ONE_NETWORK, bus_that_is_down()))
    assert (drift.kind, drift.bus, drift.endpoint) == (DriftKind.BUS_DOWN, "vcan0", None)
    assert drift.step == BringUp("vcan0", None, "vcan0")


def test_a_bus_that_is_down_is_brought_up_for_a_new_network() -> None:
    plan = planned(NOTHING, ONE_NETWORK, bus_that_is_down())
    assert plan == Plan(steps=(BringUp("vcan0", None, "vcan0"),))


def controller_that_is_down() -> Observed:
    kernel = FakeKernel()
    kernel.plug("can0")
    return kernel.observe()


def test_a_controller_that_lost_its_settings_is_drift() -> None:
    declared = declare([with_settings()])
    drift = only_drift(planned(declared, declared, controller_that_is_down()))
    assert (drift.kind, drift.bus) == (DriftKind.BUS_SETTINGS, "can0")
    assert isinstance(drift.step, ConfigureBus)


def test_a_controller_that_somebody_reconfigured_is_drift() -> None:
    kernel, declared = healthy_host(declare([with_settings()]))
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", ControllerSettings(bitrate=125_000))
    assert only_drift(planned(declared, declared, kernel.observe())).kind is DriftKind.BUS_SETTINGS


def test_a_controller_of_a_new_network_is_asked_for() -> None:
    plan = planned(NOTHING, declare([with_settings()]), controller_that_is_down())
    assert [type(step) for step in plan.steps] == [ConfigureBus]
    assert plan.drift == ()


def leave_everything(plan: Plan, _: Declared, __: Observed) -> Plan:
    return plan


@pytest.mark.parametrize("restrain", [leave_everything, leave_drift], ids=["auto", "fail-fast"])
def test_a_bitrate_that_a_second_network_gives_a_known_controller_is_no_drift(
    restrain: Callable[[Plan, Declared, Observed], Plan],
) -> None:
    before = declare([physical("first")], [endpoint("aa", "first")])
    kernel = healthy_kernel(before)
    declared = before.with_network(with_settings("second"))
    plan = planned(before, declared, kernel.observe())
    assert [type(step) for step in plan.steps] == [ConfigureBus]
    assert plan.drift == ()
    assert restrain(plan, declared, kernel.observe()) == plan
    assert plan.problems == ()


def test_settings_that_a_known_network_already_gave_stay_drift_when_another_bus_changes() -> None:
    before = declare([with_settings()])
    declared = before.with_network(network("other", "vcan5"))
    plan = planned(before, declared, controller_that_is_down())
    assert [drift.kind for drift in plan.drift] == [DriftKind.BUS_SETTINGS]


# --- pairs --------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.OFFERED])
def test_a_missing_pair_is_drift_if_it_was_wanted(phase: Phase) -> None:
    declared = declare([network()], [endpoint("aa", phase=phase)])
    drift = only_drift(planned(declared, declared, healthy(ONE_NETWORK)))
    assert (drift.kind, drift.bus, drift.endpoint) == (DriftKind.PAIR_MISSING, "vcan0", "aa")
    assert drift.step == MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")


def test_a_pair_that_is_missing_when_its_endpoint_joins_is_drift() -> None:
    before = declare([network()], [endpoint("aa", phase=Phase.CREATED)])
    observed = healthy(ONE_NETWORK)
    joined = Join("net", "aa").apply(before, observed)
    assert only_drift(planned(before, joined, observed)).kind is DriftKind.PAIR_MISSING


@pytest.mark.parametrize(
    "before",
    [ONE_NETWORK, declare([network()], [endpoint("aa", phase=Phase.DORMANT)])],
    ids=["unknown endpoint", "endpoint that is not running"],
)
def test_a_pair_is_asked_for_by_an_endpoint_that_joins(before: Declared) -> None:
    observed = healthy(ONE_NETWORK)
    plan = planned(before, before.with_endpoint(endpoint("aa", phase=Phase.OFFERED)), observed)
    assert plan == Plan(steps=(MakePair("vcan0", "aa", "vxcanaa", "vxcanaap"),))


def test_a_pair_that_was_deleted_while_its_container_runs_is_drift() -> None:
    declared = declare([network()], [endpoint("aa")])
    observed = replace(healthy(ONE_NETWORK), locations={"aa": Location(3, "can0")})
    drift = only_drift(planned(declared, declared, observed))
    assert (drift.kind, drift.endpoint) == (DriftKind.PAIR_MISSING, "aa")
    assert isinstance(drift.step, RepairPair)


def test_a_host_end_that_is_down_is_drift_if_it_was_wanted() -> None:
    kernel = healthy_kernel(PAIR)
    kernel.set_flag("vxcanaa", up=False)
    drift = only_drift(planned(PAIR, PAIR, kernel.observe()))
    assert (drift.kind, drift.bus, drift.endpoint) == (DriftKind.PAIR_DOWN, "vcan0", "aa")
    assert drift.step == BringUp("vcan0", "aa", "vxcanaa")


def test_a_host_end_that_is_down_is_brought_up_for_an_endpoint_that_joins() -> None:
    kernel = healthy_kernel(declare([network()], [endpoint("aa", phase=Phase.CREATED)]))
    kernel.set_flag("vxcanaa", up=False)
    plan = planned(
        declare([network()], [endpoint("aa", phase=Phase.DORMANT)]),
        declare([network()], [endpoint("aa", phase=Phase.OFFERED)]),
        kernel.observe(),
    )
    assert plan.steps[0] == BringUp("vcan0", "aa", "vxcanaa")
    assert plan.drift == ()


# --- steps that are never drift -------------------------------------------------------


def test_naming_a_container_end_is_never_drift() -> None:
    declared = declare(
        [network()], [replace(endpoint("aa", phase=Phase.OFFERED), altname="powertrain")]
    )
    kernel = healthy_kernel(declare([network()], [endpoint("aa", phase=Phase.OFFERED)]))
    plan = planned(declared, declared, kernel.observe())
    assert [type(step) for step in plan.steps] == [NameEnd]
    assert plan.drift == ()


def test_deleting_what_is_no_longer_wanted_is_never_drift() -> None:
    declared = declare(retired=["vcan0"])
    plan = planned(declared, declared, healthy(ONE_NETWORK))
    assert [type(step) for step in plan.steps] == [DeleteLink]
    assert plan.drift == ()


def test_clearing_the_tag_of_an_older_release_is_never_drift() -> None:
    observed = controller_that_is_down()
    tagged = replace(observed.links["can0"], group=LINK_GROUP)
    plan = planned(NOTHING, NOTHING, replace(observed, links={"can0": tagged}))
    assert plan == Plan(steps=(ClearTag(tagged.index, "can0"),))


# --- rules --------------------------------------------------------------------------


def test_missing_rules_between_members_are_drift() -> None:
    kernel = healthy_kernel(PAIR)
    kernel.flush_rules()
    drift = only_drift(planned(PAIR, PAIR, kernel.observe()))
    assert (drift.kind, drift.bus) == (DriftKind.RULES_MISSING, "vcan0")
    assert drift.text == "12 rules of vcan0 are missing"


def test_the_rules_of_a_new_member_are_asked_for() -> None:
    created = PAIR.with_endpoint(endpoint("cc", phase=Phase.CREATED))
    kernel = healthy_kernel(created)
    plan = planned(created, Join("net", "cc").apply(created, Observed()), kernel.observe())
    assert [type(step) for step in plan.steps] == [AddRules]
    assert plan.drift == ()


def test_a_step_that_mixes_missing_rules_of_old_and_new_members_is_split() -> None:
    kernel = healthy_kernel(TRIO)
    kernel.flush_rules()
    plan = planned(PAIR, TRIO, kernel.observe())
    drifted, asked = plan.steps
    assert isinstance(drifted, AddRules)
    assert isinstance(asked, AddRules)
    assert [drift.step for drift in plan.drift] == [drifted]
    new_end = kernel.link("vxcancc").index
    assert len(drifted.rules) == 12
    assert len(asked.rules) == 12
    assert all(new_end in (rule.source, rule.target) for rule in asked.rules)
    assert not any(new_end in (rule.source, rule.target) for rule in drifted.rules)


def double_a_rule(kernel: FakeKernel, source: str, target: str) -> None:
    kernel.add_rule(Rule(kernel.link(source).index, kernel.link(target).index, 0x4))


def test_a_doubled_rule_between_members_is_drift() -> None:
    kernel = healthy_kernel(PAIR)
    double_a_rule(kernel, "vxcanaa", "vxcanbb")
    drift = only_drift(planned(PAIR, PAIR, kernel.observe()))
    assert (drift.kind, drift.bus) == (DriftKind.RULES_SURPLUS, "vcan0")
    assert drift.text == "1 rule of vcan0 is surplus"


def test_the_rules_of_a_member_that_leaves_are_not_drift() -> None:
    kernel = healthy_kernel(PAIR)
    plan = planned(PAIR, Leave("aa").apply(PAIR, Observed()), kernel.observe())
    assert [type(step) for step in plan.steps] == [BringDown]
    assert plan.drift == ()


def test_a_surplus_rule_of_members_is_drift_while_another_one_leaves() -> None:
    kernel = healthy_kernel(TRIO)
    double_a_rule(kernel, "vxcanbb", "vxcancc")
    plan = planned(TRIO, Leave("aa").apply(TRIO, Observed()), kernel.observe())
    drifted, asked = plan.steps
    assert [drift.step for drift in plan.drift] == [drifted]
    assert isinstance(drifted, RemoveRules)
    assert len(drifted.rules) == 1
    assert isinstance(asked, BringDown)


# --- all plans ------------------------------------------------------------------------


@given(situations())
def test_nothing_is_drift_if_everything_is_new(situation: Situation) -> None:
    observed = situation.kernel.observe()
    plan = make_plan(situation.declared, observed, Declared())
    assert [drift for drift in plan.drift if drift.kind is not DriftKind.RULES_SURPLUS] == []


@given(situations())
def test_every_drift_is_a_step_of_its_plan_and_has_one_key(situation: Situation) -> None:
    plan = make_plan(situation.declared, situation.kernel.observe())
    assert all(drift.step in plan.steps for drift in plan.drift)
    keys = [drift.key for drift in plan.drift]
    assert len(keys) == len(set(keys))
    for drift in plan.drift:
        problem = drift.problem()
        assert (problem.kind, problem.bus) == (ProblemKind.DRIFT, drift.bus)
        assert problem.text == drift.text
        assert problem.remedy


@given(situations())
def test_what_was_asked_before_changes_the_steps_of_a_plan_only_in_how_rules_are_split(
    situation: Situation,
) -> None:
    observed = situation.kernel.observe()

    def without_splits(plan: Plan) -> list[object]:
        links = [step for step in plan.steps if not isinstance(step, AddRules | RemoveRules)]
        rules = sorted(
            (type(step).__name__, step.bus, rule)
            for step in plan.steps
            if isinstance(step, AddRules | RemoveRules)
            for rule in step.rules
        )
        return [*links, *rules]

    known, new = (
        make_plan(situation.declared, observed),
        make_plan(situation.declared, observed, NOTHING),
    )
    assert without_splits(known) == without_splits(new)
    assert known.problems == new.problems
