"""Whatever breaks on the host while containers run, the plugin repairs by itself.

Each test breaks something, waits, and checks that each frame reaches each member of
the bus exactly once and that the rules are a full mesh. No container is restarted.
The log, the metrics and the status of the plugin name the fault.

A repair takes less than a second, which is too short to observe the fault. So each
fault is caused a second time with EVERCAN_RECOVERY=fail-fast: health, counters and
the doctor report it for as long as it lasts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from string import Template

import pytest
from docker.errors import APIError
from prometheus_client.parser import text_string_to_metric_families

from evercan.planning.drift import DriftKind
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL, configure_plugin
from tests.e2e.health import assert_no_problems


@dataclass(frozen=True)
class Incident:
    """Something that happens on the host.

    Attributes:
        script: shell; ``$BUS`` is the bus interface, ``$END`` a member's host end,
            ``$OTHER`` another member's.
        drift: the kinds of drift that the plugin finds, at least.
        named: patterns that the doctor reports while the fault lasts; ``$`` as in the script.
        patience: seconds within which the bus is healthy again.
    """

    script: str
    drift: tuple[DriftKind, ...]
    named: tuple[str, ...] = ()
    patience: float = 15.0


NEXT_CHECK = HEALTH_INTERVAL + 15
"""The rule table sends no events, so the next periodic check finds the fault."""

FAULTS = {
    "all rules flushed": Incident(
        "cangw -F",
        (DriftKind.RULES_MISSING,),
        ("$END.* lacks 12 rules", "$OTHER.* lacks 12 rules"),
        NEXT_CHECK,
    ),
    "a rule removed": Incident(
        "cangw -D -s $END -d $OTHER -i -l 1",
        (DriftKind.RULES_MISSING,),
        ("$END.* lacks 1 rule,", "$OTHER.* lacks 1 rule,"),
        NEXT_CHECK,
    ),
    "a rule added twice": Incident(
        "cangw -A -s $END -d $OTHER -i -l 1",
        (DriftKind.RULES_SURPLUS,),
        ("$END.* has 1 surplus rule", "$OTHER.* has 1 surplus rule"),
        NEXT_CHECK,
    ),
    "a rule with other flags": Incident(
        "cangw -A -s $END -d $OTHER -e",
        (DriftKind.RULES_SURPLUS,),
        ("$END.* has 1 surplus rule", "$OTHER.* has 1 surplus rule"),
        NEXT_CHECK,
    ),
    "bus interface deleted": Incident(
        "ip link del $BUS", (DriftKind.BUS_MISSING,), ("bus interface $BUS is missing",)
    ),
    "bus interface set down": Incident(
        "ip link set $BUS down", (DriftKind.BUS_DOWN,), ("bus interface $BUS is down",)
    ),
    "host end set down": Incident(
        "ip link set $END down", (DriftKind.PAIR_DOWN,), ("host end $END is down",)
    ),
    "pair deleted under a running container": Incident(
        "ip link del $END", (DriftKind.PAIR_MISSING,), ("pair $END .*is missing",)
    ),
    "two pairs deleted": Incident(
        "ip link del $END; ip link del $OTHER",
        (DriftKind.PAIR_MISSING,),
        ("pair $END .*is missing", "pair $OTHER .*is missing"),
    ),
    "all at once": Incident(
        # What breaks during the first repair may be repaired with it, and not be counted. The bus
        # interface is first, because a repair of the flushed rules could take it along.
        "ip link del $BUS; cangw -F; ip link del $END; ip link set $OTHER down",
        (DriftKind.BUS_MISSING,),
        ("bus interface $BUS is missing", "pair $END .*is missing", "host end $OTHER is down"),
    ),
    "pair deleted again and again": Incident(
        "for n in 1 2 3; do ip link del $END; until ip link show $END up; do sleep 0.1; done; done"
        " >/dev/null 2>&1",
        (DriftKind.PAIR_MISSING,),
        patience=40,
    ),
}

LASTING = [
    ("a rule removed", "a rule added twice", "bus interface deleted"),
    ("a rule with other flags", "bus interface set down", "host end set down"),
    ("two pairs deleted", "pair deleted under a running container"),
    # Flushing the rules affects every bus, so no other fault goes with these two.
    ("all rules flushed", "all at once"),
]
"""Faults that can last, in groups that are caused together, each on a bus of its own."""

assert {name for group in LASTING for name in group} == {
    name for name, fault in FAULTS.items() if fault.named
}

_COUNTERS = {
    "evercan_drift_found_total": ("fault",),
    "evercan_recoveries_total": ("fault", "outcome"),
}


class Reports:
    """What the plugin reports about one bus since a point in time."""

    def __init__(self, testbed: Testbed, plugin: PluginProcess, bus: Bus) -> None:
        self._testbed, self._plugin, self._bus = testbed, plugin, bus
        self._since = testbed.now()
        self._before = self._counts()

    def _counts(self) -> Counter[tuple[str, ...]]:
        """Return this bus's counters of drift and recoveries, by name and labels."""
        counts: Counter[tuple[str, ...]] = Counter()
        for family in text_string_to_metric_families(self._plugin.read("/metrics")):
            for name, labels, value, *_ in family.samples:
                if name in _COUNTERS and labels["bus"] == self._bus.interface:
                    counts[name, *(labels[key] for key in _COUNTERS[name])] = int(value)
        return counts

    def counted(self, drift: tuple[DriftKind, ...], outcome: str) -> bool:
        """Return whether the counters of some drift and of its outcome have grown."""
        grown = self._counts() - self._before
        return all(
            grown["evercan_drift_found_total", kind] > 0
            and grown["evercan_recoveries_total", kind, outcome] > 0
            for kind in drift
        )

    def assert_recovered(self, drift: tuple[DriftKind, ...]) -> None:
        """Assert that counters, log and status report some drift and its end."""
        assert self.counted(drift, "mended"), self._counts() - self._before
        health = [
            line
            for line in self._testbed.journal(self._since).splitlines()
            if "Health check" in line
        ]
        assert any("FAILED" in line for line in health), health
        assert "Health check OK" in health[-1], health
        assert_no_problems(self._plugin)
        _, shown = self._plugin.ask("/status")
        (network,) = (
            network for network in shown["networks"] if network["bus"] == self._bus.interface
        )
        assert network["last_recovery"]["at"] >= self._since - 1
        assert "all was restored" in network["last_recovery"]["what"]


def cause(testbed: Testbed, bus: Bus, script: str) -> dict[str, str]:
    """Run a script on the host; return the values of ``$BUS``, ``$END`` and ``$OTHER`` in it."""
    end, other, *_ = bus.host_ends()
    values = {"BUS": bus.interface, "END": end, "OTHER": other}
    preamble = " ".join(f"{key}={value}" for key, value in values.items())
    testbed.host("sh", "-c", f"{preamble}; {script}")
    return values


@contextmanager
def fail_fast(testbed: Testbed) -> Iterator[None]:
    """Let the plugin repair nothing for the duration of a block."""
    configure_plugin(testbed.client(), "EVERCAN_RECOVERY=fail-fast")
    try:
        yield
    finally:
        configure_plugin(testbed.client(), "EVERCAN_RECOVERY=auto")


@contextmanager
def without_probe(testbed: Testbed) -> Iterator[None]:
    """Let the plugin find changed rules only at the interval for the duration of a block."""
    configure_plugin(testbed.client(), "EVERCAN_PROBE_INTERVAL=0")
    try:
        yield
    finally:
        configure_plugin(testbed.client(), "EVERCAN_PROBE_INTERVAL=1")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_repaired_and_reported(
    testbed: Testbed,
    plugin: PluginProcess,
    trio: Bus,
    fault: Incident,
    record_property: Callable[..., None],
) -> None:
    trio.wait_healthy()  # whatever the test before this one left
    reports = Reports(testbed, plugin, trio)
    cause(testbed, trio, fault.script)
    record_property(HEALED, round(trio.wait_healthy(fault.patience), 1))
    trio.assert_healthy()
    reports.assert_recovered(fault.drift)


@pytest.fixture(scope="module")
def buses(testbed: Testbed, trio: Bus) -> Iterator[list[Bus]]:
    """Yield the bus with three containers, and two buses with two containers."""
    added: list[Bus] = []
    try:
        for number in (602, 603):
            added.append(Bus(testbed, f"vcan{number}"))
            added[-1].start(2)
        yield [trio, *added]
    finally:
        for bus in added:
            bus.remove()
    assert [bus.leftovers() for bus in added] == [[] for _ in added]


@pytest.mark.thorough
@pytest.mark.parametrize("names", LASTING, ids=["; ".join(names) for names in LASTING])
def test_a_lasting_fault_is_reported_and_named_with_its_remedy(
    testbed: Testbed,
    plugin: PluginProcess,
    command: Command,
    buses: list[Bus],
    names: tuple[str, ...],
) -> None:
    faults = [FAULTS[name] for name in names]
    with fail_fast(testbed):
        assert plugin.ask("/health")[0] == 200
        all_reports = [Reports(testbed, plugin, bus) for bus in buses]
        values = [
            cause(testbed, bus, fault.script) for bus, fault in zip(buses, faults, strict=False)
        ]
        broken = buses if "all rules flushed" in names else buses[: len(names)]
        status, answer = plugin.ask("/health")
        assert (status, answer["healthy"]) == (503, False)
        assert {reason["bus"] for reason in answer["reasons"]} == {bus.interface for bus in broken}
        for bus, fault, reports in zip(buses, faults, all_reports, strict=False):
            bus.wait(
                partial(reports.counted, fault.drift, "left"),
                f"the counters of {bus.interface}",
                NEXT_CHECK,
            )
        diagnosis = command.doctor()
        assert diagnosis.status == 1
        for fault, variables in zip(faults, values, strict=True):
            for named in fault.named:
                pattern = Template(named).substitute(variables)
                assert re.search(pattern, diagnosis.text), (pattern, diagnosis.text)
        assert all(check["remedy"] for check in diagnosis.failed), diagnosis.text
        if "bus interface deleted" in names:
            assert_nobody_joins(buses[names.index("bus interface deleted")])
        assert plugin.ask("/health") == (status, answer)
    restart_containers_without_pair(command, buses)
    assert_no_problems(plugin)
    for bus in broken:
        bus.assert_healthy()


def assert_nobody_joins(bus: Bus) -> None:
    """Assert that a container cannot start without its bus, and that the bus is not created."""
    assert bus.interface not in bus.links()
    with pytest.raises(APIError, match=bus.interface):
        bus.start(1)
    assert bus.interface not in bus.links()


def restart_containers_without_pair(command: Command, buses: list[Bus]) -> None:
    """Restart the containers whose pair the plugin could not repair, as the doctor says.

    A plugin with EVERCAN_RECOVERY=auto has repaired everything at its start, except a
    pair that was deleted before it started.
    """
    containers = [container for bus in buses for container in bus.containers]
    missing = len(containers) - sum(len(bus.host_ends()) for bus in buses)
    if not missing:
        return
    named = re.findall(r"docker restart (\S+)", command.doctor().text)
    lost = [container for container in containers if container.name in named]
    assert len(lost) == missing
    for container in lost:
        container.restart(timeout=1)


def test_health_is_bad_until_the_next_check_repairs(
    testbed: Testbed, plugin: PluginProcess, trio: Bus
) -> None:
    with without_probe(testbed):
        for _ in range(5):
            cause(testbed, trio, "cangw -F")
            status, answer = plugin.ask("/health")
            if status == 503:
                break  # otherwise the check came between the two
        assert status == 503, answer
        assert {reason["kind"] for reason in answer["reasons"]} == {"drift"}
        assert any(" are missing" in reason["text"] for reason in answer["reasons"]), answer
        trio.wait_healthy(NEXT_CHECK)
        assert plugin.ask("/health")[0] == 200


def test_a_foreign_rule_on_the_bus_is_kept(testbed: Testbed, trio: Bus) -> None:
    testbed.host("ip", "link", "add", "vcan700", "type", "vcan")
    testbed.host("ip", "link", "set", "vcan700", "up")
    try:
        testbed.host("cangw", "-A", "-s", "vcan700", "-d", trio.interface, "-f", "123:7FF")
        cause(testbed, trio, "ip link del $END")
        trio.wait_healthy()
        shown = testbed.host("cangw", "-L", check=False).stdout.decode()
        assert sum("-s vcan700" in line for line in shown.splitlines()) == 1
    finally:
        testbed.host("ip", "link", "del", "vcan700", check=False)
