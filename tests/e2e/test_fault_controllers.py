"""``evercan fault`` on the bus of a CAN controller: frames to the wire, and from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plugin_process import PluginProcess
from tests.e2e.faulty_bus import FaultyBus
from tests.e2e.health import assert_no_problems, warnings
from tests.e2e.wired_bus import BUS, OTHER, WiredBus
from tools.common.polling import wait_until

SENDS = {
    "engine": [(0x120, "classic"), (0x220, "classic")],
    "gateway": [(0x121, "classic")],
    "host": [(0x123, "classic")],
    "wire": [(0x124, "classic")],
}
ROUNDS, GAP = 20, 0.02
AFFECTED, OF_HOST, OF_WIRE = "00000120 classic", "00000123 classic", "00000124 classic"
OF_CONTAINERS = (AFFECTED, "00000220 classic", "00000121 classic")


@pytest.fixture(scope="module")
def faults(wired: WiredBus, plugin: PluginProcess) -> Iterator[FaultyBus]:
    """Yield the first controller's bus with two containers; the second one is on its wire."""
    created = FaultyBus(wired.lab, plugin, wired, SENDS)
    created.access.members["wire"] = (0, OTHER)
    created.access.start("engine")
    created.access.start("gateway")
    yield created
    assert created.queues() == []
    assert_no_problems(plugin)


def test_a_loss_on_the_way_to_the_wire_is_one_for_its_nodes_and_the_host_alone(
    faults: FaultyBus,
) -> None:
    with faults.set(From="engine", To="host", Id="120", Loss="100%"):
        found = faults.traffic(rounds=ROUNDS, gap=GAP)
        (shown,) = faults.shown()
    assert shown["lost"] == ROUNDS
    for receiver in ("wire", "host"):
        assert AFFECTED not in found["received"][receiver]
    faults.assert_unaffected(found, AFFECTED, receivers=("wire", "host"))
    faults.assert_unaffected(faults.traffic(rounds=ROUNDS, gap=GAP))


def test_what_a_program_of_the_host_sends_reaches_the_wire(faults: FaultyBus) -> None:
    with faults.set(To="host", Loss="100%"):
        found = faults.traffic(rounds=ROUNDS, gap=GAP)
    assert found["received"]["wire"] == {OF_HOST: ROUNDS}
    assert found["received"]["host"] == {OF_WIRE: ROUNDS}
    faults.assert_unaffected(found, *OF_CONTAINERS, receivers=("wire", "host"))


def test_a_loss_of_what_comes_from_the_wire(faults: FaultyBus) -> None:
    with faults.set(From="host", To="gateway", Loss="100%"):
        found = faults.traffic(rounds=ROUNDS, gap=GAP)
    assert found["received"]["gateway"].keys() == {AFFECTED, "00000220 classic"}
    faults.assert_unaffected(found, OF_HOST, OF_WIRE, receivers=("gateway",))


def test_frames_reach_the_wire_late_and_twice_also_after_it_was_unplugged(
    faults: FaultyBus, wired: WiredBus, plugin: PluginProcess
) -> None:
    with faults.set(From="engine", To="host", Id="120", Delay="300ms", Duplicate="100%"):
        for again in (False, True):
            if again:
                wired.lab.replug(0)
                wait_until(lambda: BUS in faults.queues(), 30, "the fault on the new interface")
                wired.bring_up_other()
                assert warnings(plugin, BUS) == ["fault-injected"]
            found = faults.traffic(rounds=ROUNDS, gap=GAP)
            for receiver in ("wire", "host"):
                assert found["received"][receiver][AFFECTED] == 2 * ROUNDS
                shortest, longest = found["took"][receiver][AFFECTED]
                assert 0.3 <= shortest <= longest < 1
            assert found["took"]["gateway"][AFFECTED][1] < 0.3
            faults.assert_unaffected(found, AFFECTED, receivers=("wire", "host"))
            if not again:
                wired.lab.unplug(0)
