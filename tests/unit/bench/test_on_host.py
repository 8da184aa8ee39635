"""A task is run again after its testbed has failed, as after a crash of an emulated kernel."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from bench import on_host
from lab.errors import TestbedError, UnreachableError
from lab.testbed import Testbed
from tools import install, plugin


class FailingTestbed:
    """A host that loses its connection in the first tasks."""

    name, docker_host = "fake", "unix:///nowhere"

    def __init__(self, failures: int, error: type[TestbedError] = UnreachableError) -> None:
        self.failures, self.error = failures, error
        self.tasks = self.waited = 0

    def host(self, *argv: str, **_: Any) -> subprocess.CompletedProcess[bytes]:
        if argv[:2] != ("sh", "-c") or "host_tasks" not in argv:
            return subprocess.CompletedProcess(argv, 0, b"/rootfs\n")
        self.tasks += 1
        if self.tasks <= self.failures:
            raise self.error("no answer from the lab's ssh", "see whether the lab runs")
        return subprocess.CompletedProcess(argv, 0, b'{"late": 0}')

    def wait_engine(self) -> None:
        self.waited += 1


def host_of(
    testbed: FailingTestbed, monkeypatch: pytest.MonkeyPatch, prepared: list[str]
) -> on_host.Host:
    monkeypatch.setattr(plugin, "build_for", prepared.append)
    monkeypatch.setattr(install, "install", lambda _: None)
    as_testbed: Testbed = testbed  # type: ignore[assignment]  # it has what a host needs
    return on_host.Host(as_testbed)


def test_a_task_that_fails_by_itself_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    testbed = FailingTestbed(1, TestbedError)
    with pytest.raises(TestbedError):
        host_of(testbed, monkeypatch, []).run("order", members=2)
    assert testbed.tasks == 1


@pytest.mark.parametrize("failures", [0, 1, 3, 4])
def test_a_task_is_run_again(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    prepared: list[str] = []
    testbed = FailingTestbed(failures)
    host = host_of(testbed, monkeypatch, prepared)
    if failures <= 3:
        assert host.run("order", members=2) == {"late": 0}
        assert testbed.tasks == failures + 1
    else:
        with pytest.raises(TestbedError, match="no answer"):
            host.run("order", members=2)
        assert testbed.tasks == 4
    # The machine may have booted again, so the plugin is prepared again.
    assert testbed.waited == min(failures, 3)
    assert len(prepared) == testbed.waited + 1
