"""When a pass is due without an event: after a failure, and while can-gw is missing."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from evercan.intent.changes import DeleteNetwork
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, run_pass
from tests.support.failing_kernel import FailingKernel


@pytest.fixture
def kernel() -> FailingKernel:
    return FailingKernel()


@pytest.fixture
def reconciler(kernel: FailingKernel, tmp_path: Path) -> Reconciler:
    reconciler = Reconciler(kernel, StateFile(tmp_path))
    reconciler.start()
    run_pass(reconciler, creating())
    return reconciler


def pause(reconciler: Reconciler) -> float | None:
    """Return the seconds until the next pass is due."""
    return None if reconciler.retry_at is None else reconciler.retry_at - time.monotonic()


def test_after_failures_the_pauses_double_up_to_a_minute(
    kernel: FailingKernel, reconciler: Reconciler
) -> None:
    kernel.failures = 9
    pauses = []
    for _ in range(9):
        reconciler.run([])
        pauses.append(pause(reconciler))
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], abs=0.5)


def test_after_a_success_no_pass_is_due_and_the_pauses_begin_again(
    kernel: FailingKernel, reconciler: Reconciler
) -> None:
    for _ in range(2):
        kernel.failures = 2
        for seconds in (1, 2):
            reconciler.run([])
            assert pause(reconciler) == pytest.approx(seconds, abs=0.5)
        reconciler.run([])
        assert pause(reconciler) is None


def test_a_first_pass_that_fails_keeps_what_is_declared(
    kernel: FailingKernel, tmp_path: Path, reconciler: Reconciler
) -> None:
    kernel.reboot("boot-2")
    kernel.failures = 1
    again = Reconciler(kernel, StateFile(tmp_path))
    again.start()
    assert set(again.state.declared.networks) == set(reconciler.state.declared.networks)
    assert pause(again) == pytest.approx(1, abs=0.5)
    again.run([])
    assert "vcan0" in kernel.snapshot().links
    assert pause(again) is None


def test_can_gw_is_looked_for_every_second_until_it_is_loaded(
    kernel: FailingKernel, reconciler: Reconciler
) -> None:
    kernel.modules.discard("can-gw")
    kernel.flush_rules()
    for _ in range(5):
        reconciler.run([])
        assert pause(reconciler) == pytest.approx(1, abs=0.5)
    run_pass(reconciler, joining("aa"))
    kernel.modules.add("can-gw")
    reconciler.run([])
    assert len(kernel.snapshot().rules) == 4
    assert pause(reconciler) is None


def test_without_a_network_nobody_waits_for_can_gw(kernel: FailingKernel, tmp_path: Path) -> None:
    kernel.modules.discard("can-gw")
    reconciler = Reconciler(kernel, StateFile(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    reconciler.start()
    assert pause(reconciler) is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_state_file_that_cannot_be_written_is_tried_again(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        (outcome,) = reconciler.run([DeleteNetwork("net")])
        assert outcome.error is not None
        assert "net" in reconciler.state.declared.networks
        assert pause(reconciler) == pytest.approx(1, abs=0.5)
        reconciler.run([])
        assert pause(reconciler) == pytest.approx(2, abs=0.5)
    reconciler.run([])
    assert not reconciler.state.declared.networks
    assert pause(reconciler) is None


def test_a_removal_is_applied_before_the_changes_that_come_after_it(
    kernel: FailingKernel, reconciler: Reconciler
) -> None:
    kernel.failures = 1
    reconciler.run([DeleteNetwork("net")])
    (outcome,) = reconciler.run([creating("net")])
    assert outcome.error is None
    assert set(reconciler.state.declared.networks) == {"net"}
    reconciler.run([])
    assert set(reconciler.state.declared.networks) == {"net"}


def test_a_removal_that_was_saved_is_not_applied_again(
    kernel: FailingKernel, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = kernel.observe
    calls = 0

    def fail_after_the_first() -> object:
        nonlocal calls
        calls += 1
        if calls > 1:
            kernel.failures = 1
        return observe()

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "observe", fail_after_the_first)
        reconciler.run([DeleteNetwork("net")])
    assert not reconciler.state.declared.networks
    run_pass(reconciler, creating("net"))
    assert set(reconciler.state.declared.networks) == {"net"}
