"""Notices that controllers have swapped the names that the kernel gave them.

The kernel gives the lowest free name: two adapters that are pulled out and plugged in again
in the other order have swapped ``can0`` and ``can1``, and each network is on the other wire.
Where an adapter is plugged in (its USB port or PCI slot) tells it from the other one.
"""

from __future__ import annotations

from evercan.model.declared import BusKind, Declared
from evercan.model.names import looks_like_hardware
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind


class SwappedControllers:
    """Where the controllers were plugged in when this process first saw their names."""

    def __init__(self) -> None:
        """Start without having seen any."""
        self._places: dict[str, str] = {}

    def follow(self, observed: Observed) -> None:
        """Remember the place of each name, and each place, that was not seen before.

        Args:
            observed: what exists.
        """
        for link in observed.links.values():
            place = "" if link.controller is None else link.controller.place
            if place and place not in self._places.values() and looks_like_hardware(link.name):
                self._places.setdefault(link.name, place)

    def warnings(self, declared: Declared, observed: Observed) -> tuple[Problem, ...]:
        """List a warning for each bus whose name another controller had before.

        A controller that was only plugged in at another place, which no other one had, is
        taken for the same. One that udev names has no such name and is not followed.
        """
        names = {place: name for name, place in self._places.items()}
        found: list[Problem] = []
        for bus, networks in declared.networks_by_bus().items():
            link = observed.find(bus)
            if link is None or link.controller is None or networks[0].kind is not BusKind.PHYSICAL:
                continue
            former = names.get(link.controller.place, link.name)
            if former != link.name and looks_like_hardware(link.name):
                found.append(_warning(bus, link.name, link.controller.place, former))
        return tuple(found)


def _warning(bus: str, name: str, place: str, former: str) -> Problem:
    return Problem(
        kind=ProblemKind.BUS_SWAPPED,
        bus=bus,
        text=f"{name} is the controller at {place} now, which was {former} before: adapters have "
        "probably swapped their names, and the bus is on another wire",
        remedy="pull the adapters out and plug them in again in the former order; to keep this "
        "from happening, give them fixed names with udev, or restart the plugin if it is as meant",
    )
