"""The host's own interfaces: what is used, repaired, kept and reported."""

from __future__ import annotations

from evercan.model.observed import HOST_GROUP
from lab.lab_testbed import LabTestbed
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.health import assert_no_problems, reasons, warnings
from tests.e2e.host_vcan import vcan
from tests.e2e.wired_bus import plug
from tools.common.polling import wait_until

BUS = "vcan60"


def test_the_hosts_own_vcan_is_created_again_with_an_mtu_for_fd_and_never_deleted(
    testbed: Testbed, plugin: PluginProcess, command: Command
) -> None:
    with vcan(testbed, BUS, mtu=16):
        since = testbed.now()
        bus = Bus(testbed, BUS)
        try:
            bus.start(1)
            [end] = bus.host_ends()

            def mtus() -> dict[str, int]:
                return {name: link["mtu"] for name, link in bus.links().items()}

            # The host has it with an MTU for classic frames: that is left alone, and reported.
            assert warnings(plugin, BUS) == ["bus-no-fd"]
            assert "health.bus-no-fd" in command.doctor().text
            assert testbed.journal(since).count("so that FD frames do not reach it") == 1
            assert (mtus()[BUS], mtus()[end]) == (16, 72)
            # One that evercan creates, and its pairs, have the MTU of FD, whatever is done to them.
            testbed.host("ip", "link", "del", BUS)
            wait_until(lambda: mtus().get(BUS) == 72, 10, f"{BUS} to be created again")
            assert bus.links()[BUS]["group"] == str(HOST_GROUP)
            assert warnings(plugin, BUS) == []
            for name, mtu in ((BUS, 16), (end, 2060)):
                # In one process: between two, evercan would bring the interface up again.
                batch = f"link set {name} down\nlink set {name} mtu {mtu} up\n"
                testbed.host("ip", "-batch", "-", stdin=batch.encode())
            wait_until(lambda: (mtus()[BUS], mtus()[end]) == (72, 72), 10, "the MTUs")
            bus.assert_healthy()
            assert_no_problems(plugin)
        finally:
            bus.remove()
        assert BUS in bus.links()


def test_a_virtual_bus_with_the_name_of_a_controller_is_reported_when_one_is_plugged_in(
    wire: LabTestbed, plugin: PluginProcess, command: Command
) -> None:
    wire.unplug(0)
    wire.unplug(1)
    bus = Bus(wire, "can0")
    try:
        assert_no_problems(plugin)
        wire.replug(0)
        came_as = wire.interface(0)
        assert came_as == "can1"
        [(kind, text)] = reasons(plugin)
        assert kind == "bus-impersonates"
        assert f"no network uses the controller {came_as}" in text
        assert "create it with vxcan.kind=physical" in text
        [check] = command.doctor().failed
        assert (check["id"], "vxcan.kind=physical" in check["remedy"]) == (
            "health.bus-impersonates",
            True,
        )
    finally:
        bus.remove()
        plug(wire, 0, 1)
    assert_no_problems(plugin)
