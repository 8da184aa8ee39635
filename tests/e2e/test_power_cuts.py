"""The power goes at any moment of a busy day; whatever it left, the next `up` is whole.

Two cuts here; twenty with ``EVERCAN_LONG=1`` (``make test-long``).
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab.compose import Project
from lab.errors import LabError
from lab.frames import ContainerMember, HostMember, Member, count_deliveries
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed

CUTS = 20 if os.environ.get("EVERCAN_LONG") else 2
BUS = "vcan8"
_FILE = Path(__file__).parent / "eight.yaml"


class _Busy:
    """A project that goes up and down without a pause, until told to stop or cut off."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        # What the cut interrupts fails; that is the point of it.
        with contextlib.suppress(LabError, subprocess.SubprocessError, OSError):
            while not self._stop.is_set():
                self._project.up(app=3)
                self._project.down()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("cut", range(CUTS))
def test_a_power_cut_in_the_middle_of_anything_leaves_nothing_wrong(
    lab: Testbed, plugin: PluginProcess, cut: int
) -> None:
    chance = random.Random(cut)  # noqa: S311 - repeatable, not secret
    project = Project(lab, _FILE, "evercan-cuts")
    busy = _Busy(project)
    time.sleep(chance.uniform(0.5, 14.0))
    lab.power_cut()
    busy.stop()
    try:
        project.up(app=3)
        project.wait_running()
        host = HostMember(lab, BUS)
        members: list[Member] = [
            *(ContainerMember(each, "can0") for each in project.containers()),
            host,
        ]
        assert len(members) == 4
        verdict = count_deliveries(members, 5)
        host.close()
        assert verdict.exactly_once, str(verdict)
        assert plugin.ask("/health") == (200, {"healthy": True, "reasons": []})
    finally:
        project.down()
    links = lab.host("ls", "/sys/class/net").stdout.decode().split()
    assert [name for name in links if name.startswith("vxcan") or name == BUS] == []
