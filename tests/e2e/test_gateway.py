"""A container on two buses forwards frames between them with can-gw rules of its own."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from lab.frames import Deliveries, HostMember, count_deliveries
from lab.plugin_process import PluginProcess
from lab.rules import Job, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL
from tests.e2e.health import assert_no_problems

if TYPE_CHECKING:
    from docker.models.containers import Container


def own_rules(gateway: Container) -> list[Job]:
    """Return the rules in a container's network namespace, each as often as it exists."""
    shown: Any = gateway.exec_run(["cangw", "-L"]).output
    return sorted(parse_cangw(shown.decode()).elements(), key=str)


def judge(testbed: Testbed, gateway: Container, *buses: Bus) -> Deliveries:
    """Let all members but a gateway send frames, and count what all others receive."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(closing(HostMember(testbed, bus.interface))) for bus in buses]
        inside = [member for bus in buses for member in bus.members(by_exec=False)]
        return count_deliveries(
            [*(member for member in inside if member.name != gateway.name), *hosts]
        )


def test_rules_inside_a_gateway_connect_two_buses_and_are_left_alone(
    testbed: Testbed, plugin: PluginProcess, bus: Bus
) -> None:
    other = Bus(testbed, "vcan630")
    try:
        bus.start(1)
        other.start(1)
        [gateway] = bus.start(1, cap_add=["NET_ADMIN"])
        other.connect(gateway, "body")
        for source, target in (("can0", "body"), ("body", "can0")):
            for kind in ([], ["-X"]):
                added = gateway.exec_run(["cangw", "-A", "-s", source, "-d", target, *kind])
                assert added.exit_code == 0, added.output
        rules = own_rules(gateway)
        assert len(rules) == 4
        verdict = judge(testbed, gateway, bus, other)
        assert verdict.exactly_once, str(verdict)
        # Whatever evercan repairs on the host, it does not see the rules inside.
        testbed.host("cangw", "-F")
        for flushed in (bus, other):
            flushed.wait_healthy(HEALTH_INTERVAL + 15)
        plugin.kill()
        assert own_rules(gateway) == rules
        verdict = judge(testbed, gateway, bus, other)
        assert verdict.exactly_once, str(verdict)
        assert_no_problems(plugin)
    finally:
        bus.remove()
        other.remove()
    assert other.leftovers() == []
