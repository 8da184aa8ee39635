"""What a killed CreateNetwork has left on disk keeps nobody from creating another network.

The engine makes another id when a user repeats the command, so the network of the first
call stays in the state until ``evercan adopt --prune``.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from evercan.planning.fail_fast import leave_drift
from evercan.reconcile.full_pass import Restrain, repair_drift
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, run_pass
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_exactly_once
from tests.support.kill_points import Killed, KillPoint, files_with_kill_points

MODES = {"auto": repair_drift, "fail-fast": leave_drift}
MOMENTS = 60
"""More moments than one pass has."""


def started(kernel: FakeKernel, folder: Path, restrain: Restrain) -> Reconciler:
    reconciler = Reconciler(kernel, StateFile(folder), restrain=restrain)
    reconciler.start()
    return reconciler


@pytest.mark.parametrize("restrain", MODES.values(), ids=MODES)
def test_a_bus_can_be_created_after_a_kill_at_any_moment_of_its_creation(
    tmp_path: Path, restrain: Restrain
) -> None:
    killed = left_behind = 0
    for moment in range(1, MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        kernel, kill_point = FakeKernel(), KillPoint()
        kernel.on_message = kill_point.moment
        reconciler = started(kernel, folder, restrain)
        with files_with_kill_points(kill_point), suppress(Killed):
            kill_point.arm(moment)
            run_pass(reconciler, creating("first"))
        killed += kill_point.killed
        kill_point.disarm()
        again = started(kernel, folder, restrain)
        left_behind += "first" in again.state.declared.networks
        run_pass(again, creating("second"))
        run_pass(again, joining("aa", "second"))
        assert again.state.problems == ()
        assert_exactly_once(
            kernel.observe(), "vcan0", again.state.declared.endpoints["aa"].host_end
        )
    assert killed > 5
    assert left_behind > 5
