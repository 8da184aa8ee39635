"""The power is cut while containers run and others start; everything recovers by itself.

One cut here; twenty with ``EVERCAN_LONG=1`` (``make test-long``). Each cut affects a
virtual bus, a controller, the example with a health check, and a compose project that
is brought up and down at that moment. Before every second cut the controllers are
unplugged, so that the host boots without them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.compose import Project
from lab.errors import LabError
from lab.frames import ContainerMember, HostMember, Member, count_deliveries
from lab.lab_testbed import LabTestbed
from lab.plugin_process import PluginProcess
from tests.e2e.bus import Bus, attached_host_ends
from tests.e2e.command import Command
from tests.e2e.health import assert_no_problems, warnings
from tests.e2e.healthcheck import (
    assert_app_receives,
    assert_bus_was_ready_first,
    healthcheck_project,
)
from tests.e2e.wired_bus import BUS, OTHER, WiredBus, plug
from tools.common.polling import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

    from lab.testbed import Testbed

CUTS = 20 if os.environ.get("EVERCAN_LONG") else 1
PATIENCE = 5.0
"""Seconds that evercan may take to bring up a controller that was plugged in."""

_COMPOSE_BUS = "vcan8"
_FILE = Path(__file__).parent / "eight.yaml"


class _Busy:
    """A project that goes up and down without a pause, until it is stopped or cut off."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        # The command that the power cut interrupts fails, as it must.
        with contextlib.suppress(LabError, subprocess.SubprocessError, OSError):
            while not self._stop.is_set():
                self._project.up(app=3)
                self._project.down()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@dataclass
class Running:
    """Everything that runs when the power is cut, and must run afterwards."""

    virtual: Bus
    wired: WiredBus
    healthcheck: Project


@pytest.fixture(scope="module")
def running(wire: LabTestbed, lasting_trio: Bus, wired: WiredBus) -> Iterator[Running]:
    """Start a virtual bus, a bus on a controller, and the example with a health check."""
    example = healthcheck_project(wire)
    try:
        example.up()
        yield Running(lasting_trio, wired, example)
    finally:
        example.down()


@pytest.mark.parametrize("cut", range(CUTS))
def test_everything_recovers_from_a_power_cut(
    wire: LabTestbed, plugin: PluginProcess, command: Command, running: Running, cut: int
) -> None:
    chance = random.Random(cut)  # noqa: S311 - repeatable, not secret
    virtual, wired = running.virtual, running.wired
    if cut % 2:
        plug(wire)
    for bus in (virtual, wired) if cut % 2 == 0 else (virtual,):
        fault = {"NetworkID": bus.network_id, "Loss": "100%"}
        assert plugin.ask("/fault-set", json.dumps(fault).encode())[0] == 200
    with_queues = {virtual.interface, *virtual.host_ends()}
    assert with_queues <= interfaces_with_a_queue(wire)
    assert warnings(plugin, virtual.interface) == ["fault-injected"]
    wire.host("sync")  # the containers' logs, which show the frames, may be damaged otherwise
    since = wire.now()
    compose_project = Project(wire, _FILE, "evercan-cuts")
    busy = _Busy(compose_project)
    time.sleep(chance.uniform(0.5, 14.0))
    wire.power_cut()
    busy.stop()
    virtual.reconnect()
    wired.reconnect()
    virtual.wait_healthy(120)
    virtual.assert_healthy()
    # A fault ends with the boot: nothing of it is in the kernel or in the plugin.
    assert interfaces_with_a_queue(wire) == set()
    _, status = plugin.ask("/status")
    assert [network["faults"] for network in status["networks"] if network["faults"]] == []
    assert command.run("fault", "show") == (0, "no faults are set\n")
    journal = wire.journal(since)
    assert f"Interface {virtual.interface} missing after reboot, recreating" in journal
    assert "cause=reboot" in journal
    if cut % 2:
        wait_until(lambda: are_running(wired.containers), 120, "the containers")
        assert_network_waits_for_its_controller(wired, plugin, command, since)
    else:
        wired.bring_up_other()
        wired.wait_healthy(120)
        wired.assert_healthy()
    running.healthcheck.wait_running()
    assert_bus_was_ready_first(running.healthcheck, since)
    assert_app_receives(wire, running.healthcheck)
    assert_project_comes_up_and_leaves_nothing(wire, compose_project, plugin)


def interfaces_with_a_queue(testbed: Testbed) -> set[str]:
    """Return the interfaces that have a queue as faults make it."""
    shown = json.loads(testbed.host("tc", "-json", "qdisc").stdout)
    return {qdisc["dev"] for qdisc in shown if qdisc["kind"] == "prio"}


def are_running(containers: list[Container]) -> bool:
    """Return whether all of some containers run."""
    for container in containers:
        container.reload()
    return all(container.status == "running" for container in containers)


def assert_network_waits_for_its_controller(
    wired: WiredBus, plugin: PluginProcess, command: Command, since: float
) -> None:
    """Assert that an absent controller is reported, and used as soon as it is plugged in."""
    assert {BUS, OTHER} & wired.links().keys() == set()
    _, answer = plugin.ask("/health")
    assert [reason["kind"] for reason in answer["reasons"]] == ["bus-absent"]
    assert BUS in answer["reasons"][0]["text"]
    [check] = command.doctor().failed
    assert (check["id"], BUS in check["text"]) == ("health.bus-absent", True), check
    assert f"the CAN controller {BUS} is absent" in wired.lab.journal(since)
    started = [container.attrs["State"]["StartedAt"] for container in wired.containers]
    with wired.traffic():
        wired.lab.replug(0)
        begun = time.monotonic()
        wait_until(lambda: "UP" in wired.shown()["flags"], PATIENCE, f"{BUS} to be up")
        wired.lab.replug(1)
        wired.bring_up_other()
        wired.wait_for_frames()
        # This includes the time that the second card takes.
        assert time.monotonic() - begun < 4 * PATIENCE
    wired.assert_healthy()
    assert are_running(wired.containers)
    assert [container.attrs["State"]["StartedAt"] for container in wired.containers] == started


def assert_project_comes_up_and_leaves_nothing(
    testbed: Testbed, project: Project, plugin: PluginProcess
) -> None:
    """Assert that the project that the power cut interrupted comes up, and goes without a trace."""
    try:
        # The engine does not finish a removal that the power cut interrupted, and compose
        # tries to start the container.
        half_removed = ["--filter", "status=dead", "--filter", "status=removing"]
        ids = testbed.host("docker", "ps", "--all", "--quiet", *half_removed).stdout.decode()
        if ids.split():
            testbed.host("docker", "rm", "--force", *ids.split())
        project.up(app=3)
        project.wait_running()
        host = HostMember(testbed, _COMPOSE_BUS)
        members: list[Member] = [
            *(ContainerMember(container, "can0") for container in project.containers()),
            host,
        ]
        assert len(members) == 4
        verdict = count_deliveries(members, 5)
        host.close()
        assert verdict.exactly_once, str(verdict)
        assert_no_problems(plugin)
    finally:
        project.down()
    links = testbed.host("ls", "/sys/class/net").stdout.decode().split()
    assert _COMPOSE_BUS not in links
    assert {name for name in links if name.startswith("vxcan")} == attached_host_ends(testbed)
