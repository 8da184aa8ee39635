"""Whatever breaks on the host while containers run, the bus heals by itself.

Every test breaks one thing, waits, and ends in the same judge: exactly once
between all members, and a rule table without gap or double. Nobody restarts a
container.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALED, HEALTH_INTERVAL


@dataclass(frozen=True)
class Fault:
    """Something that happens on the host.

    Attributes:
        script: shell; ``$BUS`` is the bus interface, ``$END`` a member's host end,
            ``$OTHER`` another member's.
        patience: seconds within which the bus is whole again.
    """

    script: str
    patience: float = 15.0


FAULTS = {
    # The rule table sends no events: the next check finds it.
    "all rules flushed": Fault("cangw -F", HEALTH_INTERVAL + 15),
    "a rule removed": Fault("cangw -D -s $END -d $OTHER -i -l 1", HEALTH_INTERVAL + 15),
    "a rule laid twice": Fault("cangw -A -s $END -d $OTHER -i -l 1", HEALTH_INTERVAL + 15),
    "a rule with other flags": Fault("cangw -A -s $END -d $OTHER -e", HEALTH_INTERVAL + 15),
    "bus interface deleted": Fault("ip link del $BUS"),
    "bus interface set down": Fault("ip link set $BUS down"),
    "host end set down": Fault("ip link set $END down"),
    "pair deleted under a running container": Fault("ip link del $END"),
    "two pairs deleted": Fault("ip link del $END; ip link del $OTHER"),
    "all at once": Fault("cangw -F; ip link del $BUS; ip link del $END; ip link set $OTHER down"),
    "pair deleted again and again": Fault(
        "for n in 1 2 3; do ip link del $END; until ip link show $END up; do sleep 0.1; done; done"
        " >/dev/null 2>&1",
        40,
    ),
}


def strike(testbed: Testbed, bus: Bus, script: str) -> None:
    """Run a script on the host with two members' host ends at hand."""
    end, other, *_ = bus.host_ends()
    testbed.host("sh", "-c", f"BUS={bus.interface} END={end} OTHER={other}; {script}")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_bus_heals(
    testbed: Testbed, trio: Bus, fault: Fault, record_property: Callable[..., None]
) -> None:
    trio.assert_whole()
    strike(testbed, trio, fault.script)
    record_property(HEALED, round(trio.wait_whole(fault.patience), 1))
    trio.assert_whole()


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
