"""How long the wire of each bus was busy, and its load since the last time that was asked."""

from __future__ import annotations

from collections.abc import Mapping

from evercan.model.controller import Controller
from evercan.model.declared import Declared
from evercan.model.names import wire_names
from evercan.model.observed import Observed
from evercan.model.wire import Wire, WireCount
from evercan.values import NamedTuple

_SHORTEST = 1.0
"""Seconds over which a load is computed at the least."""

_HEAD_BITS, _BYTE_BITS = 50, 8.5
"""Bits of a frame without its payload, and of a byte of payload, with stuff bits."""


class Load(NamedTuple):
    """How full a bus was.

    Attributes:
        share: the part of the time that frames took, 1.0 for all of it.
        seconds: over how long a time.
    """

    share: float
    seconds: float


class BusTime(NamedTuple):
    """The wire of a virtual bus, or of a controller.

    Attributes:
        busy: seconds that frames have taken since the interface appeared.
        wire: how fast a virtual bus is; None for a controller, whose frames are estimated
            from the numbers of frames and bytes.
        counted: what the wire of a virtual bus has counted.
        load: since an earlier call; None if there was none, or the counters began again.
    """

    busy: float
    wire: Wire | None = None
    counted: WireCount = WireCount()
    load: Load | None = None


class BusLoads:
    """Remembers when each bus was busy for how long."""

    def __init__(self) -> None:
        """Start without knowing any bus."""
        self._known: dict[str, tuple[float, float]] = {}
        self._loads: dict[str, Load | None] = {}

    def add(
        self, declared: Declared, observed: Observed, controllers: Mapping[str, Controller]
    ) -> dict[str, BusTime]:
        """Return what is known of each bus that has a bitrate.

        Args:
            declared: what is wanted.
            observed: what exists, with counters, and when that was.
            controllers: each controller that is a bus, with its statistics, by bus interface.
        """
        found = _wires(declared, observed)
        for bus, controller in controllers.items():
            busy = _estimate(controller)
            if busy is not None:
                found[bus] = BusTime(busy)
        for bus, time in found.items():
            self._note(bus, observed.at, time.busy)
        self._known = {bus: known for bus, known in self._known.items() if bus in found}
        return {bus: time._replace(load=self._loads.get(bus)) for bus, time in found.items()}

    def _note(self, bus: str, at: float, busy: float) -> None:
        before, was_busy = self._known.setdefault(bus, (at, busy))
        if busy < was_busy:  # another wire, or a controller that was plugged in again
            self._known[bus], self._loads[bus] = (at, busy), None
        elif at - before >= _SHORTEST:
            self._known[bus] = (at, busy)
            self._loads[bus] = Load((busy - was_busy) / (at - before), at - before)


def _wires(declared: Declared, observed: Observed) -> dict[str, BusTime]:
    found = {}
    for bus, wire in declared.wires().items():
        link = observed.links.get(wire_names(bus)[0])
        if link is not None:
            counted = observed.wire_counts.get(link.index, WireCount())
            found[bus] = BusTime(counted.bits / wire.bitrate, wire, counted)
    return found


def _estimate(controller: Controller) -> float | None:
    """Return for how long a controller's frames took its wire; None without a bitrate."""
    traffic, timing = controller.traffic, controller.timing
    if traffic is None or not timing.bitrate:
        return None
    frames = traffic.rx_packets + traffic.tx_packets
    payload = (timing.dbitrate if controller.fd else 0) or timing.bitrate
    return (
        frames * _HEAD_BITS / timing.bitrate
        + (traffic.rx_bytes + traffic.tx_bytes) * _BYTE_BITS / payload
    )
