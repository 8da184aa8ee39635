"""Adds up how many frames went where, from the counters of the can-gw rules.

The kernel counts by rule, in 32 bits, and a rule that is added again starts at 0.
``FrameCounters`` adds up what came since its last observation, so that its sums only grow
while the daemon runs. What a rule counts between the last observation and its removal is
not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, product, repeat
from operator import add, sub

from evercan.model.declared import NONE, Declared
from evercan.model.observed import Observed
from evercan.model.rule import RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.planning.rules import FD
from evercan.tracking.rule_growth import growth
from evercan.values import NamedTuple

DIRECTIONS = ("from_bus", "to_bus", "between_members")
"""Which way a rule carries frames, seen from the host: its bus interface and bridged ones."""


class EndpointFrames(NamedTuple):
    """The frames of one endpoint, as its container would count them.

    Attributes:
        sent: frames that its container sent, each once however many members received it.
        received: frames that were handed to its host end.
        dropped: frames for it that were lost because its host end was down.
        deleted: frames for it that were at their hop limit. Those that evercan's rules
            have forwarded are echoes, and it has them by another rule; those that a rule
            of somebody else has forwarded to the bus are lost for it.
    """

    sent: int = 0
    received: int = 0
    dropped: int = 0
    deleted: int = 0


class Frames(NamedTuple):
    """Sums since the daemon started.

    Attributes:
        by_bus: by bus interface and direction.
        by_endpoint: by endpoint id.
    """

    by_bus: Mapping[tuple[str, str], RuleCount] = NONE
    by_endpoint: Mapping[str, EndpointFrames] = NONE

    def of_bus(self, bus: str) -> dict[str, RuleCount]:
        """Return the sums of one bus by direction; those without a rule are 0."""
        return {way: self.by_bus.get((bus, way), RuleCount()) for way in DIRECTIONS}

    def of_endpoint(self, endpoint_id: str) -> EndpointFrames:
        """Return the sums of one endpoint."""
        return self.by_endpoint.get(endpoint_id, EndpointFrames())


class FrameCounters:
    """Adds up, from observation to observation, what the rules have counted."""

    def __init__(self) -> None:
        """Start at 0: the first observation adds what rules of an earlier process have counted."""
        self._counts = RuleCounts()
        self._buses: dict[tuple[str, str], RuleCount] = {}
        self._endpoints: dict[str, EndpointFrames] = {}

    def add(
        self,
        declared: Declared,
        observed: Observed,
        counts: RuleCounts,
        denied: dict[int, int] | None = None,
    ) -> Frames:
        """Add what came since the last observation; forget networks and endpoints that are gone.

        Args:
            declared: whose buses and endpoints are counted.
            observed: tells which endpoint an ifindex belongs to.
            counts: rules of the host, each as often as it is there; those that have
                counted nothing may be left out.
            denied: as of ``DeniedFrames.unattributed``: rules count as dropped what a filter
                interface denies. What is taken off the rules is taken off here.
        """
        bus_of, end_of, host_ends = _owners(declared, observed)
        sent: dict[bool, dict[int, int]] = {False: {}, True: {}}
        for group in counts.groups():
            target, flags = group[:2]
            if target not in bus_of:
                continue
            bus = bus_of[target]
            grown = growth(self._counts, counts, group)
            if grown is None:
                continue
            if not {*map(bus_of.get, grown.sources)} <= {bus}:
                grown = grown.only(
                    {source for source in grown.sources if bus_of.get(source) == bus}
                )
            # A frame runs every rule of its source once: the busiest has seen them all.
            most = sent[bool(flags & FD)]
            known = map(most.get, grown.sources, repeat(0))
            most.update(zip(grown.sources, map(max, known, grown.seen()), strict=True))
            if denied and denied.get(target):
                grown = grown._replace(dropped=_take_off(denied, target, grown.dropped))
            whole = grown.total()
            if target in end_of:
                self._credit(end_of[target], EndpointFrames(0, *whole))
                from_host = grown.of(host_ends.get(bus, ()))
                self._count(bus, "from_bus", from_host)
                self._count(bus, "between_members", RuleCount(*map(sub, whole, from_host)))
            else:
                self._count(bus, "to_bus", whole)
        for source, frames in chain(*(most.items() for most in sent.values())):
            if source in end_of:
                self._credit(end_of[source], EndpointFrames(frames))
        self._counts = counts
        self._keep_declared(declared)
        return Frames(by_bus=dict(self._buses), by_endpoint=dict(self._endpoints))

    def _count(self, bus: str, direction: str, more: RuleCount) -> None:
        key = bus, direction
        self._buses[key] = RuleCount(*map(add, self._buses.get(key, RuleCount()), more))

    def _credit(self, endpoint_id: str, more: EndpointFrames) -> None:
        known = self._endpoints.get(endpoint_id, EndpointFrames())
        self._endpoints[endpoint_id] = EndpointFrames(*map(add, known, more))

    def _keep_declared(self, declared: Declared) -> None:
        """Keep the sums of what is declared, and of nothing else; a new bus starts at 0."""
        keys = product(declared.networks_by_bus(), DIRECTIONS)
        self._buses = {key: self._buses.get(key, RuleCount()) for key in keys}
        self._endpoints = {
            key: value for key, value in self._endpoints.items() if key in declared.endpoints
        }


def _take_off(denied: dict[int, int], target: int, dropped: Sequence[int]) -> list[int]:
    """Take from what rules have dropped the frames that their target's filters denied."""
    left = []
    for frames in dropped:
        off = min(frames, denied[target])
        denied[target] -= off
        left.append(frames - off)
    return left


def _owners(
    declared: Declared, observed: Observed
) -> tuple[dict[int, str], dict[int, str], dict[str, set[int]]]:
    """Return by ifindex the bus, by ifindex the endpoint, and by bus its host interfaces.

    Interfaces of the host are the bus interfaces and the bridged ones.
    """
    bus_of: dict[int, str] = {}
    end_of: dict[int, str] = {}
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.rule_end)
        if link is not None:
            bus_of[link.index] = declared.networks[endpoint.network].bus
            end_of[link.index] = endpoint.id
    host_ends: dict[str, set[int]] = {}
    for bus, bridged in declared.bridged().items():
        for name in (bus, *bridged):
            link = observed.find(name)
            if link is not None and link.index not in end_of:
                owner = bus_of.setdefault(link.index, bus)
                host_ends.setdefault(owner, set()).add(link.index)
    return bus_of, end_of, host_ends
