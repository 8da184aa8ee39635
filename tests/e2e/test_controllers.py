"""CAN controllers: set, shared, waited for, unplugged and plugged in again.

The lab has two emulated Kvaser controllers on one wire. The first is the bus of
the network under test, the second is somebody else's node on that wire.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError
from docker.types import IPAMConfig
from prometheus_client.parser import text_string_to_metric_families

from lab.frames import ContainerMember, Deliveries, HostMember, Member, count_deliveries
from lab.lab_testbed import LabTestbed
from lab.plugin_process import NAME, PluginProcess
from lab.qmp import QmpError
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL
from tools.common.polling import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

TIMES = 10 if os.environ.get("EVERCAN_LONG") else 3
BUS, OTHER = "can0", "can1"
OPTIONS = {"vxcan.kind": "physical", "vxcan.bitrate": "500000", "vxcan.restart-ms": "100"}
PATIENCE = 5.0
"""Seconds from a controller's appearance to frames on it, by the acceptance of this feature."""


class WiredBus(Bus):
    """A network on the first controller, with the second one listening on the wire."""

    def __init__(self, testbed: LabTestbed) -> None:
        self.lab = testbed
        super().__init__(testbed, BUS, **OPTIONS)

    def set_up_other(self) -> None:
        """Set up the second controller, as somebody else's node."""
        script = f"ip link set {OTHER} down; ip link set {OTHER} up type can bitrate 500000"
        self.lab.host("sh", "-c", script)

    def judge(self, count: int = 10) -> Deliveries:
        """Let containers, the host and the other node send classic frames, and count."""
        with ExitStack() as stack:
            members: list[Member] = [ContainerMember(each, "can0") for each in self.containers]
            for interface in (BUS, OTHER):
                member = HostMember(self.lab, interface)
                members.append(stack.enter_context(closing(member)))
            return count_deliveries(members, count, fd=False, gap_ms=20)

    def shows(self, interface: str = BUS) -> dict[str, Any]:
        """Return what ``ip -details`` shows of an interface."""
        return self.links()[interface]

    def cut_power(self) -> None:
        """Cut it when all is on disk: a log that it damages could not be judged by."""
        self.lab.host("sync")
        self.lab.power_cut()
        self.reconnect()

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Let the first container send all the time, beside what is judged."""
        sender = self.containers[0]
        script = "echo $$ > /sender; exec cangen can0 -I 123 -L 8 -g 50 -x"
        sender.exec_run(["sh", "-c", script], detach=True)
        try:
            yield
        finally:
            sender.exec_run(["sh", "-c", "kill $(cat /sender)"])

    def wait_on_the_wire(self) -> float:
        """Wait until the other node hears the containers' traffic; return the seconds."""
        with closing(HostMember(self.lab, OTHER)) as other:
            return wait_until(lambda: " 123#" in other.received(), 30, f"traffic on {OTHER}")


def plug(lab: LabTestbed, *controllers: int) -> None:
    """Take all controllers out and put some in again, in this order."""
    for each in (0, 1):
        with suppress(QmpError):
            lab.unplug(each)
    for each in controllers:
        lab.replug(each)


@pytest.fixture(scope="module")
def wire(testbed: Testbed) -> Iterator[LabTestbed]:
    """The lab with both controllers as they came from the factory."""
    if not isinstance(testbed, LabTestbed):
        pytest.skip("this engine's host has no controllers of ours to unplug; the lab runs this")
    plug(testbed, 0, 1)
    yield testbed
    plug(testbed, 0, 1)


@pytest.fixture(scope="module")
def wired(wire: LabTestbed) -> Iterator[WiredBus]:
    """Two containers on the first controller, for tests that leave it whole."""
    bus = WiredBus(wire)
    try:
        bus.set_up_other()
        bus.start(2, restart="always")
        yield bus
    finally:
        bus.remove()
    shown = bus.shows()
    assert "UP" in shown["flags"], "a controller is never set down on the way out"


def health(plugin: PluginProcess) -> list[tuple[str, str]]:
    """Return the reasons of ``/health``: kind and text."""
    _, answer = plugin.ask("/health")
    return [(each["kind"], each["text"]) for each in answer["reasons"]]


# --- refused, and nothing changed ------------------------------------------------------


def create(testbed: Testbed, bus: str, **options: str) -> str:
    """Create a network, remove it again, and return the error if there was one."""
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
    """Return an interface as ``ip`` shows it, but for what counts up."""
    shown = testbed.host("ip", "-details", "-json", "link", "show", interface).stdout
    (link,) = json.loads(shown)
    return dict(link)


REFUSED = {
    "impossible bitrate": (
        {"vxcan.kind": "physical", "vxcan.bitrate": "3000000", "vxcan.listen-only": "on"},
        ["bitrate error", "EINVAL", "5000 to 2666666 bit/s", "sja1000"],
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


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_controller_cannot_do_is_refused_in_words(wire: LabTestbed, case: str) -> None:
    options, words = REFUSED[case]
    before = described(wire, OTHER)
    error = create(wire, OTHER, **options)
    assert [each for each in words if each not in error] == [], error
    assert described(wire, OTHER) == before


def test_a_controller_that_somebody_else_set_up_is_left_alone(wire: LabTestbed) -> None:
    wire.host("ip", "link", "set", OTHER, "up", "type", "can", "bitrate", "250000")
    before = described(wire, OTHER)
    error = create(wire, OTHER, **OPTIONS)
    assert "bitrate 250000 instead of 500000" in error
    assert f"ip link set {OTHER} down" in error
    assert described(wire, OTHER) == before
    # The way out that the error names.
    wire.host("ip", "link", "set", OTHER, "down")
    assert create(wire, OTHER, **OPTIONS) == ""
    assert described(wire, OTHER)["linkinfo"]["info_data"]["bittiming"]["bitrate"] == 500000


def test_a_virtual_interface_is_not_taken_for_a_controller(wire: LabTestbed) -> None:
    wire.host("ip", "link", "add", "can9", "type", "vcan")
    try:
        error = create(wire, "can9", **{"vxcan.kind": "physical"})
        assert "is a vcan, no controller" in error
        assert "ip link del can9" in error
        assert described(wire, "can9")["operstate"] == "DOWN"
    finally:
        wire.host("ip", "link", "del", "can9")


# --- over the wire ----------------------------------------------------------------------


def test_frames_cross_the_wire_exactly_once(wired: WiredBus) -> None:
    wired.assert_whole()
    data = wired.shows()["linkinfo"]["info_data"]
    assert data["bittiming"]["bitrate"] == 500000
    assert data["restart_ms"] == 100


@pytest.mark.parametrize("again", range(TIMES))
def test_unplugged_and_plugged_in_again_under_traffic(
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
            lambda: listener.received().count(" 123#") > before + 3, 10, "the containers' own"
        )
        assert [kind for kind, _ in health(plugin)] == ["bus-absent"]
        wired.lab.replug(0)
        seconds = wired.wait_on_the_wire()
    record_property(HEALED, seconds)
    assert again < TIMES
    assert seconds < PATIENCE
    wired.assert_whole(3)
    assert health(plugin) == []


def test_plugged_in_while_the_plugin_restarts(wired: WiredBus, plugin: PluginProcess) -> None:
    with wired.traffic():
        wired.lab.unplug(0)
        pid = plugin.pid()
        wired.lab.host("kill", "-KILL", str(pid))
        wired.lab.replug(0)
        wired.wait_on_the_wire()
    wired.assert_whole(3)


def test_plugged_in_again_in_another_order(wired: WiredBus, plugin: PluginProcess) -> None:
    # The name is what is awaited: can0 is the other card now.
    plug(wired.lab, 1, 0)
    assert wired.lab.interface(1) == BUS
    wired.set_up_other()
    with wired.traffic():
        wired.wait_on_the_wire()
    wired.assert_whole(3)
    plug(wired.lab, 0, 1)
    wired.set_up_other()
    with wired.traffic():
        wired.wait_on_the_wire()
    wired.assert_whole(3)
    assert health(plugin) == []


def test_under_another_number_it_is_waited_for_and_a_vcan_of_its_name_is_no_bus(
    wired: WiredBus, plugin: PluginProcess, command: Command
) -> None:
    wired.lab.unplug(0)
    wired.lab.host("ip", "link", "add", BUS, "up", "type", "vcan")
    wired.lab.replug(0)
    came_as = wired.lab.interface(0)
    assert came_as not in (BUS, OTHER)
    wait_until(lambda: bool(health(plugin)), 10, "the trouble to be told")
    [(kind, text)] = health(plugin)
    assert (kind, f"ip link del {BUS}" in text) == ("bus-foreign", True)
    [check] = command.doctor().failed
    assert (check["id"], f"ip link del {BUS}" in check["remedy"]) == ("health.bus-foreign", True)
    assert "DOWN" in wired.shows(came_as)["operstate"]
    wired.lab.host("ip", "link", "del", BUS)
    wired.lab.host("ip", "link", "set", came_as, "name", BUS)
    with wired.traffic():
        assert wired.wait_on_the_wire() < PATIENCE
    wired.assert_whole(3)


def test_what_was_set_is_kept(wired: WiredBus, plugin: PluginProcess) -> None:
    script = f"ip link set {BUS} down; ip link set {BUS} up type can bitrate 250000"
    wired.lab.host("sh", "-c", script)

    def bitrate() -> int:
        return int(wired.shows()["linkinfo"]["info_data"]["bittiming"]["bitrate"])

    wait_until(lambda: bitrate() == 500000, 15, "the bitrate to be set again")
    wired.assert_whole(3)
    assert health(plugin) == []


def test_a_power_cut_and_a_boot_without_the_controllers(
    wired: WiredBus, plugin: PluginProcess, command: Command
) -> None:
    wired.cut_power()
    wired.set_up_other()
    wired.wait_whole(120)
    wired.assert_whole()

    plug(wired.lab)
    since = wired.lab.now()
    wired.cut_power()
    wait_until(lambda: all(_is_running(each) for each in wired.containers), 120, "the containers")
    assert {BUS, OTHER} & wired.links().keys() == set()
    [(kind, text)] = health(plugin)
    assert (kind, BUS in text) == ("bus-absent", True)
    [check] = command.doctor().failed
    assert (check["id"], BUS in check["text"]) == ("health.bus-absent", True), check
    assert f"the CAN controller {BUS} is absent" in wired.lab.journal(since)
    started = [each.attrs["State"]["StartedAt"] for each in wired.containers]
    with wired.traffic():
        wired.lab.replug(0)
        begun = time.monotonic()
        wait_until(lambda: "UP" in wired.shows()["flags"], PATIENCE, f"{BUS} to be up")
        wired.lab.replug(1)
        wired.set_up_other()
        wired.wait_on_the_wire()
        assert time.monotonic() - begun < 4 * PATIENCE  # the second card's own time is in it
    wired.assert_whole()
    assert [each.attrs["State"]["StartedAt"] for each in wired.containers] == started


def _is_running(container: Container) -> bool:
    container.reload()
    return str(container.status) == "running"


# --- what does not reach the wire -------------------------------------------------------


def metric(plugin: PluginProcess, name: str, **labels: str) -> float:
    """Return one sample of ``/metrics``; 0 if there is none."""
    for family in text_string_to_metric_families(plugin.read("/metrics")):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


def test_fd_frames_for_a_classic_controller_are_counted_and_told_once(
    wired: WiredBus, plugin: PluginProcess
) -> None:
    since = wired.lab.now()
    sender, listener = wired.containers
    before = metric(plugin, "evercan_frames_total", bus=BUS, direction="to_bus", fate="dropped")
    for _ in range(2):
        sender.exec_run(["cangen", "can0", "-n", "20", "-f", "-I", "321", "-L", "8", "-g", "5"])
        time.sleep(HEALTH_INTERVAL + 1)
    dropped = metric(plugin, "evercan_frames_total", bus=BUS, direction="to_bus", fate="dropped")
    assert dropped - before == 40
    assert listener.logs(stderr=False).count(b" 321##") == 40  # the other container has them
    told = wired.lab.journal(since).count("FD frames that a container sent did not reach the wire")
    assert told == 1


def test_a_full_queue_is_counted_and_told(wired: WiredBus, plugin: PluginProcess) -> None:
    since = wired.lab.now()
    before = metric(plugin, "evercan_frames_total", bus=BUS, direction="to_bus", fate="dropped")
    flood = "cangen can0 -n 3000 -I 555 -L 8 -g 0 -x -i"
    wired.containers[0].exec_run(["sh", "-c", f"for each in 1 2 3; do {flood} & done; wait"])
    time.sleep(HEALTH_INTERVAL + 1)
    dropped = metric(plugin, "evercan_frames_total", bus=BUS, direction="to_bus", fate="dropped")
    assert dropped > before
    assert f"the queue of {BUS} (txqueuelen 10) was full" in wired.lab.journal(since)


def test_the_state_of_a_controller_is_shown(wired: WiredBus, plugin: PluginProcess) -> None:
    wired.set_up_other()
    wired.assert_whole(3)
    assert metric(plugin, "evercan_controller_state", bus=BUS, state="error-active") == 1
    assert metric(plugin, "evercan_controller_bitrate", bus=BUS, phase="arbitration") == 500000
    assert metric(plugin, "evercan_controller_frames_total", bus=BUS, direction="tx", fate="ok") > 0
