"""How full buses were."""

from __future__ import annotations

import pytest

from evercan.model.controller import Controller, ControllerSettings, Timing, Traffic
from evercan.model.declared import Declared, Network
from evercan.model.names import wire_names
from evercan.model.observed import WIRE_GROUP, Link, Observed
from evercan.model.wire import Wire, WireCount
from evercan.tracking.bus_loads import BusLoads, BusTime, Load
from evercan.values import replace

SLOW = Network(id="n", bus="vcan0", settings=ControllerSettings(bitrate=100_000))
DECLARED = Declared(networks={"n": SLOW})
NAME, _ = wire_names("vcan0")


def observed(at: float, bits: int, dropped: int = 0) -> Observed:
    """Return what is seen of a wire that has counted so much."""
    link = Link(index=7, name=NAME, kind="ifb", is_can=False, group=WIRE_GROUP)
    return Observed(links={NAME: link}, wire_counts={7: WireCount(bits, dropped)}, at=at)


def test_the_load_is_the_part_of_the_time_since_the_last_call() -> None:
    loads = BusLoads()
    first = loads.add(DECLARED, observed(10.0, 50_000), {})
    assert first == {"vcan0": BusTime(0.5, Wire(100_000), WireCount(50_000))}
    second = loads.add(DECLARED, observed(14.0, 150_000, dropped=3), {})["vcan0"]
    assert second.load == Load(0.25, 4.0)
    assert second.counted.dropped == 3


def test_calls_close_to_each_other_show_the_same_load() -> None:
    loads = BusLoads()
    loads.add(DECLARED, observed(10.0, 0), {})
    loads.add(DECLARED, observed(12.0, 100_000), {})
    assert loads.add(DECLARED, observed(12.5, 150_000), {})["vcan0"].load == Load(0.5, 2.0)
    assert loads.add(DECLARED, observed(14.0, 200_000), {})["vcan0"].load == Load(0.5, 2.0)


def test_a_wire_that_was_made_again_has_no_load_at_first() -> None:
    loads = BusLoads()
    loads.add(DECLARED, observed(10.0, 0), {})
    loads.add(DECLARED, observed(12.0, 100_000), {})
    assert loads.add(DECLARED, observed(14.0, 10), {})["vcan0"].load is None
    assert loads.add(DECLARED, observed(16.0, 100_010), {})["vcan0"].load == Load(0.5, 2.0)


def test_a_controllers_load_is_estimated_from_its_frames_and_bytes() -> None:
    controller = Controller(
        timing=Timing(500_000, 875, 0, 0),
        traffic=Traffic(rx_packets=600, tx_packets=400, rx_bytes=4800, tx_bytes=3200),
    )
    found = BusLoads().add(Declared(), Observed(at=1.0), {"can0": controller})
    assert found["can0"].busy == pytest.approx(1000 * 118 / 500_000)
    stopped = replace(controller, timing=Timing())
    assert BusLoads().add(Declared(), Observed(at=1.0), {"can0": stopped}) == {}


def test_a_bus_without_a_bitrate_has_no_load() -> None:
    fast = Declared(networks={"n": Network(id="n", bus="vcan0")})
    assert BusLoads().add(fast, observed(10.0, 5), {}) == {}
