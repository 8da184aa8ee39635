"""Interfaces of the host that ``vxcan.bridge`` makes members of a bus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.intent.observation import after_observation, after_start, after_steps, before_steps
from evercan.model.controller import ControllerSettings
from evercan.model.declared import BusKind, Declared, Endpoint, Network
from evercan.model.observed import Observed
from evercan.model.problems import ProblemKind
from evercan.model.rule import OWNER_MARK, Rule
from evercan.model.rule_table import RuleTable
from evercan.model.steps import AddRules, MakePair, RemoveRules
from evercan.planning.drift import DriftKind
from evercan.planning.fail_fast import leave_drift
from evercan.planning.plan import make_plan
from evercan.planning.warnings import find_warnings
from evercan.values import replace
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import CLASSIC, FD, assert_exactly_once, full_mesh, paths

ECHO, IIF_TX_OK = 0x01, 0x04
HOSTS = ("vcan0", "vcan9", "can1")
ROUNDS = 4


def bridged(*names: str, name: str = "net", bus: str = "vcan0") -> Network:
    return replace(network(name, bus), bridge=names)


def host(*names: str, members: int = 2) -> FakeKernel:
    """Return a kernel with interfaces of the host, and with pairs that are in containers."""
    kernel = FakeKernel()
    for name in names:
        if name == "can1":
            kernel.plug(name)
            kernel.configure_controller(name, ControllerSettings(bitrate=500_000))
        else:
            kernel.make(name, up=True)
    for number, member in enumerate(ends(members)):
        kernel.apply([MakePair("", member.id, member.host_end, member.container_end)])
        kernel.move_in(member.container_end, number)
    return kernel


def ends(members: int = 2) -> list[Endpoint]:
    return [endpoint(name) for name in ("aa", "bb", "cc")[:members]]


def converge(kernel: FakeKernel, declared: Declared, before: Declared | None = None) -> Declared:
    """Do what a pass does; return the declared state, which is then saved."""
    for _ in range(ROUNDS):
        observed = kernel.observe()
        declared = after_observation(declared, observed)
        steps = make_plan(declared, observed, before).steps
        if not steps:
            return declared
        noted = before_steps(declared, steps)
        failed = [failure.step for failure in kernel.apply(steps)]
        declared = after_steps(
            noted, declared, steps, [step for step in failed if not isinstance(step, RemoveRules)]
        )
    raise AssertionError(f"still to do: {[str(step) for step in steps]}")


def kinds(declared: Declared, observed: Observed) -> list[ProblemKind]:
    return [problem.kind for problem in make_plan(declared, observed).problems]


# --- what a bus needs -----------------------------------------------------------------------


def test_a_frame_reaches_every_other_member_exactly_once() -> None:
    kernel = host(*HOSTS)
    converge(kernel, declare([bridged("vcan9", "can1")], ends()))
    members = {*HOSTS, "vxcanaa", "vxcanbb"}
    assert_exactly_once(kernel.observe(), "vcan0", "vxcanaa", "vxcanbb", bridged=("vcan9", "can1"))
    for source in members:
        for fd in (False, True):
            assert kernel.deliveries(source, fd=fd) == Counter(members - {source})


def test_networks_on_one_bus_bridge_the_union_of_their_interfaces() -> None:
    kernel = host(*HOSTS, members=1)
    both = [bridged("vcan9"), bridged("vcan9", "can1", name="other")]
    converge(kernel, declare(both, ends(1)))
    assert_exactly_once(kernel.observe(), "vcan0", "vxcanaa", bridged=("vcan9", "can1"))


def test_an_interface_that_is_bridged_by_two_of_its_names_is_one_member() -> None:
    kernel = host("vcan0", "vcan9", members=1)
    kernel.add_altname(kernel.link("vcan9").index, "body")
    converge(kernel, declare([bridged("vcan9", "body")], ends(1)))
    assert_exactly_once(kernel.observe(), "vcan0", "vxcanaa", bridged=["vcan9"])


def test_members_of_an_absent_bus_reach_the_bridged_interface() -> None:
    kernel = host("vcan9", members=1)
    declared = declare([replace(bridged("vcan9", bus="can0"), kind=BusKind.PHYSICAL)], ends(1))
    converge(kernel, declared)
    assert paths(kernel.observe()) == full_mesh(["vcan9", "vxcanaa"])


@dataclass
class Found:
    """A bus with bridged interfaces, and the rules that are found."""

    kernel: FakeKernel
    declared: Declared
    foreign: Counter[Rule]


@st.composite
def found(draw: st.DrawFn) -> Found:
    """Draw which interfaces exist, and rules that evercan has added or somebody else has."""
    kernel = host(*draw(st.sets(st.sampled_from(HOSTS), min_size=1)))
    networks = [bridged(*draw(st.sampled_from([(), ("vcan9",), ("can1",), ("can1", "vcan9")])))]
    declared = declare(networks, ends())
    host_links = [link.index for link in kernel.observe().links.values() if not link.is_pair]
    recorded: set[Rule] = set()
    foreign: Counter[Rule] = Counter()
    for source, target in permutations(host_links, 2):
        for kind in (0, 8):
            rule = Rule(source, target, ECHO | IIF_TX_OK | kind)
            marked = rule._replace(extras=OWNER_MARK)
            if draw(st.booleans()):
                recorded.add(marked)
                if draw(st.booleans()):
                    kernel.add_rule(marked)
            for _ in range(draw(st.integers(0, 1))):
                kernel.add_rule(rule)
                foreign[rule] += 1
    return Found(kernel, replace(declared, host_rules=frozenset(recorded)), foreign)


@given(found())
def test_a_second_plan_is_empty_and_every_two_members_have_a_rule(situation: Found) -> None:
    declared = converge(situation.kernel, situation.declared)
    observed = situation.kernel.observe()
    assert make_plan(declared, observed).steps == ()
    (bridge,) = {found.bridge for found in declared.networks.values()}
    members = {"vcan0", *bridge, "vxcanaa", "vxcanbb"} & {*observed.links}
    expected = full_mesh(sorted(members))
    assert not expected - paths(observed)
    assert paths(observed) - expected <= Counter(
        {
            (source, target, FD if rule.flags & 8 else CLASSIC): times
            for rule, times in situation.foreign.items()
            for source, target in [_names(observed, rule)]
        }
    )


@given(found())
def test_no_rule_of_somebody_else_is_removed(situation: Found) -> None:
    declared = converge(situation.kernel, situation.declared)
    converge(situation.kernel, declared.without_network("net"))
    left = situation.kernel.observe()
    indexes = {link.index for link in left.links.values()}
    surviving = Counter(
        {
            rule: times
            for rule, times in situation.foreign.items()
            if {rule.source, rule.target} <= indexes
        }
    )
    assert left.rules == surviving


def _names(observed: Observed, rule: Rule) -> tuple[str, str]:
    name = {link.index: link.name for link in observed.links.values()}
    return name[rule.source], name[rule.target]


# --- whose a rule is ------------------------------------------------------------------------


def rule_between(kernel: FakeKernel, source: str, target: str, *, fd: bool = False) -> Rule:
    flags = ECHO | IIF_TX_OK | (8 if fd else 0)
    return Rule(kernel.link(source).index, kernel.link(target).index, flags)


def foreign_bus() -> Network:
    """Return a network on a vcan of the host, which stays when the network goes."""
    return replace(bridged("vcan9"), owns_bus=False)


def test_rules_between_interfaces_of_the_host_go_with_the_network() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()]))
    assert kernel.observe().rules.total() == 4
    assert len(declared.host_rules) == 4
    declared = converge(kernel, declared.without_network("net"), declared)
    assert not kernel.observe().rules
    assert not declared.host_rules


def test_a_rule_that_exists_twice_goes_with_the_network() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()]))
    kernel.add_rule(next(iter(declared.host_rules)))
    converge(kernel, declared.without_network("net"), declared)
    assert not kernel.observe().rules


def test_a_rule_that_existed_before_stays() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    theirs = rule_between(kernel, "vcan0", "vcan9")
    kernel.add_rule(theirs)
    declared = converge(kernel, declare([foreign_bus()]))
    assert kernel.observe().rules[theirs] == 1
    assert theirs not in declared.host_rules
    converge(kernel, declared.without_network("net"), declared)
    assert kernel.observe().rules == Counter([theirs])


def test_evercans_rule_makes_room_for_an_identical_one_of_somebody_else() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()]))
    theirs = rule_between(kernel, "vcan0", "vcan9")
    kernel.add_rule(theirs)
    declared = converge(kernel, declared)
    assert kernel.observe().rules[theirs] == 1
    converge(kernel, declared.without_network("net"), declared)
    assert kernel.observe().rules == Counter([theirs])


Crash = Callable[[FakeKernel, Declared], Declared]


def crash_before(kernel: FakeKernel, declared: Declared) -> Declared:
    """Save what is about to be done, and do nothing."""
    observed = kernel.observe()
    declared = after_observation(declared, observed)
    return before_steps(declared, make_plan(declared, observed).steps)


def crash_after(kernel: FakeKernel, declared: Declared) -> Declared:
    """Save what is about to be done, do it, and save nothing more."""
    observed = kernel.observe()
    steps = make_plan(after_observation(declared, observed), observed).steps
    noted = crash_before(kernel, declared)
    kernel.apply(steps)
    return noted


@pytest.mark.parametrize("crash", [crash_before, crash_after])
@pytest.mark.parametrize("removed", [False, True])
def test_after_a_crash_an_identical_rule_of_somebody_else_stays(
    crash: Crash, removed: bool
) -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = crash(kernel, declare([foreign_bus()]))
    declared = converge(kernel, after_start(declared, "boot-1"))
    theirs = rule_between(kernel, "vcan0", "vcan9")
    kernel.add_rule(theirs)
    if removed:
        declared = declared.without_network("net")
    declared = converge(kernel, after_start(crash(kernel, declared), "boot-1"))
    declared = converge(kernel, declared.without_network("net"))
    assert kernel.observe().rules == Counter([theirs])
    assert not declared.host_rules


def test_a_rule_that_a_dump_lacks_is_removed_all_the_same() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()])).without_network("net")
    torn = replace(kernel.observe(), rules=RuleTable())
    declared = after_observation(declared, torn)
    kernel.apply(make_plan(declared, torn).steps)
    assert not kernel.observe().rules


def test_rules_go_with_a_bridged_interface_and_are_forgotten() -> None:
    kernel = host("vcan0", "vcan9", members=1)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    kernel.delete("vcan9")
    declared = converge(kernel, declared)
    assert not declared.host_rules
    assert paths(kernel.observe()) == full_mesh(["vcan0", "vxcanaa"])


def test_no_rule_outlives_a_reboot() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()]))
    assert after_start(declared, "boot-1").host_rules == declared.host_rules
    assert not after_start(declared, "boot-2").host_rules


# --- drift ----------------------------------------------------------------------------------


def test_a_bridged_interface_that_appears_is_drift_like_a_controller() -> None:
    kernel = host("vcan0", members=1)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    assert make_plan(declared, kernel.observe()).steps == ()
    kernel.make("vcan9", up=True)
    plan = make_plan(declared, kernel.observe())
    assert [item.kind for item in plan.drift] == [DriftKind.RULES_MISSING]
    assert all(isinstance(step, AddRules) for step in plan.steps)


def test_what_a_new_network_bridges_is_no_drift() -> None:
    kernel = host("vcan0", "vcan9", members=1)
    before = converge(kernel, declare([network()], ends(1)))
    after = before.with_network(bridged("vcan9", name="other"))
    assert make_plan(after, kernel.observe(), before).drift == ()


def test_removing_rules_that_no_bus_needs_is_no_drift() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    declared = converge(kernel, declare([foreign_bus()])).without_network("net")
    plan = make_plan(declared, kernel.observe())
    assert plan.steps
    assert plan.drift == ()


def test_fail_fast_reports_rules_between_interfaces_of_the_host_and_leaves_them() -> None:
    kernel = host("vcan0", "vcan9", members=1)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    assert (
        leave_drift(make_plan(declared, kernel.observe()), declared, kernel.observe()).steps == ()
    )
    kernel.flush_rules()
    observed = kernel.observe()
    plan = leave_drift(make_plan(declared, observed), declared, observed)
    assert plan.steps == ()
    assert [problem.text.partition(",")[0] for problem in plan.problems] == [
        "endpoint aa (vxcanaa) lacks 8 rules",
        "the bus vcan0 lacks 4 rules between vcan0 and vcan9",
    ]


def test_fail_fast_creates_the_rules_of_a_network_that_is_created_again() -> None:
    kernel = host("vcan0", "vcan9", members=0)
    before = declare()
    declared = before.with_network(foreign_bus())
    plan = leave_drift(make_plan(declared, kernel.observe(), before), declared, kernel.observe())
    assert [type(step) for step in plan.steps] == [AddRules]
    assert plan.problems == ()


# --- problems and warnings --------------------------------------------------------------------


def test_an_absent_bridged_interface_is_reported_and_not_created() -> None:
    kernel = host("vcan0", members=1)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    assert kinds(declared, kernel.observe()) == [ProblemKind.BRIDGE_ABSENT]
    assert "vcan9" not in kernel.observe().links


def test_a_bridged_interface_that_is_down_is_reported_and_has_rules() -> None:
    kernel = host("vcan0", "vcan9", members=1)
    kernel.set_flag("vcan9", up=False)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    assert kinds(declared, kernel.observe()) == [ProblemKind.BRIDGE_DOWN]
    assert not kernel.link("vcan9").up
    assert_exactly_once(kernel.observe(), "vcan0", "vxcanaa", bridged=["vcan9"])


def test_an_interface_that_has_become_a_member_of_two_buses_stays_with_the_first() -> None:
    kernel = host("vcan0", "vcan1", "vcan9", members=1)
    declared = declare(
        [bridged("vcan9"), bridged("vcan9", name="other", bus="vcan1")],
        ends(1),
    )
    declared = converge(kernel, declared)
    assert kinds(declared, kernel.observe()) == [ProblemKind.BRIDGE_FOREIGN]
    assert_exactly_once(kernel.observe(), "vcan0", "vxcanaa", bridged=["vcan9"])


def test_an_interface_that_is_no_can_interface_gets_no_rules() -> None:
    kernel = host("vcan0", members=1)
    kernel.make("vcan9", "dummy", up=True, is_can=False)
    declared = converge(kernel, declare([bridged("vcan9")], ends(1)))
    assert kinds(declared, kernel.observe()) == [ProblemKind.BRIDGE_FOREIGN]


def warned(kernel: FakeKernel, declared: Declared) -> list[tuple[str, str]]:
    return [
        (found.text, found.remedy)
        for found in find_warnings(declared, kernel.observe())
        if found.kind is ProblemKind.FOREIGN_RULES
    ]


def test_a_bus_with_rules_of_its_own_has_no_warning() -> None:
    kernel = host(*HOSTS)
    declared = converge(kernel, declare([bridged("vcan9", "can1")], ends()))
    assert warned(kernel, declared) == []


def test_rules_of_somebody_else_on_a_bus_are_named_with_the_option_to_use() -> None:
    kernel = host("vcan0", "vcan9")
    declared = converge(kernel, declare([network()], ends()))
    kernel.add_rule(Rule(kernel.link("vcan0").index, kernel.link("vcan9").index, ECHO, 0))
    ((text, remedy),) = warned(kernel, declared)
    assert "connect the bus vcan0 with vcan9" in text
    assert "vxcan.bridge=vcan9" in remedy


def test_rules_of_somebody_else_between_members_are_named_as_doubling() -> None:
    kernel = host("vcan0", "vcan9")
    declared = converge(kernel, declare([bridged("vcan9")], ends()))
    kernel.add_rule(Rule(kernel.link("vcan0").index, kernel.link("vcan9").index, ECHO, 0))
    ((text, _),) = warned(kernel, declared)
    assert "between the interfaces vcan0 and vcan9" in text
