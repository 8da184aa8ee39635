"""The module can-gw is removed under traffic, and loaded again with another ``max_hops``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from lab.frames import HostMember, parse_candump
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems, reasons

OUTSIDE = "vcan631"
"""An interface of the host that is a member of no bus; no other test uses the name."""


@contextmanager
def traffic(bus: Bus) -> Iterator[None]:
    """Let a container send all the time, beside the frames that are counted."""
    sender = bus.containers[0]
    script = "echo $$ > /sender; exec cangen can0 -I 123 -L 8 -g 20 -x"
    sender.exec_run(["sh", "-c", script], detach=True)
    try:
        yield
    finally:
        sender.exec_run(["sh", "-c", "kill $(cat /sender)"])


@pytest.fixture(scope="module")
def bus_with_three_hops(testbed: Testbed, plugin: PluginProcess, trio: Bus) -> Iterator[Bus]:
    """Yield a bus whose can-gw was removed under traffic and loaded with ``max_hops=3``."""
    with traffic(trio):
        testbed.host("rmmod", "can_gw")
        try:
            trio.wait(
                lambda: "can-gw-missing" in [kind for kind, _ in reasons(plugin)],
                "the missing module to be reported",
            )
        finally:
            testbed.host("modprobe", "can-gw", "max_hops=3")
        trio.wait_healthy()
        trio.assert_healthy()
    yield trio
    testbed.host("sh", "-c", "rmmod can_gw && modprobe can-gw")
    trio.wait_healthy()


def test_frames_arrive_once_after_can_gw_was_removed_under_traffic_and_loaded_with_max_hops_3(
    testbed: Testbed, plugin: PluginProcess, bus_with_three_hops: Bus
) -> None:
    hops = testbed.host("cat", "/sys/module/can_gw/parameters/max_hops").stdout
    assert hops.strip() == b"3"
    bus_with_three_hops.assert_healthy()
    assert_no_problems(plugin)


def test_with_max_hops_3_a_rule_of_the_host_reaches_containers_and_containers_do_not_pass_it(
    testbed: Testbed, bus_with_three_hops: Bus
) -> None:
    def received(text: str, first: int) -> Counter[int]:
        frames = parse_candump(text)
        return Counter(frame.can_id for frame in frames if frame.can_id & 0x7F0 == first)

    bus = bus_with_three_hops
    add = f"ip link add {OUTSIDE} type vcan; ip link set {OUTSIDE} mtu 72 up"
    testbed.host("sh", "-c", add)
    try:
        for source, target in ((OUTSIDE, bus.interface), (bus.interface, OUTSIDE)):
            testbed.host("cangw", "-A", "-s", source, "-d", target, "-e")
        members = bus.members(by_exec=False)
        with closing(HostMember(testbed, OUTSIDE)) as outside:
            for number in range(5):
                outside.send(f"cansend $IF 7E{number}#01")
                members[0].send(f"cansend $IF 7D{number}#01")
            sent = Counter(0x7E0 + number for number in range(5))
            bus.wait(
                lambda: all(received(member.received(), 0x7E0) == sent for member in members),
                f"the frames of {OUTSIDE} in each container, each once",
            )
            # What the containers sent at the same time has arrived where it can arrive.
            for member in members[1:]:
                assert received(member.received(), 0x7D0).total() == 5
            for member in members:
                assert received(member.received(), 0x7E0) == sent
            assert received(outside.received(), 0x7D0) == Counter()
    finally:
        testbed.host("ip", "link", "del", OUTSIDE, check=False)
