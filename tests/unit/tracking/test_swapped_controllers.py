"""Controllers that have swapped the names that the kernel gave them are warned of."""

from __future__ import annotations

from evercan.model.observed import Link, Observed
from evercan.tracking.swapped_controllers import SwappedControllers
from evercan.values import replace
from tests.support.declarations import declare, physical
from tests.support.fake_controllers import GS_USB

DECLARED = declare([physical()])


def observed(**places: str) -> Observed:
    return Observed(
        links={
            name: Link(index=index, name=name, kind="can", controller=replace(GS_USB, place=place))
            for index, (name, place) in enumerate(places.items(), start=7)
        }
    )


def warned(*observations: Observed) -> list[str]:
    swapped = SwappedControllers()
    for observation in observations:
        swapped.follow(observation)
    return [warning.text for warning in swapped.warnings(DECLARED, observations[-1])]


def test_two_adapters_that_swapped_their_names_are_warned_of() -> None:
    (text,) = warned(observed(can0="usb 1-1", can1="usb 1-2"), observed(can0="usb 1-2"))
    assert "can0 is the controller at usb 1-2 now, which was can1 before" in text
    assert warned(
        observed(can0="usb 1-1", can1="usb 1-2"),
        observed(can0="usb 1-2"),
        observed(can0="usb 1-2", can1="usb 1-1"),
    ) == [text]


def test_the_warning_ends_when_the_adapters_have_their_names_again() -> None:
    both = observed(can0="usb 1-1", can1="usb 1-2")
    assert warned(both, observed(), observed(can0="usb 1-2"), both) == []


def test_an_adapter_in_another_port_is_taken_for_the_same() -> None:
    assert warned(observed(can0="usb 1-1"), observed(), observed(can0="usb 1-3")) == []


def test_names_that_udev_gives_are_not_followed() -> None:
    before = observed(can0="usb 1-1", canbody0="usb 1-2")
    assert warned(before, observed(can0="usb 1-2", canbody0="usb 1-1")) == []


def test_a_kernel_that_does_not_tell_the_place_causes_no_warning() -> None:
    assert warned(observed(can0="", can1=""), observed(can0="")) == []
