"""Frames a second, from one look to the next; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evercan.cli.views.overview import AT_REST, MemberView, NetworkView, Overview

KEPT = 240
"""Looks that a history goes back."""

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Rates:
    """Frames a second.

    Attributes:
        sent: by each endpoint; None if that is not known (yet).
        received: likewise.
        bus: on each network's bus, by network id; the same for all networks on one interface.
    """

    sent: Mapping[str, float | None] = field(default_factory=dict)
    received: Mapping[str, float | None] = field(default_factory=dict)
    bus: Mapping[str, float | None] = field(default_factory=dict)

    def __or__(self, other: Rates) -> Rates:
        """Put the rates of two plugins together."""
        return Rates(
            {**self.sent, **other.sent},
            {**self.received, **other.received},
            {**self.bus, **other.bus},
        )


def rates(before: Overview | None, now: Overview, seconds: float) -> Rates:
    """Compare two looks at one plugin that lie some seconds apart.

    A counter that went back began anew, with its rule: it counts from nothing.
    """
    former = before.networks if before else ()
    earlier = {each.endpoint: each for net in former for each in net.members}
    sent: dict[str, float | None] = {}
    received: dict[str, float | None] = {}
    for each in (member for net in now.networks for member in net.members):
        was = earlier.get(each.endpoint)
        sent[each.endpoint] = _rate(was.sent if was else None, each.sent, seconds)
        received[each.endpoint] = _rate(was.received if was else None, each.received, seconds)
    buses_before = _by_bus(former)
    bus: dict[str, float | None] = {}
    for key, networks in _by_bus(now.networks).items():
        was_from_bus = _from_bus(buses_before.get(key, ()))
        from_bus = _rate(was_from_bus, _from_bus(networks), seconds)
        total = _on_bus([each for net in networks for each in net.members], sent, from_bus)
        bus.update({net.id: total for net in networks})
    return Rates(sent, received, bus)


def _by_bus(networks: Sequence[NetworkView]) -> dict[str, list[NetworkView]]:
    """Group networks by bus interface; one whose interface is not known is by itself."""
    groups: dict[str, list[NetworkView]] = {}
    for each in networks:
        groups.setdefault(each.bus or each.id, []).append(each)
    return groups


def _from_bus(networks: Sequence[NetworkView]) -> int | None:
    """What came from the interface of some networks, which each of them tells."""
    return next((each.from_bus for each in networks if each.from_bus is not None), None)


def _on_bus(
    members: Sequence[MemberView], sent: Mapping[str, float | None], from_bus: float | None
) -> float | None:
    """All that is on a bus: what its members send, and what comes from its interface."""
    known = [each for each in (sent[one.endpoint] for one in members) if each is not None]
    total = sum(known) if known else None
    if from_bus is not None and members:
        # Counted once for each member that it was handed to.
        total = (total or 0) + from_bus / max(1, sum(map(_listens, members)))
    return total


def _listens(member: MemberView) -> bool:
    return member.state not in ("gone", "down", *AT_REST)


def _rate(was: int | None, now: int | None, seconds: float) -> float | None:
    if was is None or now is None or seconds <= 0:
        return None
    return (now - was if now >= was else now) / seconds


@dataclass(frozen=True)
class History:
    """How busy each network was.

    Attributes:
        past: frames a second by network id, look by look.
    """

    past: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def after(self, found: Rates) -> History:
        """Remember one look more; networks that are gone are forgotten."""
        return History(
            {
                key: (*self.past.get(key, ()), *(() if value is None else (value,)))[-KEPT:]
                for key, value in found.bus.items()
            }
        )

    def curve(self, network: str, width: int) -> str:
        """Draw the last looks as bars, the newest at the right, up to the highest of them."""
        past = list(self.past.get(network, ()))[-width:]
        return bars(past, max(past, default=0.0))

    def peak(self, network: str) -> float | None:
        """The highest rate that is remembered."""
        return max(self.past.get(network, ()), default=None)


def bars(values: list[float], top: float) -> str:
    """Draw values from 0 to ``top`` as bars of eight heights; a blank for nothing at all."""
    if top <= 0:
        return _BARS[0] * len(values)
    last = len(_BARS) - 1
    return "".join(_BARS[min(last, round(each / top * last))] for each in values)
