"""CAN FD adapters on USB: bit timing, frames, error states, bus-off, re-plugging and names.

The adapters are played on the host itself (`lab.usb_can`) and the kernel's own gs_usb driver
serves them, as candleLight or CANable. So these tests also run on an engine whose host has
vhci-hcd and gs_usb.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from lab.usb_adapters import UsbAdapters
from tests.e2e.command import Command
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL
from tests.e2e.health import assert_no_problems, reasons
from tests.e2e.kernel import kernel_version
from tests.e2e.test_controllers import create
from tests.e2e.usb_bus import FD_SETTINGS, TIMING, UsbBus, replug, status_of, wait_for_state
from tools.common.polling import wait_until


@pytest.fixture(scope="module")
def fd_bus(testbed: Testbed, adapters: UsbAdapters) -> Iterator[UsbBus]:
    """Yield a bus with two containers on an FD adapter, for tests that leave it healthy."""
    bus = UsbBus(testbed, adapters, "FD0", "FD1", **FD_SETTINGS)
    try:
        bus.bring_up_other()
        bus.start(2)
        yield bus
    finally:
        bus.remove()


@pytest.fixture(scope="module")
def classic_bus(testbed: Testbed, adapters: UsbAdapters) -> Iterator[UsbBus]:
    """Yield a bus with two containers on the adapter without FD, and without a restart delay."""
    bus = UsbBus(testbed, adapters, "CC0", "FD1", **{"vxcan.bitrate": "500000"})
    try:
        bus.bring_up_other()
        bus.start(2)
        yield bus
    finally:
        bus.remove()


def samples(plugin: PluginProcess, name: str, bus: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric of one bus, by their other labels."""
    return {
        tuple(
            value for label, value in sorted(sample.labels.items()) if label != "bus"
        ): sample.value
        for family in text_string_to_metric_families(plugin.read("/metrics"))
        for sample in family.samples
        if sample.name == name and sample.labels.get("bus") == bus
    }


# --- bit timing and frames --------------------------------------------------------------


def test_fd_settings_are_applied_and_reported(fd_bus: UsbBus, plugin: PluginProcess) -> None:
    assert fd_bus.timing() == TIMING
    assert_no_problems(plugin)
    controller = status_of(plugin, fd_bus.interface)["controller"]
    assert (controller["fd"], controller["dbitrate"], controller["state"]) == (
        True,
        2000000,
        "error-active",
    )


def test_frames_of_64_bytes_with_two_bitrates_cross_the_wire_exactly_once(fd_bus: UsbBus) -> None:
    fd_bus.assert_healthy(5, by_exec=True)
    flags = fd_bus.received_long_frames()
    assert flags
    assert all(int(flag, 16) & 1 for flag in flags), f"frames lost their second bitrate: {flags}"


def test_changed_fd_settings_are_restored(fd_bus: UsbBus, plugin: PluginProcess) -> None:
    # In one process: between two, evercan would bring the controller up again.
    name = fd_bus.interface
    batch = f"link set {name} down\nlink set {name} up type can bitrate 500000 dbitrate 4000000 "
    fd_bus.testbed.host("ip", "-batch", "-", stdin=f"{batch}fd on\n".encode())
    wait_until(lambda: fd_bus.timing() == TIMING, 15, "the settings to be restored")
    fd_bus.assert_healthy(3)
    assert_no_problems(plugin)


def test_fd_settings_are_applied_again_after_a_replug(
    fd_bus: UsbBus, plugin: PluginProcess, record_property: Callable[..., None]
) -> None:
    fd_bus.adapters.unplug("FD0")
    wait_until(lambda: bool(reasons(plugin)), 10, "the problem in /health")
    assert [kind for kind, _ in reasons(plugin)] == ["bus-absent"]
    assert fd_bus.adapters.plug("FD0") == fd_bus.interface
    seconds = wait_until(lambda: fd_bus.timing() == TIMING, 15, "the settings to be applied")
    record_property(HEALED, seconds)
    fd_bus.wait_healthy()
    fd_bus.assert_healthy(3)
    assert_no_problems(plugin)


# --- controllers without FD -------------------------------------------------------------


def test_fd_is_rejected_on_an_adapter_without_it(testbed: Testbed, adapters: UsbAdapters) -> None:
    error = create(testbed, adapters.interface("CC0"), **{"vxcan.kind": "physical", **FD_SETTINGS})
    assert "no CAN FD" in error
    assert "EOPNOTSUPP" in error


def test_fd_frames_on_a_bus_without_fd_are_counted_logged_and_warned_of(
    classic_bus: UsbBus, plugin: PluginProcess, command: Command
) -> None:
    bus = classic_bus.interface
    verdict = classic_bus.judge(3, fd=False)
    assert verdict.exactly_once, str(verdict)
    assert (classic_bus.timing()["mtu"], status_of(plugin, bus)["controller"]["fd"]) == (16, False)
    assert plugin.ask("/health")[1]["warnings"] == []
    since = classic_bus.testbed.now()
    sender, listener = classic_bus.containers
    sender.exec_run(["cangen", "can0", "-n", "7", "-f", "-b", "-I", "321", "-L", "64", "-g", "5"])

    def warned() -> bool:
        return bool(plugin.ask("/health")[1]["warnings"])

    wait_until(warned, HEALTH_INTERVAL + 10, "the warning")
    (warning,) = plugin.ask("/health")[1]["warnings"]
    assert (warning["kind"], warning["bus"]) == ("bus-no-fd", bus)
    assert f"{bus} is set to classic frames" in warning["text"]
    assert "7 FD frames" in classic_bus.testbed.journal(since)
    assert samples(plugin, "evercan_frames_total", bus)["to_bus", "dropped"] == 7
    assert listener.logs(stderr=False).count(b" 321##") == 7  # the other container has them
    assert "health.bus-no-fd" in command.doctor().text
    assert_no_problems(plugin)


# --- error states and bus-off -----------------------------------------------------------


def test_an_error_state_is_shown_and_is_no_problem(
    fd_bus: UsbBus, plugin: PluginProcess, command: Command
) -> None:
    bus = fd_bus.interface
    counts = kernel_version(fd_bus.testbed) > (6, 1)  # gs_usb of 6.1 has no error counters
    for word, level in (("warning", 96), ("passive", 128)):
        fd_bus.adapters.say("FD0", word)
        wait_for_state(plugin, bus, f"error-{word}")
        controller = status_of(plugin, bus)["controller"]
        expected = {"tx": level, "rx": 0} if counts else {"tx": None, "rx": None}
        assert controller["errors"] == expected
        assert controller["events"][f"error_{word}"] >= 1
        states = samples(plugin, "evercan_controller_state", bus)
        assert [key for key, value in states.items() if value] == [(f"error-{word}",)]
        assert_no_problems(plugin)
    diagnosis = command.doctor()
    assert f"is error-passive{', error counters 128 tx, 0 rx' if counts else ''}" in diagnosis.text
    assert [check for check in diagnosis.failed if check["id"].startswith("health")] == []
    assert "error-passive" in command.run("status")[1]
    fd_bus.adapters.say("FD0", "active")
    wait_for_state(plugin, bus, "error-active")


def test_a_controller_whose_driver_cannot_restart_comes_back_from_bus_off(
    fd_bus: UsbBus, plugin: PluginProcess, record_property: Callable[..., None]
) -> None:
    bus = fd_bus.interface

    def restarts() -> tuple[float, float]:
        by_evercan = samples(plugin, "evercan_recoveries_total", bus)["bus-off", "mended"]
        return by_evercan, samples(plugin, "evercan_controller_events_total", bus)["restarts",]

    before, since = restarts(), fd_bus.testbed.now()
    fd_bus.adapters.say("FD0", "bus-off")
    seconds = wait_for_state(plugin, bus, "error-active")
    record_property(HEALED, seconds)
    # It was the error frame that called for it: the next check comes later.
    assert seconds < HEALTH_INTERVAL
    by_evercan, by_kernel = (now - then for now, then in zip(restarts(), before, strict=True))
    assert by_evercan + by_kernel == 1
    if by_evercan:  # as of kernel 6.12, whose gs_usb cannot restart
        journal = fd_bus.testbed.journal(since)
        assert f"the controller {bus} is bus-off; repairing it" in journal
        assert f"restart {bus}, which is bus-off" in journal
    assert fd_bus.timing() == TIMING
    fd_bus.assert_healthy(3)
    assert_no_problems(plugin)


def test_a_controller_whose_driver_can_restart_is_left_to_the_kernel(
    testbed: Testbed, adapters: UsbAdapters, plugin: PluginProcess
) -> None:
    settings = {"vxcan.bitrate": "500000", "vxcan.restart-ms": "300"}
    bus = UsbBus(testbed, adapters, "RE0", "FD1", **settings)
    name = bus.interface
    try:
        bus.bring_up_other()
        bus.start(1)
        assert status_of(plugin, name)["controller"]["restart_ms"] == 300
        adapters.say("RE0", "bus-off")
        wait_for_state(plugin, name, "error-active")
        controller = status_of(plugin, name)["controller"]
        assert (controller["events"]["bus_off"], controller["events"]["restarts"]) == (1, 1)
        assert samples(plugin, "evercan_recoveries_total", name)["bus-off", "mended"] == 0
        verdict = bus.judge(3, fd=False)
        assert verdict.exactly_once, str(verdict)
        assert_no_problems(plugin)
    finally:
        bus.remove()
        testbed.host("ip", "link", "set", name, "down")


def test_without_a_restart_delay_bus_off_is_reported_with_a_remedy_that_works(
    classic_bus: UsbBus, plugin: PluginProcess, command: Command
) -> None:
    bus, testbed = classic_bus.interface, classic_bus.testbed
    classic_bus.adapters.say("CC0", "bus-off")
    wait_until(lambda: bool(reasons(plugin)), 10, "the problem in /health")
    ((kind, text),) = reasons(plugin)
    assert (kind, f"{bus} is bus-off" in text) == ("bus-off", True)
    (check,) = [check for check in command.doctor().failed if check["id"] == "health.bus-off"]
    remedy = re.search(r"run '(.*?)' on the host", check["remedy"])
    assert remedy is not None, check
    testbed.host("sh", "-c", remedy[1])
    wait_for_state(plugin, bus, "error-active")
    assert_no_problems(plugin)
    verdict = classic_bus.judge(3, fd=False)
    assert verdict.exactly_once, str(verdict)


# --- names ------------------------------------------------------------------------------


def swap_warnings(plugin: PluginProcess, bus: str) -> list[str]:
    """Return the warnings of a bus whose adapters have swapped their names."""
    return [
        warning["text"]
        for warning in plugin.ask("/health")[1]["warnings"]
        if (warning["kind"], warning["bus"]) == ("bus-swapped", bus)
    ]


def test_a_network_follows_the_name_and_warns_when_adapters_swap_their_names(
    fd_bus: UsbBus, plugin: PluginProcess
) -> None:
    adapters, bus = fd_bus.adapters, fd_bus.interface
    other = adapters.interface("FD1")
    names = replug(adapters, "FD1", "FD0")
    try:
        assert names == {"FD1": bus, "FD0": other}
        wait_until(lambda: fd_bus.timing() == TIMING, 15, "the settings on the other adapter")
        assert_no_problems(plugin)
        (text,) = swap_warnings(plugin, bus)
        assert f"which was {other} before" in text
    finally:
        assert replug(adapters, "FD0", "FD1") == {"FD0": bus, "FD1": other}
    wait_until(lambda: not swap_warnings(plugin, bus), 10, "the warning to end")
    fd_bus.bring_up_other()
    fd_bus.wait_healthy()
    fd_bus.assert_healthy(3)
