"""Repairs are limited when somebody on the host keeps changing an interface."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from evercan.tracking.repair_limits import BURST, INTERVAL
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL

# Runs on the host: sets an interface down every 50 ms, for 3 seconds. It starts no programs, which
# an emulated host does only some times a second.
FIGHT = """
import fcntl, socket, struct, sys, time
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1
asked = struct.Struct("16sh22x")
name = sys.argv[1].encode()
end = time.monotonic() + 3
times = 0
with socket.socket() as any_socket:
    while time.monotonic() < end:
        _, flags = asked.unpack(fcntl.ioctl(any_socket, GET_FLAGS, asked.pack(name, 0)))
        fcntl.ioctl(any_socket, SET_FLAGS, asked.pack(name, flags & ~UP))
        times += 1
        time.sleep(0.05)
print(times)
"""


def steps(plugin: PluginProcess) -> int:
    """Return how many steps the plugin has taken in the kernel."""
    families = text_string_to_metric_families(plugin.read("/metrics"))
    return sum(
        int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "evercan_steps_total"
    )


def test_repairs_are_limited_while_somebody_keeps_setting_the_bus_interface_down(
    bus: Bus, testbed: Testbed, plugin: PluginProcess
) -> None:
    bus.start(2)
    assert plugin.ask("/health")[0] == 200
    before, begun = steps(plugin), time.monotonic()
    fight = testbed.host_process("python3", "-c", FIGHT, bus.interface)
    kinds: set[str] = set()
    with fight:
        while fight.poll() is None:
            kinds |= {reason["kind"] for reason in plugin.ask("/health")[1]["reasons"]}
        assert fight.stdout is not None
        times = int(fight.stdout.read())
    repairs = steps(plugin) - before
    allowed = BURST + 1 + (time.monotonic() - begun) / INTERVAL
    assert 0 < repairs <= allowed < times
    # At the latest it is reported between the end of the fight and the next repair.
    kinds |= {reason["kind"] for reason in plugin.ask("/health")[1]["reasons"]}
    assert "repairs-limited" in kinds
    seconds = bus.wait(
        lambda: "UP" in bus.links()[bus.interface]["flags"], "the repair after the fight"
    )
    assert seconds <= HEALTH_INTERVAL
    bus.wait(lambda: plugin.ask("/health")[0] == 200, "health to be good again")
    bus.assert_healthy()
