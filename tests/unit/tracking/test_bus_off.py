"""Since when a controller is bus-off is remembered from one observation to the next."""

from __future__ import annotations

from evercan.model.controller import Controller, ControllerState, Events
from evercan.model.observed import Link, Observed
from evercan.tracking.bus_off import BusOff
from evercan.values import replace
from tests.support.fake_controllers import GS_USB


def observed(
    state: ControllerState = ControllerState.BUS_OFF, *, index: int = 7, restarts: int = 0
) -> Observed:
    controller: Controller = replace(GS_USB, state=state, events=Events(restarts=restarts))
    return Observed(
        links={"can0": Link(index=index, name="can0", kind="can", controller=controller)}
    )


def test_the_first_observation_counts() -> None:
    bus_off = BusOff()
    assert bus_off.since(observed(ControllerState.ERROR_PASSIVE), 1.0) == {}
    assert bus_off.since(observed(), 2.0) == {7: 2.0}
    assert bus_off.since(observed(), 3.0) == {7: 2.0}


def test_a_controller_that_recovered_is_forgotten() -> None:
    bus_off = BusOff()
    bus_off.since(observed(), 1.0)
    assert bus_off.since(observed(ControllerState.ERROR_ACTIVE), 2.0) == {}
    assert bus_off.since(observed(), 3.0) == {7: 3.0}


def test_a_controller_that_the_kernel_restarted_meanwhile_is_bus_off_again() -> None:
    bus_off = BusOff()
    bus_off.since(observed(), 1.0)
    assert bus_off.since(observed(restarts=1), 2.0) == {7: 2.0}


def test_a_controller_that_evercan_restarted_is_bus_off_again() -> None:
    bus_off = BusOff()
    bus_off.since(observed(), 1.0)
    bus_off.forget([7])
    assert bus_off.since(observed(), 2.0) == {7: 2.0}


def test_a_controller_that_was_plugged_in_again_is_another_one() -> None:
    bus_off = BusOff()
    bus_off.since(observed(), 1.0)
    assert bus_off.since(observed(index=8), 2.0) == {8: 2.0}
