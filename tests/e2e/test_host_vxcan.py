"""A bus interface that is one end of a vxcan pair which the host has created."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from lab.frames import Deliveries, HostMember, count_deliveries
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems, reasons

NEAR, FAR = "vcan640", "hostpair640"
"""The pair's ends: a bus interface, and one that is a member of no bus. No other test uses them."""


@contextmanager
def pair(testbed: Testbed) -> Iterator[None]:
    """Create the pair for the duration of a block."""
    add = f"ip link add {NEAR} type vxcan peer name {FAR}"
    up = f"ip link set {NEAR} mtu 72 up; ip link set {FAR} mtu 72 up"
    testbed.host("sh", "-c", f"{add} && {up}")
    try:
        yield
    finally:
        testbed.host("ip", "link", "del", NEAR, check=False)


def judge(testbed: Testbed, bus: Bus) -> Deliveries:
    """Let containers and both ends of the pair send frames, and count what all others receive."""
    with ExitStack() as stack:
        ends = [stack.enter_context(closing(HostMember(testbed, name))) for name in (NEAR, FAR)]
        return count_deliveries([*bus.members(by_exec=False), *ends])


def test_a_pair_of_the_host_is_used_awaited_and_neither_replaced_nor_deleted(
    testbed: Testbed, plugin: PluginProcess
) -> None:
    with pair(testbed):
        bus = Bus(testbed, NEAR)
        try:
            bus.start(2)
            verdict = judge(testbed, bus)
            assert verdict.exactly_once, str(verdict)
            testbed.host("ip", "link", "del", FAR)
            bus.wait(lambda: [kind for kind, _ in reasons(plugin)] == ["bus-absent"], "the reason")
            plugin.kill()
            assert [kind for kind, _ in reasons(plugin)] == ["bus-absent"]
            assert NEAR not in bus.links()
            with pair(testbed):
                bus.wait_healthy()
                verdict = judge(testbed, bus)
                assert verdict.exactly_once, str(verdict)
                assert_no_problems(plugin)
                bus.remove()
                assert {NEAR, FAR} <= set(bus.links())
        finally:
            bus.remove()
        assert bus.leftovers() == []
