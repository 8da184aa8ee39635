"""The end of a namespace is announced once: it counts even if the observation fails."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from evercan.errors import KernelError
from evercan.model.observed import Link
from evercan.options.network import NetworkOptions
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, run_pass
from tests.support.fake_kernel import FakeKernel

FIRST, SECOND, THIRD = "aaaaaaaa", "bbbbbbbb", "cccccccc"


def test_a_number_that_is_reused_during_a_failed_observation_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel()
    reconciler = Reconciler(kernel, StateFile(tmp_path))
    reconciler.start()
    for network, prefix in (("a", "acan"), ("b", "bcan")):
        options = NetworkOptions(bus=f"vcan{network}", peer_prefix=prefix)
        run_pass(reconciler, creating(network, options=options))
    for network, end in (("a", FIRST), ("b", SECOND), ("b", THIRD)):
        run_pass(reconciler, joining(end, network))
    kernel.move_in(f"vxcan{FIRST}p", 5, "acan0")
    run_pass(reconciler)  # the first container is known to be in namespace 5
    kernel.delete(f"vxcan{FIRST}")
    kernel.end_namespace(5)  # it ends, and the next container's namespace gets the number
    kernel.move_in(f"vxcan{SECOND}p", 5, "bcan0")
    kernel.move_in(f"vxcan{THIRD}p", 9, "bcan0")

    def nameless(_: Link) -> str:
        raise KernelError("receive from the kernel", errno.ENOBUFS, "evercan tries again")

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "name_inside", nameless)
        with pytest.raises(KernelError):
            run_pass(reconciler)
    run_pass(reconciler)
    assert set(kernel.inside(5)) == {"bcan0"}
