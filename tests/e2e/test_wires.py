"""Virtual buses with a bitrate: as slow as a wire, lower ids first, whatever happens to them.

No frame may arrive earlier than on a wire. How late it is depends on the machine: here it must
not be several times as late, and ``python -m bench --only wires`` measures it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from evercan.cli.views.bits import bits_of_text
from evercan.model.names import wire_names
from lab.errors import LabError
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e import access_traffic
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.health import assert_no_problems
from tools.common.polling import wait_until

BUS = "vcan61"
"""A name that no other test uses."""

BITRATE, DBITRATE = 10_000, 40_000
SLOW = {
    "vxcan.kind": "virtual",
    "vxcan.bitrate": str(BITRATE),
    "vxcan.dbitrate": str(DBITRATE),
    "vxcan.fd": "on",
}
FRAMES = 40

_PROGRAM = Path(access_traffic.__file__).read_text(encoding="utf-8")
_EFF = 0x8000_0000
_AT_ONCE = 700
"""Bits of the frames that pass at once after a pause, at the most: those of the longest frame."""


class SlowBus:
    """A bus with a bitrate and two containers, the first of which may not send 5xx."""

    def __init__(self, testbed: Testbed, bus: Bus) -> None:
        self.testbed = testbed
        self.bus = bus
        client = testbed.client()
        limits = client.api.create_endpoint_config(driver_opt={"vxcan.send": "500~700"})
        limited = bus.start(1, restart="always", networking_config={bus.name: limits})
        self.containers = dict(zip("ab", limited + bus.start(1, restart="always"), strict=True))

    def traffic(self, send: dict[str, list[tuple[int, str]]], **request: Any) -> dict[str, Any]:
        """Let members send frames as fast as they can; return what was received, and when."""
        members: dict[str, tuple[int, str]] = {"host": (0, self.bus.interface)}
        for name, container in self.containers.items():
            container.reload()
            members[name] = (int(container.attrs["State"]["Pid"]), "can0")
        wanted = {"members": members, "send": send, "gap": 0, **request}
        answer = self.testbed.host(
            "python3", "-c", _PROGRAM, stdin=json.dumps(wanted).encode(), timeout=120
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def assert_slow(self, can_id: int = 0x123, kind: str = "classic", sender: str = "b") -> None:
        """Assert that everybody receives frames once, in order, and as fast as a wire is."""
        found = self.traffic({sender: [(can_id, kind)]}, rounds=FRAMES)
        frame = f"{can_id:08X} {kind}"
        for name in {"a", "b", "host"} - {sender}:
            assert found["received"][name] == {frame: FRAMES}, name
            assert found["double"][name] == 0
            assert_takes(found["spans"][name][frame], (FRAMES - 1) * seconds(can_id, kind))


def assert_takes(took: float, wanted: float) -> None:
    """Assert that frames took their time on a wire, but for those that pass at once."""
    assert 0.85 * (wanted - _AT_ONCE / BITRATE) <= took <= 3 * wanted + 1


def seconds(can_id: int, kind: str) -> float:
    """Return the time that a frame of the traffic program takes on a wire, about."""
    name = f"{can_id & ~_EFF:08X}" if can_id & _EFF else f"{can_id:03X}"
    text = {
        "classic": f"{name}#3B00000000000000",
        "fd": f"{name}##13B00000000000000",
        "remote": f"{name}#R8",
    }[kind]
    return bits_of_text(text).seconds(BITRATE, DBITRATE)


@pytest.fixture(scope="module")
def slow(testbed: Testbed, plugin: PluginProcess) -> Iterator[SlowBus]:
    assert_no_problems(plugin)
    bus = Bus(testbed, BUS, **SLOW)
    try:
        yield SlowBus(testbed, bus)
    finally:
        bus.remove()
    assert not {BUS, *wire_names(BUS)} & set(bus.links())
    assert_no_problems(plugin)


@pytest.mark.parametrize(
    ("can_id", "kind"),
    [(0x123, "classic"), (0x7FF, "remote"), (_EFF | 0x12345678, "classic"), (0x001, "fd")],
)
def test_frames_take_as_long_as_on_a_wire(slow: SlowBus, can_id: int, kind: str) -> None:
    slow.assert_slow(can_id, kind)


def test_frames_of_programs_on_the_host_and_of_limited_members_take_as_long(
    slow: SlowBus,
) -> None:
    slow.assert_slow(sender="host")
    slow.assert_slow(sender="a")


def test_members_share_one_wire(slow: SlowBus) -> None:
    senders = {"a": [(0x111, "classic")], "b": [(0x112, "classic")], "host": [(0x113, "classic")]}
    found = slow.traffic(senders, rounds=20)
    order = found["order"]["b"]
    assert sorted(order) == sorted(["00000111 classic"] * 20 + ["00000113 classic"] * 20)
    assert_takes(max(found["spans"]["b"].values()), 57 * seconds(0x111, "classic"))


def test_of_the_frames_that_wait_the_lowest_id_is_next(slow: SlowBus) -> None:
    waiting = [(0x7F0, "classic")] * 30 + [(0x6F8, "classic")] * 10 + [(0x6E8, "classic")] * 10
    # Reading them meanwhile would delay the last of them until all others have passed.
    found = slow.traffic({"b": waiting, "host": [(0x001, "classic")]}, read_after=True)
    order = [int(frame.split()[0], 16) for frame in found["order"]["a"]]
    assert sorted(order) == sorted([can_id for can_id, _ in waiting] + [0x001])
    # Some frames pass before the others are sent; an emulated processor takes some time.
    late = order[order.index(0x001) + 1 :]
    assert len(late) >= 5, order
    assert late == sorted(late, key=lambda can_id: can_id >> 3), order


def test_a_frame_that_is_not_allowed_takes_no_time(slow: SlowBus, plugin: PluginProcess) -> None:
    before = wire_status(plugin)["bits"]
    found = slow.traffic({"a": [(0x555, "classic"), (0x123, "classic")]}, rounds=FRAMES)
    assert found["received"]["b"] == {"00000123 classic": FRAMES}
    # 115 bits are reckoned for a frame of 8 bytes, whatever they are.
    assert wire_status(plugin)["bits"] - before == FRAMES * 115


def wire_status(plugin: PluginProcess) -> dict[str, Any]:
    """Return what ``/status`` has about the wire."""
    _, status = plugin.ask("/status")
    found = next(network for network in status["networks"] if network["bus"] == BUS)
    wire: dict[str, Any] = found["wire"]
    return wire


def test_the_load_is_shown(slow: SlowBus, plugin: PluginProcess, command: Command) -> None:
    plugin.ask("/status")
    slow.assert_slow()
    _, status = plugin.ask("/status")
    found = next(network for network in status["networks"] if network["bus"] == BUS)
    wire, load = found["wire"], found["load"]
    assert (wire["bitrate"], wire["dbitrate"], wire["dropped"]) == (BITRATE, DBITRATE, 0)
    wanted = FRAMES * seconds(0x123, "classic")
    assert 0.9 * wanted <= load["share"] * load["seconds"] <= 1.1 * wanted
    code, text = command.run("status")
    assert code == 0
    assert f"{BITRATE // 1000} / {DBITRATE // 1000} kbit/s, load" in text


WIRE, METER = wire_names(BUS)


@pytest.mark.parametrize(
    "damage",
    [
        f"ip link del {WIRE}",
        f"ip link del {METER}",
        f"tc qdisc del dev {WIRE} root",
        f"ip link set {METER} down",
        f"tc qdisc del dev {BUS} clsact",
        f"ip link del {BUS}",
        f"ip link del {WIRE}; cangw -F",
    ],
)
def test_what_somebody_removes_is_restored(
    slow: SlowBus, plugin: PluginProcess, damage: str
) -> None:
    slow.testbed.host("sh", "-c", damage)
    wait_until(lambda: plugin.ask("/health")[0] == 200 and is_whole(slow), 60, "the repair")
    slow.assert_slow()


def is_whole(slow: SlowBus) -> bool:
    """Whether the wire exists with its queue and its meter, and frames of the host go into it."""
    script = f"tc qdisc show dev {WIRE}; ip link show {METER}; tc filter show dev {BUS} ingress"
    shown = slow.testbed.host("sh", "-c", script, check=False).stdout.decode()
    return all(word in shown for word in ("tbf", "UP", f"Redirect to device {WIRE}"))


def test_the_bus_stays_slow_while_the_plugin_is_killed(
    slow: SlowBus, plugin: PluginProcess
) -> None:
    plugin.signal("STOP")
    try:
        slow.assert_slow()
    finally:
        plugin.signal("CONT")
    plugin.kill()
    slow.assert_slow()


def test_a_network_with_another_bitrate_is_rejected(slow: SlowBus) -> None:
    with pytest.raises(APIError, match=r"vxcan\.bitrate.*5000.*has 10000"):
        Bus(slow.testbed, BUS, **{**SLOW, "vxcan.bitrate": "5000"})


@pytest.mark.thorough
def test_a_power_cut_leaves_the_bus_as_slow_as_it_was(
    slow: SlowBus, plugin: PluginProcess, lab: Testbed
) -> None:
    lab.host("sync")  # else the engine may not know that the containers were started
    lab.power_cut()
    lab.wait_engine()
    slow.bus.reconnect()
    slow.containers = dict(zip("ab", slow.bus.containers, strict=True))
    wait_until(lambda: is_restored(slow, plugin), 240, "the bus after the power cut")
    slow.assert_slow()
    slow.assert_slow(sender="a")


def is_restored(slow: SlowBus, plugin: PluginProcess) -> bool:
    """Whether both containers run and are connected, and the plugin finds nothing wrong."""
    for container in slow.containers.values():
        container.reload()
    running = all(container.status == "running" for container in slow.containers.values())
    try:
        return running and is_whole(slow) and plugin.ask("/health")[0] == 200
    except LabError:
        return False
