"""Compute frames per second from two overviews, and their history; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evercan.cli.views.overview import MemberView, NetworkView, Overview

HISTORY = 240
"""Rates that a history keeps for each network."""

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Rates:
    """Frames per second.

    Attributes:
        sent: by endpoint id; None if not known yet.
        received: the same.
        bus: by network id, of the network's bus; equal for all networks on one interface.
    """

    sent: Mapping[str, float | None] = field(default_factory=dict)
    received: Mapping[str, float | None] = field(default_factory=dict)
    bus: Mapping[str, float | None] = field(default_factory=dict)

    def __or__(self, other: Rates) -> Rates:
        """Combine the rates of two plugins."""
        return Rates(
            {**self.sent, **other.sent},
            {**self.received, **other.received},
            {**self.bus, **other.bus},
        )


def rates(before: Overview | None, now: Overview, seconds: float) -> Rates:
    """Compute the rates from two overviews of one plugin, some seconds apart.

    A counter that is lower than before has restarted at 0 with its rule.
    """
    former = before.networks if before else ()
    earlier = {member.endpoint: member for network in former for member in network.members}
    sent: dict[str, float | None] = {}
    received: dict[str, float | None] = {}
    for member in (member for network in now.networks for member in network.members):
        former_member = earlier.get(member.endpoint)
        sent[member.endpoint] = _rate(
            former_member.sent if former_member else None, member.sent, seconds
        )
        received[member.endpoint] = _rate(
            former_member.received if former_member else None, member.received, seconds
        )
    buses_before = _by_bus(former)
    bus: dict[str, float | None] = {}
    for key, networks in _by_bus(now.networks).items():
        before_from_bus = _from_bus(buses_before.get(key, ()))
        from_bus = _rate(before_from_bus, _from_bus(networks), seconds)
        total = _on_bus(
            [member for network in networks for member in network.members], sent, from_bus
        )
        bus.update({network.id: total for network in networks})
    return Rates(sent, received, bus)


def _by_bus(networks: Sequence[NetworkView]) -> dict[str, list[NetworkView]]:
    """Group networks by bus interface; a network with an unknown interface is its own group."""
    groups: dict[str, list[NetworkView]] = {}
    for network in networks:
        groups.setdefault(network.bus or network.id, []).append(network)
    return groups


def _from_bus(networks: Sequence[NetworkView]) -> int | None:
    """Return the frames from the interface of some networks, which all of them report."""
    return next((network.from_bus for network in networks if network.from_bus is not None), None)


def _on_bus(
    members: Sequence[MemberView], sent: Mapping[str, float | None], from_bus: float | None
) -> float | None:
    """Return the rate of a bus: what its members send, and what comes from its interface."""
    known = [rate for rate in (sent[member.endpoint] for member in members) if rate is not None]
    total = sum(known) if known else None
    if from_bus is not None and members:
        # A frame counts once for each member that got it.
        total = (total or 0) + from_bus / max(1, sum(map(_listens, members)))
    return total


def _listens(member: MemberView) -> bool:
    return member.running and member.state not in ("gone", "down")


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or seconds <= 0:
        return None
    return (now - before if now >= before else now) / seconds


@dataclass(frozen=True)
class History:
    """The rates of each network over time.

    Attributes:
        past: frames per second by network id, oldest first.
    """

    past: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def after(self, found: Rates) -> History:
        """Return the history with one more rate; removed networks are dropped from it."""
        return History(
            {
                key: (*self.past.get(key, ()), *(() if value is None else (value,)))[-HISTORY:]
                for key, value in found.bus.items()
            }
        )

    def curve(self, network: str, width: int) -> str:
        """Draw the last rates as bars, the newest at the right, scaled to the highest of them."""
        past = list(self.past.get(network, ()))[-width:]
        return bars(past, max(past, default=0.0))

    def peak(self, network: str) -> float | None:
        """Return the highest rate in the history."""
        return max(self.past.get(network, ()), default=None)


def bars(values: list[float], top: float) -> str:
    """Draw values from 0 to ``top`` as bars of eight heights."""
    if top <= 0:
        return _BARS[0] * len(values)
    last = len(_BARS) - 1
    return "".join(_BARS[min(last, round(value / top * last))] for value in values)
