"""A pass saves the declared state first, then changes the kernel, and reports what went wrong."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from evercan.errors import EvercanError, KernelError, RequestError, StateError
from evercan.intent.changes import NoChange
from evercan.libnetwork.transaction import raise_error
from evercan.model.controller import ControllerSettings
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import ProblemKind
from evercan.model.steps import Failure, MakeBus, Step
from evercan.options.network import NetworkOptions
from evercan.planning.fail_fast import leave_drift
from evercan.reconcile.full_pass import Restrain, repair_drift
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, queue_of, run_pass
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_exactly_once


class RejectedChange:
    """A change that is rejected."""

    def apply(self, _: Declared, __: Observed) -> Declared:
        raise RequestError("no")

    def undo(self, _: Declared, declared: Declared) -> Declared:
        return declared


class FaultyChange:
    """A change with a bug."""

    def apply(self, _: Declared, __: Observed) -> Declared:
        raise ZeroDivisionError

    def undo(self, _: Declared, declared: Declared) -> Declared:
        return declared


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def state_file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path)


@pytest.fixture
def reconciler(kernel: FakeKernel, state_file: StateFile) -> Reconciler:
    reconciler = Reconciler(kernel, state_file)
    reconciler.start()
    return reconciler


def host_ends(reconciler: Reconciler) -> list[str]:
    return [endpoint.host_end for endpoint in reconciler.state.declared.endpoints.values()]


def test_the_intent_is_on_disk_before_the_kernel_changes(state_file: StateFile) -> None:
    seen: list[bool] = []

    class Witness(FakeKernel):
        def apply(self, steps: Sequence[Step]) -> list[Failure]:
            on_disk = StateFile(state_file.path.parent).load()
            seen.append("net" in on_disk.networks and "aa" in on_disk.endpoints)
            return super().apply(steps)

    reconciler = Reconciler(Witness(), state_file)
    reconciler.start()
    run_pass(reconciler, creating(), joining("aa"))
    assert len(seen) > 1
    assert all(seen)


def test_an_observation_that_fails_changes_nothing(
    reconciler: Reconciler,
    kernel: FakeKernel,
    state_file: StateFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> Observed:
        raise KernelError("list interfaces", errno.ENOBUFS, "try again")

    writes = state_file.writes
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "observe", fail)
        with pytest.raises(KernelError):
            run_pass(reconciler, creating())
    assert (kernel.taken, state_file.writes) == ([], writes)
    assert not reconciler.state.declared.networks


def test_a_rejected_change_does_not_keep_others_from_being_applied(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    outcomes = run_pass(
        reconciler, creating(), RejectedChange(), joining("aa"), joining("bb", "unknown")
    )
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, False]
    assert_exactly_once(kernel.observe(), "vcan0", *host_ends(reconciler))


def test_fifteen_joins_in_one_pass_cost_as_many_observations_as_one(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    run_pass(reconciler, creating())
    before = kernel.calls["observe"]
    run_pass(reconciler, joining("first"))
    one = kernel.calls["observe"] - before
    run_pass(reconciler, *(joining(f"{number:x}" * 8) for number in range(15)))
    assert kernel.calls["observe"] - before - one <= one
    assert_exactly_once(kernel.observe(), "vcan0", *host_ends(reconciler))


def test_a_check_of_a_healthy_host_observes_once_and_writes_nothing(
    reconciler: Reconciler, kernel: FakeKernel, state_file: StateFile
) -> None:
    run_pass(reconciler, creating(), joining("aa"))
    observed, applied = kernel.calls["observe"], kernel.calls["apply"]
    writes = state_file.writes
    run_pass(reconciler)
    assert kernel.calls["observe"] == observed + 1
    assert (kernel.calls["apply"], state_file.writes) == (applied, writes)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.EPERM, ProblemKind.REFUSED, "CAP_NET_ADMIN"),
        (errno.EOPNOTSUPP, ProblemKind.MODULE_MISSING, "modprobe vcan"),
        (errno.ENOMEM, ProblemKind.REFUSED, "could not create bus interface vcan0.*ENOMEM"),
    ],
)
def test_a_failed_step_is_one_problem_and_is_tried_once_in_a_pass(
    state_file: StateFile, code: int, kind: ProblemKind, words: str
) -> None:
    class FailingKernel(FakeKernel):
        def apply(self, steps: Sequence[Step]) -> list[Failure]:
            self.calls["apply"] += 1
            return [Failure(step, code) for step in steps if isinstance(step, MakeBus)]

    kernel = FailingKernel()
    reconciler = Reconciler(kernel, state_file)
    reconciler.start()
    run_pass(reconciler, creating())
    (problem,) = reconciler.state.problems
    assert problem.kind is kind
    assert problem.remedy
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(str(problem))
    assert kernel.calls["apply"] == 1, "what has failed is not tried again in the same pass"


def test_a_problem_ends_with_its_cause(reconciler: Reconciler, kernel: FakeKernel) -> None:
    kernel.modules.discard("vcan")
    run_pass(reconciler, creating())
    assert reconciler.state.problems
    kernel.modules.add("vcan")
    run_pass(reconciler)
    assert not reconciler.state.problems


def test_a_problem_of_one_bus_is_no_problem_of_another(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    kernel.make("can0", "", up=False)
    run_pass(reconciler, creating("one", "vcan0"), creating("two", "can0"))
    assert reconciler.state.problems_of("can0")
    assert not reconciler.state.problems_of("vcan0")


async def test_a_bug_in_a_pass_reaches_its_caller_and_the_next_pass_works(
    kernel: FakeKernel, tmp_path: Path
) -> None:
    queue = queue_of(kernel, tmp_path)
    await queue.start()
    outcome = await queue.run(FaultyChange())
    with pytest.raises(EvercanError, match=r"internal fault.*traceback"):
        raise_error(outcome)
    raise_error(await queue.run(creating()))
    assert kernel.link("vcan0").up
    await queue.close()


async def test_calls_that_share_a_failed_pass_raise_errors_of_their_own(
    kernel: FakeKernel, tmp_path: Path
) -> None:
    queue = queue_of(kernel, tmp_path)
    await queue.start()
    outcome = await queue.run(FaultyChange())
    raised = []
    for _ in range(2):
        with pytest.raises(EvercanError, match="internal fault") as caught:
            raise_error(outcome)
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0] is not outcome.error
    assert [type(error) for error in raised] == 2 * [type(outcome.error)]
    assert {error.text for error in raised} == {outcome.error and outcome.error.text}
    await queue.close()


# --- a second network on a known controller ---------------------------------------------


@pytest.mark.parametrize("restrain", [repair_drift, leave_drift], ids=["auto", "fail-fast"])
def test_a_bitrate_that_a_second_network_gives_is_no_drift_no_recovery_and_no_failed_check(
    kernel: FakeKernel,
    state_file: StateFile,
    restrain: Restrain,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kernel.plug("can0")
    reconciler = Reconciler(kernel, state_file, restrain=restrain)
    reconciler.start()
    run_pass(reconciler, creating("first", "can0"), joining("aa", "first"))
    assert [problem.kind for problem in reconciler.state.problems] == [ProblemKind.BUS_DOWN]
    caplog.clear()
    caplog.set_level(logging.INFO)
    settings = ControllerSettings(bitrate=500_000)
    run_pass(reconciler, creating("second", options=NetworkOptions(bus="can0", settings=settings)))
    controller = kernel.link("can0").controller
    assert controller is not None
    assert (kernel.link("can0").up, controller.timing.bitrate) == (True, 500_000)
    assert reconciler.state.problems == ()
    assert "Health check FAILED" not in caplog.text
    assert "Health check OK" in caplog.text
    tally = Inspector(kernel, reconciler).snapshot().tally
    assert (tally.drift, tally.recoveries) == ({}, {})
    assert reconciler.recoveries.last == {}


# --- a disk that cannot be written --------------------------------------------------------


class Disk:
    """Makes the disk full, until there is space again."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def fill(self, code: int = errno.ENOSPC) -> None:
        def fail(_: int) -> None:
            raise OSError(code, os.strerror(code))

        self._patch.setattr(os, "fsync", fail)

    def free(self) -> None:
        self._patch.undo()


@pytest.fixture
def disk() -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Disk(patch)


def test_a_call_is_rejected_while_the_disk_is_full(
    reconciler: Reconciler, kernel: FakeKernel, disk: Disk
) -> None:
    disk.fill()
    with pytest.raises(StateError, match="No space left"):
        run_pass(reconciler, creating())
    assert kernel.taken == []
    assert not reconciler.state.declared.networks
    disk.free()
    run_pass(reconciler, creating())
    assert kernel.link("vcan0").up
    assert reconciler.state.problems == ()


def test_each_call_of_a_pass_has_its_error_while_the_disk_is_full(
    reconciler: Reconciler, disk: Disk
) -> None:
    disk.fill()
    outcomes = reconciler.run([creating(), RejectedChange(), joining("aa")])
    assert [type(outcome.error) for outcome in outcomes] == [
        StateError,
        RequestError,
        StateError,
    ]
    assert [outcome.before for outcome in outcomes] == [None] * 3
    assert not reconciler.state.declared.networks


def test_repairs_go_on_while_the_disk_is_full(
    reconciler: Reconciler, kernel: FakeKernel, disk: Disk
) -> None:
    run_pass(reconciler, creating(), joining("aa"))
    (host_end,) = host_ends(reconciler)
    kernel.move_in(f"{host_end}p", 1)
    run_pass(reconciler)
    disk.fill()
    for _ in range(2):
        kernel.flush_rules()
        kernel.delete("vcan0")
        kernel.set_flag(host_end, up=False)
        (outcome,) = reconciler.run([NoChange()])
        assert outcome.error is None
        assert_exactly_once(kernel.observe(), "vcan0", host_end)
        assert kernel.link(host_end).up


def test_a_rejected_call_is_no_reason_not_to_repair_in_its_pass(
    reconciler: Reconciler, kernel: FakeKernel, disk: Disk
) -> None:
    run_pass(reconciler, creating())
    kernel.delete("vcan0")
    disk.fill()
    (outcome,) = reconciler.run([creating("second", "vcan1")])
    assert isinstance(outcome.error, StateError)
    assert kernel.link("vcan0").up
    assert "vcan1" not in kernel.observe().links
    assert set(reconciler.state.declared.networks) == {"net"}


def test_a_disk_that_cannot_be_written_is_a_problem_until_it_can(
    reconciler: Reconciler, kernel: FakeKernel, state_file: StateFile, disk: Disk
) -> None:
    run_pass(reconciler, creating())
    disk.fill()
    reconciler.run([creating("second", "vcan1")])
    (problem,) = reconciler.state.problems
    assert "cannot write" in problem.text
    assert "free some space" in problem.remedy
    assert Inspector(kernel, reconciler).inspect().problems == (problem,)
    disk.free()
    run_pass(reconciler)
    assert reconciler.state.problems == ()
    assert state_file.load() == reconciler.state.declared


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_the_plugin_starts_and_restores_everything_although_the_disk_cannot_be_written(
    reconciler: Reconciler, kernel: FakeKernel, state_file: StateFile, disk: Disk, code: int
) -> None:
    run_pass(reconciler, creating())
    kernel.reboot("boot-2")
    disk.fill(code)
    restarted = Reconciler(kernel, StateFile(state_file.path.parent))
    restarted.start()
    assert kernel.link("vcan0").up
    assert ["cannot write" in problem.text for problem in restarted.state.problems] == [True]
    (outcome,) = restarted.run([joining("aa")])
    assert isinstance(outcome.error, StateError)
    disk.free()
    run_pass(restarted, joining("aa"))
    assert_exactly_once(kernel.observe(), "vcan0", *host_ends(restarted))
    assert state_file.load() == restarted.state.declared


def test_a_controller_is_configured_again_although_the_disk_is_full(
    reconciler: Reconciler, kernel: FakeKernel, disk: Disk
) -> None:
    kernel.plug("can0")
    settings = ControllerSettings(bitrate=500_000)
    run_pass(reconciler, creating(options=NetworkOptions(bus="can0", settings=settings)))
    kernel.delete("can0")
    run_pass(reconciler)
    disk.fill()
    kernel.plug("can0")
    run_pass(reconciler)
    assert kernel.link("can0").up
    # It is still known that evercan configured it, although that is not on disk.
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", ControllerSettings(bitrate=125_000))
    run_pass(reconciler)
    controller = kernel.link("can0").controller
    assert controller is not None
    assert controller.timing.bitrate == 500_000
