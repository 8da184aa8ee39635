"""Flushed rules are added again within two seconds, although the kernel sends no event."""

from __future__ import annotations

import json
from collections.abc import Callable

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALED

WORST = 2.0
"""Seconds from a flush until all rules are there again, with EVERCAN_PROBE_INTERVAL=1."""

# Runs on the host: flushes ten times, at different moments of the probe's interval, and prints
# how long the number of receive list entries, of which each rule is one, was another one.
FLUSH = """
import json, re, subprocess, time

def entries():
    with open("/proc/net/can/stats") as file:
        return int(re.search(r"([0-9]+) current receive list entries", file.read())[1])

before = entries()
times = []
for number in range(10):
    time.sleep(0.5 + number / 10)
    subprocess.run(["cangw", "-F"], check=True)
    flushed = time.monotonic()
    assert entries() < before
    while entries() != before and time.monotonic() < flushed + 30:
        time.sleep(0.01)
    times.append(time.monotonic() - flushed)
print(json.dumps(times))
"""


def test_flushed_rules_are_added_again_within_two_seconds(
    testbed: Testbed, bus: Bus, record_property: Callable[[str, object], None]
) -> None:
    bus.start(3)
    bus.assert_healthy()
    times = json.loads(testbed.host("python3", "-c", FLUSH).stdout)
    record_property(HEALED, max(times))
    bus.assert_healthy()
    assert len(times) == 10
    assert max(times) < WORST, times
