"""Repairs are limited when somebody on the host keeps changing an interface."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL

# Runs on the host: sets an interface down every 50 ms, for 3 seconds.
FIGHT = """
import subprocess, sys, time
end = time.monotonic() + 3
times = 0
while time.monotonic() < end:
    subprocess.run(["ip", "link", "set", sys.argv[1], "down"], check=True)
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
    before = steps(plugin)
    fight = testbed.host_process("python3", "-c", FIGHT, bus.interface)
    kinds: set[str] = set()
    with fight:
        while fight.poll() is None:
            kinds |= {reason["kind"] for reason in plugin.ask("/health")[1]["reasons"]}
        assert fight.stdout is not None
        times = int(fight.stdout.read())
    repairs = steps(plugin) - before
    assert 0 < repairs < 10 < times
    # At the latest it is reported between the end of the fight and the next repair.
    kinds |= {reason["kind"] for reason in plugin.ask("/health")[1]["reasons"]}
    assert "repairs-limited" in kinds
    seconds = bus.wait(
        lambda: "UP" in bus.links()[bus.interface]["flags"], "the repair after the fight"
    )
    assert seconds <= HEALTH_INTERVAL
    bus.wait(lambda: plugin.ask("/health")[0] == 200, "health to be good again")
    bus.assert_healthy()
