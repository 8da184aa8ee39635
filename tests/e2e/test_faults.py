"""Whatever breaks on the host while containers run, the bus heals by itself.

Every test breaks one thing, waits, and ends in the same judge: exactly once
between all members, and a rule table without gap or double. Nobody restarts a
container. What the plugin tells of it (log, metrics, status) names the fault.

What is mended at once cannot be looked at while it is broken. So each fault is
set once more on a plugin that mends nothing: health, counters and the doctor tell
of it for as long as it stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evercan.planning.drift import Fault as Found
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL, set_up_plugin


@dataclass(frozen=True)
class Fault:
    """Something that happens on the host.

    Attributes:
        script: shell; ``$BUS`` is the bus interface, ``$END`` a member's host end,
            ``$OTHER`` another member's.
        found: what the plugin finds, at least, to have drifted.
        named: what the doctor says of it while nothing mends it; ``$`` as in the script.
        patience: seconds within which the bus is whole again.
    """

    script: str
    found: tuple[Found, ...]
    named: tuple[str, ...] = ()
    patience: float = 15.0


NEXT_CHECK = HEALTH_INTERVAL + 15
"""The rule table sends no events: the next check finds it."""

FAULTS = {
    "all rules flushed": Fault(
        "cangw -F",
        (Found.RULES_MISSING,),
        ("$END.* lacks 12 rules", "$OTHER.* lacks 12 rules"),
        NEXT_CHECK,
    ),
    "a rule removed": Fault(
        "cangw -D -s $END -d $OTHER -i -l 1",
        (Found.RULES_MISSING,),
        ("$END.* lacks 1 rule ", "$OTHER.* lacks 1 rule "),
        NEXT_CHECK,
    ),
    "a rule laid twice": Fault(
        "cangw -A -s $END -d $OTHER -i -l 1",
        (Found.RULES_SURPLUS,),
        ("$END.* has 1 rule too many", "$OTHER.* has 1 rule too many"),
        NEXT_CHECK,
    ),
    "a rule with other flags": Fault(
        "cangw -A -s $END -d $OTHER -e",
        (Found.RULES_SURPLUS,),
        ("$END.* has 1 rule too many", "$OTHER.* has 1 rule too many"),
        NEXT_CHECK,
    ),
    "bus interface deleted": Fault(
        "ip link del $BUS", (Found.BUS_MISSING,), ("bus interface $BUS is gone",)
    ),
    "bus interface set down": Fault(
        "ip link set $BUS down", (Found.BUS_DOWN,), ("bus interface $BUS is down",)
    ),
    "host end set down": Fault(
        "ip link set $END down", (Found.PAIR_DOWN,), ("host end $END is down",)
    ),
    "pair deleted under a running container": Fault(
        "ip link del $END", (Found.PAIR_MISSING,), ("pair $END .*is gone",)
    ),
    "two pairs deleted": Fault(
        "ip link del $END; ip link del $OTHER",
        (Found.PAIR_MISSING,),
        ("pair $END .*is gone", "pair $OTHER .*is gone"),
    ),
    "all at once": Fault(
        "cangw -F; ip link del $BUS; ip link del $END; ip link set $OTHER down",
        # What breaks while the first is being mended is mended with it, and not told apart.
        (Found.BUS_MISSING,),
        ("bus interface $BUS is gone", "pair $END .*is gone", "host end $OTHER is down"),
    ),
    "pair deleted again and again": Fault(
        "for n in 1 2 3; do ip link del $END; until ip link show $END up; do sleep 0.1; done; done"
        " >/dev/null 2>&1",
        (Found.PAIR_MISSING,),
        patience=40,
    ),
}

STAYING = {name: fault for name, fault in FAULTS.items() if fault.named}
"""Those that can be there for longer: not one that waits to be mended."""

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

    def counts(self, found: tuple[Found, ...], outcome: str) -> bool:
        """Whether the counters tell of a fault, and of what came of it."""
        grown = self._counts() - self._before
        return all(
            grown["evercan_drift_found_total", each] > 0
            and grown["evercan_recoveries_total", each, outcome] > 0
            for each in found
        )

    def assert_tells(self, found: tuple[Found, ...]) -> None:
        """Assert that counters, log and status tell of a fault and of its end."""
        assert self.counts(found, "mended"), self._counts() - self._before
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


def strike(testbed: Testbed, bus: Bus, script: str) -> dict[str, str]:
    """Run a script on the host; return what ``$BUS``, ``$END`` and ``$OTHER`` in it were."""
    end, other, *_ = bus.host_ends()
    values = {"BUS": bus.interface, "END": end, "OTHER": other}
    preamble = " ".join(f"{key}={value}" for key, value in values.items())
    testbed.host("sh", "-c", f"{preamble}; {script}")
    return values


@contextmanager
def nothing_mended(testbed: Testbed) -> Iterator[None]:
    """Have a plugin that leaves what breaks as it is."""
    set_up_plugin(testbed.client(), "EVERCAN_RECOVERY=fail-fast")
    try:
        yield
    finally:
        set_up_plugin(testbed.client(), "EVERCAN_RECOVERY=auto")


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


@pytest.mark.parametrize("fault", STAYING.values(), ids=STAYING.keys())
def test_a_fault_that_stays_is_told_and_named_with_its_remedy(
    testbed: Testbed, plugin: PluginProcess, command: Command, trio: Bus, fault: Fault
) -> None:
    with nothing_mended(testbed):
        story = Story(testbed, plugin, trio)
        assert plugin.ask("/health")[0] == 200
        values = strike(testbed, trio, fault.script)
        status, answer = plugin.ask("/health")
        assert (status, answer["healthy"]) == (503, False)
        assert {each["bus"] for each in answer["reasons"]} == {trio.interface}
        trio.wait(lambda: story.counts(fault.found, "left"), "the counters to tell", NEXT_CHECK)
        diagnosis = command.doctor()
        assert diagnosis.status == 1
        for each in fault.named:
            pattern = re.sub(r"\$([A-Z]+)", lambda found: values[found[1]], each)
            assert re.search(pattern, diagnosis.text), (pattern, diagnosis.text)
        assert all(each["remedy"] for each in diagnosis.failed), diagnosis.text
        assert plugin.ask("/health") == (status, answer)
    # A plugin that mends has mended at its start all but a pair that went before it watched.
    if len(trio.host_ends()) < len(trio.containers):
        named = re.findall(r"docker restart (\S+)", command.doctor().text)
        lost = [each for each in trio.containers if each.name in named]
        assert len(lost) == len(trio.containers) - len(trio.host_ends())
        for container in lost:
            container.restart(timeout=1)
    assert plugin.ask("/health") == (200, {"healthy": True, "reasons": []})
    trio.assert_whole()


def test_health_is_bad_until_the_next_check_mends(
    testbed: Testbed, plugin: PluginProcess, trio: Bus
) -> None:
    for _ in range(5):
        strike(testbed, trio, "cangw -F")
        status, answer = plugin.ask("/health")
        if status == 503:
            break  # else the check came between the two
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
