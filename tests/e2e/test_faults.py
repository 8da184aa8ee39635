"""Whatever breaks on the host while containers run, the bus heals by itself.

Every test breaks one thing, waits, and ends in the same judge: exactly once
between all members, and a rule table without gap or double. Nobody restarts a
container. What the plugin tells of it (log, metrics, status) names the fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evercan.drift import Fault as Found
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL


@dataclass(frozen=True)
class Fault:
    """Something that happens on the host.

    Attributes:
        script: shell; ``$BUS`` is the bus interface, ``$END`` a member's host end,
            ``$OTHER`` another member's.
        found: what the plugin finds, at least, to have drifted.
        patience: seconds within which the bus is whole again.
    """

    script: str
    found: tuple[Found, ...]
    patience: float = 15.0


NEXT_CHECK = HEALTH_INTERVAL + 15
"""The rule table sends no events: the next check finds it."""

FAULTS = {
    "all rules flushed": Fault("cangw -F", (Found.RULES_MISSING,), NEXT_CHECK),
    "a rule removed": Fault(
        "cangw -D -s $END -d $OTHER -i -l 1", (Found.RULES_MISSING,), NEXT_CHECK
    ),
    "a rule laid twice": Fault(
        "cangw -A -s $END -d $OTHER -i -l 1", (Found.RULES_SURPLUS,), NEXT_CHECK
    ),
    "a rule with other flags": Fault(
        "cangw -A -s $END -d $OTHER -e", (Found.RULES_SURPLUS,), NEXT_CHECK
    ),
    "bus interface deleted": Fault("ip link del $BUS", (Found.BUS_MISSING,)),
    "bus interface set down": Fault("ip link set $BUS down", (Found.BUS_DOWN,)),
    "host end set down": Fault("ip link set $END down", (Found.PAIR_DOWN,)),
    "pair deleted under a running container": Fault("ip link del $END", (Found.PAIR_MISSING,)),
    "two pairs deleted": Fault("ip link del $END; ip link del $OTHER", (Found.PAIR_MISSING,)),
    "all at once": Fault(
        "cangw -F; ip link del $BUS; ip link del $END; ip link set $OTHER down",
        # What breaks while the first is being mended is mended with it, and not told apart.
        (Found.BUS_MISSING,),
    ),
    "pair deleted again and again": Fault(
        "for n in 1 2 3; do ip link del $END; until ip link show $END up; do sleep 0.1; done; done"
        " >/dev/null 2>&1",
        (Found.PAIR_MISSING,),
        40,
    ),
}

_COUNTERS = {
    "evercan_drift_found_total": ("fault",),
    "evercan_recoveries_total": ("fault", "outcome"),
}


class Story:
    """What the plugin tells of one bus from a moment on."""

    def __init__(self, testbed: Testbed, plugin: PluginProcess, bus: Bus) -> None:
        self._testbed, self._plugin, self._bus = testbed, plugin, bus
        self._since = testbed.now()
        self._before = self._counts()

    def _counts(self) -> Counter[tuple[str, ...]]:
        """Return the counters of this bus that tell of faults, by name and labels."""
        counts: Counter[tuple[str, ...]] = Counter()
        for family in text_string_to_metric_families(self._plugin.read("/metrics")):
            for name, labels, value, *_ in family.samples:
                if name in _COUNTERS and labels["bus"] == self._bus.interface:
                    counts[name, *(labels[key] for key in _COUNTERS[name])] = int(value)
        return counts

    def assert_tells(self, found: tuple[Found, ...]) -> None:
        """Assert that counters, log and status tell of a fault and of its end."""
        grown = self._counts() - self._before
        for each in found:
            assert grown["evercan_drift_found_total", each] > 0, grown
            assert grown["evercan_recoveries_total", each, "mended"] > 0, grown
        health = [
            line
            for line in self._testbed.journal(self._since).splitlines()
            if "Health check" in line
        ]
        assert any("FAILED" in line for line in health), health
        assert "Health check OK" in health[-1], health
        status, answer = self._plugin.ask("/health")
        assert (status, answer) == (200, {"healthy": True, "reasons": []})
        _, shown = self._plugin.ask("/status")
        (network,) = (each for each in shown["networks"] if each["bus"] == self._bus.interface)
        assert network["last_recovery"]["at"] >= self._since - 1
        assert "all was put back" in network["last_recovery"]["what"]


def strike(testbed: Testbed, bus: Bus, script: str) -> None:
    """Run a script on the host with two members' host ends at hand."""
    end, other, *_ = bus.host_ends()
    testbed.host("sh", "-c", f"BUS={bus.interface} END={end} OTHER={other}; {script}")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_bus_heals(
    testbed: Testbed,
    plugin: PluginProcess,
    trio: Bus,
    fault: Fault,
    record_property: Callable[..., None],
) -> None:
    trio.assert_whole()
    story = Story(testbed, plugin, trio)
    strike(testbed, trio, fault.script)
    record_property(HEALED, round(trio.wait_whole(fault.patience), 1))
    trio.assert_whole()
    story.assert_tells(fault.found)


def test_health_is_bad_until_the_next_check_mends(
    testbed: Testbed, plugin: PluginProcess, trio: Bus
) -> None:
    strike(testbed, trio, "cangw -F")
    status, answer = plugin.ask("/health")
    assert status == 503, answer
    assert {each["kind"] for each in answer["reasons"]} == {"drift"}
    assert any("rules are missing" in each["text"] for each in answer["reasons"])
    trio.wait_whole(NEXT_CHECK)
    assert plugin.ask("/health")[0] == 200


def test_an_admin_rule_between_others_is_left_alone(testbed: Testbed, trio: Bus) -> None:
    testbed.host("ip", "link", "add", "vcan700", "type", "vcan")
    testbed.host("ip", "link", "set", "vcan700", "up")
    try:
        testbed.host("cangw", "-A", "-s", "vcan700", "-d", trio.interface, "-f", "123:7FF")
        strike(testbed, trio, "ip link del $END")
        trio.wait_whole()
        shown = testbed.host("cangw", "-L", check=False).stdout.decode()
        assert sum("-s vcan700" in line for line in shown.splitlines()) == 1
    finally:
        testbed.host("ip", "link", "del", "vcan700", check=False)
