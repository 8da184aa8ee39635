"""Repairs are limited by a token bucket for each bus and kind of drift."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from evercan.kernel.port import Kernel
from evercan.model.controller import ControllerSettings
from evercan.model.problems import ProblemKind
from evercan.model.steps import BringUp, ConfigureBus, MakeBus, Step
from evercan.options.network import NetworkOptions
from evercan.planning.drift import Drift, DriftKind
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.tracking.repair_limits import BURST, INTERVAL, RepairLimits, limited
from tests.support.changes import creating, joining, run_pass
from tests.support.fake_kernel import FakeKernel

CONTROLLER = NetworkOptions(bus="can0", settings=ControllerSettings(bitrate=500_000))


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def drift(kind: DriftKind = DriftKind.BUS_DOWN, bus: str = "vcan0") -> Drift:
    return Drift(kind, bus, BringUp(bus, None, bus), "it is down")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RepairLimits:
    return RepairLimits(clock)


def repair(limits: RepairLimits, *items: Drift) -> int:
    """Repair whatever is allowed; return how much that was."""
    withheld = limits.withheld(items)
    allowed = [item for item in items if item not in withheld]
    limits.spend(allowed)
    return len(allowed)


# --- the bucket ---------------------------------------------------------------------


def test_a_burst_of_repairs_is_allowed_at_once_and_no_more(limits: RepairLimits) -> None:
    assert [repair(limits, drift()) for _ in range(BURST + 3)] == [1] * BURST + [0] * 3


def test_one_more_repair_is_allowed_after_each_interval(limits: RepairLimits, clock: Clock) -> None:
    for _ in range(BURST):
        repair(limits, drift())
    for _ in range(4):
        clock.advance(INTERVAL - 0.01)
        assert repair(limits, drift()) == 0
        clock.advance(0.01)
        assert repair(limits, drift()) == 1
        assert repair(limits, drift()) == 0


def test_a_long_pause_allows_one_burst_and_not_more(limits: RepairLimits, clock: Clock) -> None:
    for _ in range(BURST):
        repair(limits, drift())
    clock.advance(100 * INTERVAL)
    assert sum(repair(limits, drift()) for _ in range(3 * BURST)) == BURST


def test_kinds_of_drift_and_buses_have_limits_of_their_own(limits: RepairLimits) -> None:
    for _ in range(BURST):
        repair(limits, drift())
    others = [drift(bus="vcan1"), drift(DriftKind.BUS_MISSING), drift(DriftKind.RULES_MISSING)]
    assert repair(limits, drift(), *others) == len(others)
    assert limits.withheld([drift()]) == [drift()]


def test_several_repairs_of_one_kind_in_one_pass_cost_one_token(limits: RepairLimits) -> None:
    ends = [
        Drift(DriftKind.PAIR_DOWN, "vcan0", BringUp("vcan0", name, name), "down", name)
        for name in "abcdefgh"
    ]
    assert [repair(limits, *ends) for _ in range(BURST)] == [len(ends)] * BURST
    assert repair(limits, *ends) == 0


def test_asking_what_is_withheld_costs_nothing(limits: RepairLimits) -> None:
    for _ in range(10 * BURST):
        assert limits.withheld([drift()]) == []


def test_the_time_of_the_next_repair_is_when_the_first_bucket_has_a_token(
    limits: RepairLimits, clock: Clock
) -> None:
    assert limits.retry_at([]) is None
    for _ in range(BURST):
        repair(limits, drift())
    clock.advance(1.0)
    for _ in range(BURST):
        repair(limits, drift(bus="vcan1"))
    at = limits.retry_at([drift(), drift(bus="vcan1")])
    assert at == pytest.approx(clock.now - 1.0 + INTERVAL)
    assert limits.retry_at([drift(bus="vcan1")]) == pytest.approx(clock.now + INTERVAL)
    clock.now = at or 0.0
    assert repair(limits, drift()) == 1


def test_a_bucket_that_is_full_again_is_forgotten(limits: RepairLimits, clock: Clock) -> None:
    for number in range(100):
        repair(limits, drift(bus=f"vcan{number}"))
    clock.advance(BURST * INTERVAL)
    repair(limits, drift())
    assert len(limits._buckets) == 1


def test_a_problem_names_the_bus_what_happens_and_what_to_do() -> None:
    items = [drift(), drift(DriftKind.PAIR_DOWN), drift(DriftKind.PAIR_DOWN), drift(bus="vcan1")]
    problems = limited(items)
    assert [(problem.kind, problem.bus) for problem in problems] == [
        (ProblemKind.REPAIRS_LIMITED, "vcan0"),
        (ProblemKind.REPAIRS_LIMITED, "vcan0"),
        (ProblemKind.REPAIRS_LIMITED, "vcan1"),
    ]
    assert problems[0].text.startswith("somebody keeps changing vcan0: its interface is set down")
    assert "every 5 s" in problems[0].remedy


@pytest.mark.parametrize("kind", DriftKind)
def test_every_kind_of_drift_has_a_problem_of_its_own(kind: DriftKind) -> None:
    texts = {limited([drift(other)])[0].text for other in DriftKind}
    assert limited([drift(kind)])[0].text in texts
    assert len(texts) == len(DriftKind)


# --- in the reconciler -----------------------------------------------------------------


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


def reconciler_of(kernel: Kernel, folder: Path, limits: RepairLimits) -> Reconciler:
    reconciler = Reconciler(kernel, StateFile(folder), limits=limits)
    reconciler.start()
    return reconciler


def count_steps(kernel: FakeKernel, kind: type[Step]) -> int:
    return sum(isinstance(step, kind) for step in kernel.taken)


def set_down(kernel: FakeKernel) -> None:
    kernel.set_flag("can0", up=False)


def reconfigure(kernel: FakeKernel) -> None:
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", ControllerSettings(bitrate=125_000))


@pytest.mark.parametrize("disturb", [set_down, reconfigure])
def test_a_fight_of_three_seconds_meets_few_repairs_and_the_bus_is_healthy_after_it(
    kernel: FakeKernel,
    tmp_path: Path,
    limits: RepairLimits,
    clock: Clock,
    disturb: Callable[[FakeKernel], None],
) -> None:
    kernel.plug("can0")
    reconciler = reconciler_of(kernel, tmp_path, limits)
    run_pass(reconciler, creating(options=CONTROLLER), joining("aa"))
    kernel.taken.clear()
    for _ in range(60):
        disturb(kernel)
        run_pass(reconciler)
        clock.advance(0.05)
    assert 1 <= count_steps(kernel, ConfigureBus) < 10
    (problem,) = reconciler.state.problems
    assert (problem.kind, problem.bus) == (ProblemKind.REPAIRS_LIMITED, "can0")
    assert "somebody keeps changing can0" in problem.text
    assert [found.kind for found in Inspector(kernel, reconciler).inspect().problems] == [
        ProblemKind.REPAIRS_LIMITED
    ]
    retry_at = reconciler.retry_at
    assert retry_at is not None
    assert clock.now < retry_at <= clock.now + INTERVAL

    clock.now = retry_at
    run_pass(reconciler)
    assert reconciler.state.problems == ()
    assert reconciler.retry_at is None
    controller = kernel.link("can0").controller
    assert controller is not None
    assert (kernel.link("can0").up, controller.timing.bitrate) == (True, 500_000)


def test_what_is_withheld_on_one_bus_does_not_delay_a_call_or_another_bus(
    kernel: FakeKernel, tmp_path: Path, limits: RepairLimits
) -> None:
    reconciler = reconciler_of(kernel, tmp_path, limits)
    run_pass(reconciler, creating("net", "vcan0"), creating("other", "vcan1"))
    for _ in range(BURST + 1):
        kernel.delete("vcan0")
        run_pass(reconciler)
    assert "vcan0" not in kernel.observe().links
    kernel.delete("vcan1")
    run_pass(reconciler, creating("third", "vcan2"))
    assert {"vcan1", "vcan2"} <= kernel.observe().links.keys()
    assert "vcan0" not in kernel.observe().links
    assert [problem.bus for problem in reconciler.state.problems] == ["vcan0"]


def test_a_call_that_asks_for_the_bus_gets_it_although_repairs_are_withheld(
    kernel: FakeKernel, tmp_path: Path, limits: RepairLimits
) -> None:
    reconciler = reconciler_of(kernel, tmp_path, limits)
    run_pass(reconciler, creating())
    for _ in range(BURST + 1):
        kernel.delete("vcan0")
        run_pass(reconciler)
    run_pass(reconciler, creating("second"))
    assert kernel.link("vcan0").up
    assert reconciler.state.problems == ()


class FailingKernel(FakeKernel):
    """A kernel that creates no bus interface while ``fails`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def _take(self, step: Step) -> int:
        if self.fails and isinstance(step, MakeBus):
            return errno.ENOMEM
        return super()._take(step)


def test_a_repair_that_fails_costs_nothing(tmp_path: Path, limits: RepairLimits) -> None:
    kernel = FailingKernel()
    reconciler = reconciler_of(kernel, tmp_path, limits)
    run_pass(reconciler, creating())
    kernel.delete("vcan0")
    kernel.fails = True
    for _ in range(3 * BURST):
        run_pass(reconciler)
        assert [problem.kind for problem in reconciler.state.problems] == [ProblemKind.REFUSED]
    kernel.fails = False
    for _ in range(BURST):
        run_pass(reconciler)
        assert kernel.link("vcan0").up
        kernel.delete("vcan0")
    run_pass(reconciler)
    assert "vcan0" not in kernel.observe().links


def test_the_repairs_after_a_reboot_cost_nothing(
    kernel: FakeKernel, tmp_path: Path, limits: RepairLimits
) -> None:
    run_pass(reconciler_of(kernel, tmp_path, limits), creating())
    kernel.reboot("boot-2")
    reconciler = reconciler_of(kernel, tmp_path, limits)
    assert kernel.link("vcan0").up
    for _ in range(BURST):
        kernel.delete("vcan0")
        run_pass(reconciler)
        assert kernel.link("vcan0").up
