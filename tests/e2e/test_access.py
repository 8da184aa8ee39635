"""``vxcan.send``, ``vxcan.receive`` and ``vxcan.send-rate``: who may send and receive what.

The members' lists are evaluated here by a model that knows only the documentation. A listener
counts every frame: one that is not allowed must never arrive, whatever happens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from docker.errors import APIError

from evercan.model.declared import NONE
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e import access_traffic
from tests.e2e.bus import Bus
from tests.support.access_model import EFF, ERR, passes
from tools.common.polling import wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container

BUS = "vcan60"
"""A name that no other test uses."""

_PROGRAM = Path(access_traffic.__file__).read_text(encoding="utf-8")

_KILL = """
import glob, socket, subprocess, time
subprocess.run(["pkill", "-KILL", "-f", "^/usr/bin/python3 .*-m evercan"])
for _ in range(300):
    time.sleep(0.2)
    try:
        socket.socket(socket.AF_UNIX).connect(glob.glob("/run/docker/plugins/*/evercan.sock")[0])
        break
    except (OSError, IndexError):
        pass
time.sleep(2)
"""
"""Kills the plugin and waits until the engine has started it again.

The engine does not start a plugin again that ends while the engine is starting it.
"""

SEND = "123,200:700,18FF0000:1FFF0000,2FF~7FF"
RECEIVE = "400~7FF,00000400~1FFFFFFF"
RATE = 50
"""Frames a second: fewer than an emulated processor can send."""

FULL = 24_000
"""Frames that a full classic bus of 1 Mbit/s carries in three seconds."""

IDS = (
    *(0x000, 0x123, 0x122, 0x200, 0x2FE, 0x2FF, 0x300, 0x400, 0x7FF),
    *(EFF | can_id for can_id in (0x123, 0x200, 0x400, 0x18FF0000, 0x18FFABCD, 0x18FE0000)),
)
KINDS = ("classic", "fd", "remote")
TABLE = [(can_id, kind) for can_id in IDS for kind in KINDS]

ODD = (
    *((0x123 | 1 << bit, "classic") for bit in (11, 20, 28)),  # counts as 123
    *((0x122 | 1 << bit, "classic") for bit in (11, 20, 28)),  # counts as 122
    *((ERR | 0x123, "classic"), (ERR | EFF | 0x18FF0000, "classic"), (ERR | 0x004, "fd")),
)
"""Ids with bits that an 11-bit frame should not have, and error frames."""


class Lists(NamedTuple):
    """What a member may do."""

    send: str = "all"
    receive: str = "all"


MEMBERS = {
    "listener": Lists(send="none"),
    "limited": Lists(SEND, RECEIVE),
    "free": Lists(),
    "host": Lists(),
}


class Access:
    """A bus with a listener, a limited member and a free one, and the traffic on it."""

    def __init__(self, testbed: Testbed, bus: Bus) -> None:
        self.testbed = testbed
        self.bus = bus
        self.members: dict[str, tuple[int, str]] = {"host": (0, bus.interface)}
        self.containers: dict[str, Container] = {}

    def start(
        self,
        name: str,
        options: Mapping[str, str] = NONE,
        command: str = "exec sleep infinity",
        *,
        lasting: bool = False,
    ) -> None:
        """Start a container with options of its endpoint."""
        client = self.testbed.client()
        container = client.containers.create(
            CAN_TOOLS,
            ["sh", "-c", command],
            restart_policy={"Name": "always"} if lasting else None,
            cap_add=["NET_ADMIN"],
            labels={"evercan.bus-under-test": self.bus.name},
            stop_signal="SIGKILL",
            network=self.bus.name,
            networking_config={
                self.bus.name: client.api.create_endpoint_config(driver_opt={**options})
            },
        )
        container.start()
        container.reload()
        self.containers[name] = container
        self.members[name] = (int(container.attrs["State"]["Pid"]), "can0")

    def host_end(self, name: str) -> str:
        """Return the host end of a member."""
        container = self.containers[name]
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"]
        return f"vxcan{networks[self.bus.name]['EndpointID'][:8]}"

    def traffic(self, send: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Let members send frames; return what was sent and received."""
        wanted = {"members": self.members, "send": send, **request}
        answer = self.testbed.host(
            "python3", "-c", _PROGRAM, stdin=json.dumps(wanted).encode(), timeout=180
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def assert_only_allowed(self, found: dict[str, Any], *, all_of_them: bool = True) -> None:
        """Assert that members received what lists allow, once, and with a flag all of that."""
        for receiver, lists in MEMBERS.items():
            expected: dict[str, int] = {}
            for sender, frames in found["sent"].items():
                for frame, times in frames.items():
                    can_id = int(frame.split()[0], 16)
                    if (
                        sender != receiver
                        and not can_id & ERR
                        and passes(MEMBERS[sender].send, can_id)
                        and passes(lists.receive, can_id)
                    ):
                        expected[frame] = expected.get(frame, 0) + times
            received = found["received"][receiver]
            if all_of_them:
                assert received == expected, receiver
            assert {
                frame for frame in received if received[frame] > expected.get(frame, 0)
            } == set()
            assert found["double"][receiver] == 0


@pytest.fixture(scope="module")
def access(testbed: Testbed, plugin: PluginProcess) -> Iterator[Access]:
    """Yield a bus whose members may send nothing unless an option of theirs says otherwise."""
    assert plugin.ask("/health")[0] == 200
    bus = Bus(testbed, BUS, **{"vxcan.send": "none"})
    started = Access(testbed, bus)
    try:
        started.start("listener")
        started.start("limited", {"vxcan.send": SEND, "vxcan.receive": RECEIVE})
        started.start("free", {"vxcan.send": "all"})
        yield started
    finally:
        bus.remove()
    left = set(bus.links())
    assert not {name for name in left if name.startswith(("vxcan", BUS))}
    assert plugin.ask("/health")[0] == 200


def healthy(plugin: PluginProcess) -> bool:
    """Whether the plugin finds nothing wrong."""
    return plugin.ask("/health")[0] == 200


@contextmanager
def without_module(testbed: Testbed, module: str) -> Iterator[None]:
    """Keep the kernel from loading a module, which nobody may use."""
    file = f"/etc/modprobe.d/{module}.conf"
    testbed.host("sh", "-c", f"rmmod {module}; echo 'install {module} /bin/false' >{file}")
    try:
        yield
    finally:
        testbed.host("rm", "-f", file)


@pytest.mark.parametrize("module", ["em_canid", "act_police"])
def test_a_kernel_without_a_module_is_refused_by_the_modules_name(
    testbed: Testbed, bus: Bus, module: str
) -> None:
    missing = Access(testbed, bus)
    rejected = pytest.raises(APIError, match=rf"no {module}.*modprobe {module}")
    with without_module(testbed, module), rejected:
        missing.start("limited", {"vxcan.send": "123", "vxcan.send-rate": "9"})
    assert not [name for name in bus.links() if name.startswith("vxcan")]


def test_each_member_receives_what_the_lists_allow_once(access: Access) -> None:
    found = access.traffic(dict.fromkeys(MEMBERS, TABLE))
    access.assert_only_allowed(found)
    assert len(found["received"]["host"]) > len(IDS), "too little was sent"


def test_odd_ids_are_taken_by_their_11_bits_and_error_frames_reach_nobody(access: Access) -> None:
    found = access.traffic(dict.fromkeys(MEMBERS, ODD))
    access.assert_only_allowed(found)
    assert sum(found["received"]["host"].values()) > 0


def damage(name: str) -> list[list[str]]:
    """Return commands that remove, again and again, what filters a member."""
    return [
        ["sh", "-c", command]
        for _ in range(4)
        for command in (
            f"tc qdisc del dev {name} clsact; sleep 0.5",
            f"tc qdisc del dev {name}f clsact; sleep 0.3",
            "cangw -F; sleep 0.3",
            f"tc filter del dev {name} ingress pref 1; sleep 0.5",
            f"ip link set {name}f down; sleep 0.5",
        )
    ] + [["sh", "-c", f"ip link del {name}f; sleep 2"]]


def test_no_denied_frame_arrives_while_filters_are_removed(
    access: Access, plugin: PluginProcess
) -> None:
    found = access.traffic(
        dict.fromkeys(("limited", "listener", "free"), TABLE),
        seconds=2,
        run=damage(access.host_end("limited")),
    )
    access.assert_only_allowed(found, all_of_them=False)
    assert found["sent"]["limited"]["00000122 classic"] > 20
    wait_until(lambda: healthy(plugin), 60, "the filters to be repaired")
    access.assert_only_allowed(access.traffic(dict.fromkeys(MEMBERS, TABLE)))


def test_no_denied_frame_arrives_while_the_plugin_is_killed(
    access: Access, plugin: PluginProcess
) -> None:
    kill = ["python3", "-c", _KILL]
    flush = ["tc", "qdisc", "del", "dev", access.host_end("limited"), "clsact"]
    found = access.traffic(
        dict.fromkeys(("limited", "free"), TABLE), seconds=2, run=[kill, flush, kill]
    )
    access.assert_only_allowed(found, all_of_them=False)
    wait_until(lambda: plugin.pid() is not None and healthy(plugin), 60, "the plugin to be back")
    access.assert_only_allowed(access.traffic(dict.fromkeys(MEMBERS, TABLE)))


BREAK_OUTS = {
    "brings its end down and up": "ip link set can0 down; ip link set can0 up",
    "sets the MTU of CAN XL": "ip link set can0 down; ip link set can0 mtu 2060 up",
    "sets the MTU of classic CAN": "ip link set can0 down; ip link set can0 mtu 16 up",
    "renames it": "ip link set can0 down; ip link set can0 name can9 up",
    "has a classifier of its own": "tc qdisc add dev can0 clsact;"
    " tc filter add dev can0 egress matchall action skbedit mark 1",
    "has can-gw rules of its own": "ip link add vcan9 type vcan; ip link set vcan9 up;"
    " cangw -A -s vcan9 -d can0 -e; cangw -A -s can0 -d vcan9 -e",
    "moves it away and back": "ip netns add other; ip link set can0 netns other;"
    " ip netns exec other ip link set can0 netns $$; ip link set can0 up; ip netns del other",
}
_UNDO = (
    "ip link set can9 down; ip link set can9 name can0; tc qdisc del dev can0 clsact;"
    " cangw -F; ip link del vcan9; ip link set can0 down; ip link set can0 mtu 72 up"
)


@pytest.mark.parametrize("attempt", BREAK_OUTS)
def test_a_container_with_net_admin_does_not_get_round_its_lists(
    access: Access, attempt: str
) -> None:
    pid, _ = access.members["limited"]
    inside = ("nsenter", "--net", "--target", str(pid), "sh", "-c")
    access.testbed.host(*inside, BREAK_OUTS[attempt], check=False)
    renamed = "renames" in attempt
    try:
        if renamed:
            access.members["limited"] = (pid, "can9")
        found = access.traffic({name: TABLE + list(ODD) for name in ("limited", "free")})
        access.assert_only_allowed(found, all_of_them=False)
        assert found["sent"]["limited"]["00000122 classic"] == 1
        assert found["received"]["host"]["00000123 classic"] == 2
    finally:
        access.members["limited"] = (pid, "can0")
        access.testbed.host(*inside, _UNDO, check=False)


@contextmanager
def flood(access: Access) -> Iterator[str]:
    """Start a container with a rate; yield the command with which it sends without a pause."""
    access.start(
        "flood", {"vxcan.send": "555", "vxcan.send-rate": str(RATE), "vxcan.send-burst": "20"}
    )
    pid, _ = access.members.pop("flood")
    try:
        yield f"nsenter --net --target {pid} cangen can0 -g 0 -I 555 -L 8 -p 10 >/dev/null 2>&1"
    finally:
        access.containers.pop("flood").remove(force=True)


def limits_of_the_flood(plugin: PluginProcess) -> dict[str, Any]:
    """Return what the plugin's status says of the one member with a rate."""
    status = plugin.ask("/status")[1]
    (network,) = [known for known in status["networks"] if known["bus"] == BUS]
    (limits,) = [
        endpoint["access"]
        for endpoint in network["endpoints"]
        if endpoint["access"] and endpoint["access"]["send_rate"]
    ]
    found: dict[str, Any] = limits
    return found


def test_a_rate_is_kept_and_a_flood_leaves_the_others_alone(
    access: Access, plugin: PluginProcess
) -> None:
    with flood(access) as flooding:
        found = access.traffic(
            {"free": [(0x321, "classic"), (0x322, "fd")]},
            seconds=7,
            gap=0.004,
            run=[["sh", "-c", f"timeout 8 {flooding}; true"]],
        )
        limits = limits_of_the_flood(plugin)
    flooded = found["received"]["host"].pop("00000555 classic")
    seconds = found["spans"]["host"]["00000555 classic"]
    assert seconds > 4
    assert flooded == pytest.approx(RATE * seconds + 20, rel=0.05)
    for name in ("host", "listener"):
        found["received"][name].pop("00000555 classic", None)
        assert found["received"][name] == found["sent"]["free"], name
    assert limits["over_rate"] > 1000
    assert limits["denied"] == {"send": 0, "receive": 0}


def at_the_pace_of_the_host(access: Access, command: str) -> dict[str, Any]:
    """Run a command that sends without a pause, again if the kernel's own queue overflowed.

    A slow processor, such as an emulated one, may leave its queue for so long that frames of any
    sender are dropped before they reach a rule. Such a run shows nothing about limits.
    """
    for _ in range(4):
        found = access.traffic({}, run=[["sh", "-c", command]], read_after=True)
        print(f"{found['overflowed']} frames dropped by the queue of a processor")
        if not found["overflowed"]:
            break
    return found


def test_a_flood_leaves_a_full_bus_of_the_others_alone(
    access: Access, plugin: PluginProcess
) -> None:
    pid, _ = access.members["free"]
    sending = f"nsenter --net --target {pid} cangen can0 -g 0 -I 321 -L 8 -D i -n {FULL}"
    with flood(access) as flooding:
        runs = {
            "without a flood": sending,
            "beside a flood": f"timeout 120 {flooding} & sleep 1; {sending}; kill $!",
        }
        for name, command in runs.items():
            found = at_the_pace_of_the_host(access, command)
            for receiver in ("host", "listener"):
                assert found["received"][receiver]["00000321 classic"] == FULL, (name, receiver)
                assert found["double"][receiver] == 0, (name, receiver)
            rate = FULL / found["spans"]["host"]["00000321 classic"]
            print(f"{name}: {rate:.0f} frames/s of another member")
        assert 0 < found["received"]["host"]["00000555 classic"] < FULL / 10
        assert limits_of_the_flood(plugin)["over_rate"] > FULL / 10


@pytest.mark.thorough
def test_a_power_cut_lets_no_denied_frame_through(
    lab: Testbed, plugin: PluginProcess, bus: Bus
) -> None:
    cut = Access(lab, bus)
    both = "cangen can0 -g 5 -I 122 & exec cangen can0 -g 5 -I 123"
    cut.start("sender", {"vxcan.send": "123"}, both, lasting=True)
    # In a file for each boot: what was written last before the cut may be damaged.
    listening = "exec candump -L can0 >/frames-$(cat /proc/sys/kernel/random/boot_id)"
    cut.start("listener", {"vxcan.send": "none"}, listening, lasting=True)

    def heard() -> str:
        read = ["sh", "-c", "cat /frames-*"]
        try:
            found = cut.containers["listener"].exec_run(read, stderr=False)
        except APIError:
            return ""  # it does not run yet
        assert isinstance(found.output, bytes)
        return found.output.decode(errors="replace")

    def is_running() -> bool:
        cut.containers["listener"].reload()
        return bool(cut.containers["listener"].status == "running")

    wait_until(lambda: " 123#" in heard(), 30, "the first frames")
    lab.host("sync")  # else the engine may not know that the containers were started
    lab.power_cut()
    lab.wait_engine()
    listener = lab.client().containers.get(str(cut.containers["listener"].id))
    cut.containers["listener"] = listener
    wait_until(is_running, 240, "the listener to run again")
    before = heard().count(" 123#")
    wait_until(lambda: heard().count(" 123#") > before + 50, 240, "frames after the power cut")
    assert " 122#" not in heard()
    wait_until(lambda: healthy(plugin), 60, "the plugin to find nothing wrong")
