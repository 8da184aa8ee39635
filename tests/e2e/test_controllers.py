"""CAN controllers are configured, shared, waited for, unplugged and plugged in again.

The lab has two emulated Kvaser controllers on one wire. The first is the bus of
the network under test, the second is another node on that wire.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from docker.errors import APIError
from docker.types import IPAMConfig
from prometheus_client.parser import text_string_to_metric_families

from lab.frames import ContainerMember
from lab.lab_testbed import LabTestbed
from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed
from tests.e2e.command import Command
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL, configure_plugin
from tests.e2e.health import assert_no_problems, reasons
from tests.e2e.thorough import only_quick
from tests.e2e.wired_bus import BUS, OPTIONS, OTHER, WiredBus, plug
from tools.common.polling import wait_until

TIMES = 10 if os.environ.get("EVERCAN_LONG") else 2
PATIENCE = 5.0
"""Seconds that evercan may take from a controller's appearance to frames on it."""


# --- rejected settings change nothing --------------------------------------------------


def create(testbed: Testbed, bus: str, **options: str) -> str:
    """Create a network and remove it again; return the error, or nothing if there was none."""
    client = testbed.client()
    prefix, number = bus.rstrip("0123456789"), bus.lstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        network = client.networks.create(
            f"evercan-{time.monotonic_ns()}",
            driver=NAME,
            options={"vxcan.dev": prefix, "vxcan.id": number, **options},
            ipam=IPAMConfig(driver="null"),
        )
    except APIError as error:
        return str(error.explanation)
    network.remove()
    return ""


def described(testbed: Testbed, interface: str) -> dict[str, Any]:
    """Return an interface as ``ip`` shows it, without the counters."""
    shown = testbed.host("ip", "-details", "-json", "link", "show", interface).stdout
    (link,) = json.loads(shown)
    return dict(link)


REJECTED = {
    "impossible bitrate": (
        {"vxcan.kind": "physical", "vxcan.bitrate": "3000000", "vxcan.listen-only": "on"},
        # The error is EINVAL; before Linux 6.3 it is EDOM, without words of the kernel.
        ["bitrate 3000000", "(E", "5000 to 2666666 bit/s", "sja1000"],
    ),
    "FD on a classic controller": (
        {
            "vxcan.kind": "physical",
            "vxcan.bitrate": "500000",
            "vxcan.fd": "on",
            "vxcan.dbitrate": "2000000",
        },
        ["EOPNOTSUPP", "no CAN FD"],
    ),
    "virtual": ({"vxcan.kind": "virtual"}, ["vxcan.kind='virtual'", "is a CAN controller"]),
}


@pytest.mark.parametrize("case", REJECTED)
def test_settings_that_a_controller_does_not_support_are_rejected(
    wire: LabTestbed, case: str
) -> None:
    options, words = REJECTED[case]
    before = described(wire, OTHER)
    error = create(wire, OTHER, **options)
    assert [word for word in words if word not in error] == [], error
    assert described(wire, OTHER) == before


def test_a_controller_that_the_host_configured_is_not_changed(wire: LabTestbed) -> None:
    wire.host("ip", "link", "set", OTHER, "up", "type", "can", "bitrate", "250000")
    before = described(wire, OTHER)
    error = create(wire, OTHER, **OPTIONS)
    assert "bitrate 250000 instead of 500000" in error
    assert f"ip link set {OTHER} down" in error
    assert described(wire, OTHER) == before
    # The remedy that the error names.
    wire.host("ip", "link", "set", OTHER, "down")
    assert create(wire, OTHER, **OPTIONS) == ""
    assert described(wire, OTHER)["linkinfo"]["info_data"]["bittiming"]["bitrate"] == 500000


def test_a_virtual_interface_is_rejected_as_a_controller(wire: LabTestbed) -> None:
    wire.host("ip", "link", "add", "can9", "type", "vcan")
    try:
        error = create(wire, "can9", **{"vxcan.kind": "physical"})
        assert "is a vcan, no controller" in error
        assert "ip link del can9" in error
        assert described(wire, "can9")["operstate"] == "DOWN"
    finally:
        wire.host("ip", "link", "del", "can9")


# --- settings that another network gives ------------------------------------------------


class Counts:
    """The counters of drift and recoveries of some buses, since a point in time."""

    def __init__(self, plugin: PluginProcess, *buses: str) -> None:
        self._plugin, self._buses = plugin, buses
        self._before = self._sums()

    def _sums(self) -> dict[str, float]:
        sums = {"evercan_drift_found_total": 0.0, "evercan_recoveries_total": 0.0}
        for family in text_string_to_metric_families(self._plugin.read("/metrics")):
            for sample in family.samples:
                if sample.name in sums and sample.labels["bus"] in self._buses:
                    sums[sample.name] += sample.value
        return sums

    def grown(self) -> dict[str, float]:
        """Return by how much each counter has grown."""
        return {name: value - self._before[name] for name, value in self._sums().items()}


@pytest.mark.parametrize("recovery", only_quick(["auto"], ["auto", "fail-fast"]))
def test_a_second_network_that_gives_a_known_controller_a_bitrate_is_no_drift(
    wire: LabTestbed, plugin: PluginProcess, recovery: str
) -> None:
    client = wire.client()
    networks = []

    def connect(bus: str, **options: str) -> None:
        networks.append(
            client.networks.create(
                f"evercan-{time.monotonic_ns()}",
                driver=NAME,
                options={
                    "vxcan.dev": "can",
                    "vxcan.id": bus[3:],
                    "vxcan.kind": "physical",
                    **options,
                },
                ipam=IPAMConfig(driver="null"),
            )
        )

    # The host has brought up the first controller, and has only configured the second. A network
    # without settings does not bring up such a controller, and fail-fast rejects it.
    buses = (BUS, OTHER) if recovery == "auto" else (BUS,)
    configure_plugin(client, f"EVERCAN_RECOVERY={recovery}")
    try:
        wire.host(
            "sh",
            "-c",
            f"ip link set {BUS} down; ip link set {BUS} up type can bitrate 500000;"
            f"ip link set {OTHER} down; ip link set {OTHER} type can bitrate 250000",
        )
        for bus in buses:
            connect(bus)
        since = wire.now()
        counts = Counts(plugin, *buses)
        for bus in buses:
            connect(bus, **{"vxcan.bitrate": "500000"})
        for bus in buses:
            shown = described(wire, bus)
            assert "UP" in shown["flags"]
            assert shown["linkinfo"]["info_data"]["bittiming"]["bitrate"] == 500000
        time.sleep(HEALTH_INTERVAL + 1)  # a check comes meanwhile
        assert counts.grown() == {"evercan_drift_found_total": 0, "evercan_recoveries_total": 0}
        assert_no_problems(plugin)
        assert "Health check FAILED" not in wire.journal(since)
    finally:
        for network in networks:
            network.remove()
        configure_plugin(client, "EVERCAN_RECOVERY=auto")
        wire.host("sh", "-c", f"ip link set {BUS} down; ip link set {OTHER} down")


# --- frames on the wire -----------------------------------------------------------------


def test_frames_cross_the_wire_exactly_once(wired: WiredBus) -> None:
    wired.assert_healthy(by_exec=True)
    data = wired.shown()["linkinfo"]["info_data"]
    assert data["bittiming"]["bitrate"] == 500000
    assert data["restart_ms"] == 100


def test_the_group_of_a_controller_is_not_changed(wired: WiredBus) -> None:
    shown = wired.shown()
    assert shown["linkinfo"]["info_data"]["bittiming"]["bitrate"] == 500000
    assert shown["group"] == "default"


@pytest.mark.parametrize("again", only_quick([0], range(TIMES)))
def test_a_controller_is_unplugged_and_plugged_in_again_under_traffic(
    wired: WiredBus,
    plugin: PluginProcess,
    again: int,
    record_property: Callable[..., None],
) -> None:
    with wired.traffic():
        wired.lab.unplug(0)
        listener = ContainerMember(wired.containers[1], "can0")
        before = listener.received().count(" 123#")
        wait_until(
            lambda: listener.received().count(" 123#") > before + 3,
            10,
            "frames between the containers",
        )
        assert [kind for kind, _ in reasons(plugin)] == ["bus-absent"]
        wired.lab.replug(0)
        seconds = wired.wait_for_frames()
    record_property(HEALED, seconds)
    assert again < TIMES
    assert seconds < PATIENCE
    wired.assert_healthy(3)
    assert reasons(plugin) == []


def test_a_controller_is_plugged_in_while_the_plugin_restarts(
    wired: WiredBus, plugin: PluginProcess
) -> None:
    with wired.traffic():
        wired.lab.unplug(0)
        pid = plugin.pid()
        wired.lab.host("kill", "-KILL", str(pid))
        wired.lab.replug(0)
        wired.wait_for_frames()
    wired.assert_healthy(3)


def test_controllers_are_plugged_in_again_in_another_order(
    wired: WiredBus, plugin: PluginProcess
) -> None:
    # The network waits for the name: can0 is the other card now.
    plug(wired.lab, 1, 0)
    assert wired.lab.interface(1) == BUS
    wired.bring_up_other()
    with wired.traffic():
        wired.wait_for_frames()
    wired.assert_healthy(3)
    plug(wired.lab, 0, 1)
    wired.bring_up_other()
    with wired.traffic():
        wired.wait_for_frames()
    wired.assert_healthy(3)
    assert reasons(plugin) == []


def test_a_network_waits_for_its_controller_and_rejects_a_vcan_with_its_name(
    wired: WiredBus, plugin: PluginProcess, command: Command
) -> None:
    wired.lab.unplug(0)
    wired.lab.host("ip", "link", "add", BUS, "up", "type", "vcan")
    wired.lab.replug(0)
    came_as = wired.lab.interface(0)
    assert came_as not in (BUS, OTHER)
    wait_until(lambda: bool(reasons(plugin)), 10, "the problem in /health")
    [(kind, text)] = reasons(plugin)
    assert (kind, f"ip link del {BUS}" in text) == ("bus-foreign", True)
    [check] = command.doctor().failed
    assert (check["id"], f"ip link del {BUS}" in check["remedy"]) == ("health.bus-foreign", True)
    assert "DOWN" in wired.shown(came_as)["operstate"]
    wired.lab.host("ip", "link", "del", BUS)
    wired.lab.host("ip", "link", "set", came_as, "name", BUS)
    with wired.traffic():
        assert wired.wait_for_frames() < PATIENCE
    wired.assert_healthy(3)


def test_settings_that_somebody_changed_are_restored(
    wired: WiredBus, plugin: PluginProcess
) -> None:
    # In one process: between two, evercan would bring the controller up again.
    batch = f"link set {BUS} down\nlink set {BUS} up type can bitrate 250000\n"
    wired.lab.host("ip", "-batch", "-", stdin=batch.encode())

    def bitrate() -> int:
        return int(wired.shown()["linkinfo"]["info_data"]["bittiming"]["bitrate"])

    wait_until(lambda: bitrate() == 500000, 15, "the bitrate to be restored")
    wired.assert_healthy(3)
    assert reasons(plugin) == []


# --- frames that do not reach the wire --------------------------------------------------


def metric(plugin: PluginProcess, name: str, **labels: str) -> float:
    """Return one sample of ``/metrics``; 0 if there is none."""
    for family in text_string_to_metric_families(plugin.read("/metrics")):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


def test_frames_that_do_not_reach_the_wire_are_counted_and_logged(
    wired: WiredBus, plugin: PluginProcess
) -> None:
    def dropped() -> float:
        labels = {"bus": BUS, "direction": "to_bus", "fate": "dropped"}
        return metric(plugin, "evercan_frames_total", **labels)

    since, before = wired.lab.now(), dropped()
    sender, listener = wired.containers
    no_fd = "FD frames that a container sent did not reach the wire"
    full = f"the queue of {BUS} (txqueuelen 10) was full"
    # A classic controller sends no FD frames: that is logged at the first check only.
    fd_frames = ["cangen", "can0", "-n", "20", "-f", "-I", "321", "-L", "8", "-g", "5"]
    sender.exec_run(fd_frames)
    wait_until(lambda: no_fd in wired.lab.journal(since), HEALTH_INTERVAL + 5, "FD in the log")
    sender.exec_run(fd_frames)
    time.sleep(HEALTH_INTERVAL + 1)
    assert dropped() - before == 40
    assert listener.logs(stderr=False).count(b" 321##") == 40  # the other container has them

    with wired.slow_wire():
        sender.exec_run("cangen can0 -n 300 -I 555 -L 8 -g 0 -x -i")
    wait_until(lambda: full in wired.lab.journal(since), HEALTH_INTERVAL + 5, "losses in the log")
    assert dropped() - before > 40
    assert wired.lab.journal(since).count(no_fd) == 1


def test_metrics_show_the_state_of_a_controller(wired: WiredBus, plugin: PluginProcess) -> None:
    wired.bring_up_other()
    wired.assert_healthy(3)
    assert metric(plugin, "evercan_controller_state", bus=BUS, state="error-active") == 1
    assert metric(plugin, "evercan_controller_bitrate", bus=BUS, phase="arbitration") == 500000
    assert metric(plugin, "evercan_controller_frames_total", bus=BUS, direction="tx", fate="ok") > 0
