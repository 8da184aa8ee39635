"""A replaced pair is reported until its container leaves or sends through the new pair."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from evercan.intent.endpoint_changes import DeleteEndpoint
from evercan.model.declared import Declared, Phase
from evercan.model.observed import Link, Location, Observed
from evercan.model.problems import ProblemKind
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.model.state import State
from evercan.model.steps import BringUp, RepairPair
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.tracking.replaced_pairs import ReplacedPairs
from evercan.values import replace
from tests.support.changes import creating, joining, run_pass
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel

END, OTHER, BUS = 20, 21, 3
DECLARED = declare([network()], [endpoint("aa"), endpoint("bb")])
OBSERVED = Observed(
    links={
        "vxcanaa": Link(index=END, name="vxcanaa", kind="vxcan"),
        "vxcanbb": Link(index=OTHER, name="vxcanbb", kind="vxcan"),
    }
)


def repair(name: str) -> RepairPair:
    return RepairPair("vcan0", name, f"vxcan{name}", f"vxcan{name}p", Location(1, "can0"))


def replaced(*names: str) -> ReplacedPairs:
    pairs = ReplacedPairs()
    pairs.repaired(map(repair, names))
    return pairs


def endpoints_of(pairs: ReplacedPairs, declared: Declared = DECLARED) -> list[str | None]:
    return [warning.endpoint for warning in pairs.warnings(declared)]


def test_nothing_is_reported_of_pairs_that_were_not_replaced() -> None:
    pairs = ReplacedPairs()
    pairs.repaired([BringUp("vcan0", "aa", "vxcanaa")])
    assert not pairs
    assert pairs.warnings(DECLARED) == ()


def test_the_warning_names_the_endpoint_and_the_remedy() -> None:
    (warning,) = replaced("aa").warnings(DECLARED)
    assert (warning.kind, warning.bus, warning.endpoint) == (
        ProblemKind.PAIR_REPLACED,
        "vcan0",
        "aa",
    )
    assert "endpoint aa" in warning.text
    assert warning.remedy == (
        "programs in the container must re-open their socket, or restart the container"
    )


@pytest.mark.parametrize("phase", [Phase.LEFT, Phase.DORMANT, Phase.CREATED])
def test_an_endpoint_that_left_is_forgotten(phase: Phase) -> None:
    pairs = replaced("aa", "bb")
    declared = declare([network()], [endpoint("aa", phase=phase), endpoint("bb")])
    assert endpoints_of(pairs, declared) == ["bb"]
    pairs.forget_absent(declared)
    assert endpoints_of(pairs) == ["bb"]


def test_an_endpoint_that_was_removed_is_forgotten() -> None:
    pairs = replaced("aa")
    removed = declare([network()], [endpoint("bb")])
    assert pairs.warnings(removed) == ()
    pairs.forget_absent(removed)
    assert not pairs


@pytest.mark.parametrize(
    ("rule", "count", "used"),
    [
        (Rule(END, BUS, 4), RuleCount(1, 0, 0), True),
        (Rule(END, OTHER, 4), RuleCount(0, 1, 0), True),  # the other end is down
        (Rule(END, BUS, 4), RuleCount(0, 0, 0), False),
        (Rule(BUS, END, 4), RuleCount(9, 0, 0), False),  # it is sent to, by others
        (Rule(OTHER, END, 4), RuleCount(9, 0, 0), False),
    ],
)
def test_an_endpoint_is_forgotten_once_it_sends(rule: Rule, count: RuleCount, used: bool) -> None:
    pairs = replaced("aa")
    pairs.forget_used(DECLARED, OBSERVED, RuleCounts([(rule, count)]))
    assert bool(pairs) is not used


def test_counters_are_not_needed_for_an_endpoint_whose_end_is_gone_again() -> None:
    pairs = replaced("aa")
    pairs.forget_used(DECLARED, Observed(), RuleCounts([(Rule(END, BUS, 4), RuleCount(1, 0, 0))]))
    assert endpoints_of(pairs) == ["aa"]


def test_a_pair_that_is_replaced_again_is_reported_again() -> None:
    pairs = replaced("aa")
    pairs.forget_used(DECLARED, OBSERVED, RuleCounts([(Rule(END, BUS, 4), RuleCount(1, 0, 0))]))
    pairs.repaired([repair("aa")])
    assert endpoints_of(pairs) == ["aa"]


class CountingKernel(FakeKernel):
    """A kernel in which container ends can send."""

    def __init__(self) -> None:
        super().__init__()
        self.senders: set[str] = set()

    def observe_with_counts(self) -> Observed:
        observed = self.observe()
        indexes = {observed.links[name].index for name in self.senders & observed.links.keys()}
        counts = [(rule, RuleCount(int(rule.source in indexes), 0, 0)) for rule in observed.rules]
        return replace(observed, counts=RuleCounts(counts))


class Bus:
    """A bus with a container whose pair somebody deletes while it runs."""

    def __init__(self, folder: Path) -> None:
        self.kernel = CountingKernel()
        self.reconciler = Reconciler(self.kernel, StateFile(folder))
        self.inspector = Inspector(self.kernel, self.reconciler)
        self.reconciler.start()
        run_pass(self.reconciler, creating(), joining("aa"))
        (joined,) = self.reconciler.state.declared.endpoints.values()
        self.end = joined.host_end
        self.kernel.move_in(joined.container_end, 1, "can0")
        run_pass(self.reconciler)
        self.kernel.delete(self.end)
        run_pass(self.reconciler)


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Bus(tmp_path)


def kinds(state: State) -> list[ProblemKind]:
    return [warning.kind for warning in state.warnings]


def test_a_repaired_pair_is_a_warning_and_no_problem(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bus = Bus(tmp_path)
    state = bus.reconciler.state
    assert state.problems == ()
    assert kinds(state) == [ProblemKind.PAIR_REPLACED]
    assert kinds(bus.inspector.inspect()) == [ProblemKind.PAIR_REPLACED]
    assert kinds(bus.inspector.snapshot().state) == [ProblemKind.PAIR_REPLACED]
    for _ in range(3):
        run_pass(bus.reconciler)
    assert caplog.text.count("must re-open their socket") == 1


def test_the_warning_ends_when_the_container_sends(bus: Bus) -> None:
    bus.kernel.senders = {bus.end}
    # The page that everybody watches shows it at once.
    assert kinds(bus.inspector.inspect()) == []
    run_pass(bus.reconciler)
    assert kinds(bus.reconciler.state) == []


def test_the_check_at_the_interval_ends_the_warning_without_a_reader(bus: Bus) -> None:
    bus.kernel.senders = {bus.end}
    bus.inspector.report_lost_frames()
    run_pass(bus.reconciler)
    assert kinds(bus.reconciler.state) == []


def test_the_warning_ends_with_the_endpoint(bus: Bus) -> None:
    run_pass(bus.reconciler, DeleteEndpoint("aa"))
    assert kinds(bus.reconciler.state) == []
    assert not bus.reconciler.replaced_pairs


def test_counters_are_read_only_while_a_pair_is_replaced(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.kernel.senders = {bus.end}
    bus.inspector.inspect()

    def fail() -> Observed:
        raise AssertionError

    monkeypatch.setattr(bus.kernel, "observe_with_counts", fail)
    bus.inspector.inspect()
    bus.inspector.report_lost_frames()
