"""A task is run again after its testbed has failed, as after a crash of an emulated kernel."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bench import on_host
from lab.errors import TestbedError
from lab.testbed import Testbed
from tools import install, plugin


class FailingTestbed:
    """A host that loses its connection in the first tasks."""

    name, docker_host = "fake", "unix:///nowhere"

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.tasks = self.waited = 0

    def host(self, *argv: str, **_: Any) -> subprocess.CompletedProcess[bytes]:
        if argv[:2] != ("sh", "-c") or "host_tasks" not in argv:
            return subprocess.CompletedProcess(argv, 0, b"/rootfs\n")
        self.tasks += 1
        if self.tasks <= self.failures:
            raise TestbedError("no answer from the lab's ssh", "see whether the lab runs")
        return subprocess.CompletedProcess(argv, 0, b'{"late": 0}')

    def wait_engine(self) -> None:
        self.waited += 1


@pytest.mark.parametrize("failures", [0, 1, 3, 4])
def test_a_task_is_run_again(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    prepared: list[str] = []
    monkeypatch.setattr(plugin, "build_for", prepared.append)
    monkeypatch.setattr(install, "install", lambda _: None)
    testbed = FailingTestbed(failures)
    as_testbed: Testbed = testbed  # type: ignore[assignment]  # it has what a host needs
    host = on_host.Host(as_testbed)
    if failures <= 3:
        assert host.run("order", members=2) == {"late": 0}
        assert testbed.tasks == failures + 1
    else:
        with pytest.raises(TestbedError, match="no answer"):
            host.run("order", members=2)
        assert testbed.tasks == 4
    # After a failure the machine may have booted again: the plugin is looked for anew.
    assert testbed.waited == min(failures, 3)
    assert len(prepared) == testbed.waited + 1
