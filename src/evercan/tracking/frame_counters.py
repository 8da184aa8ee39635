"""Adds up how many frames went where, from the counters of the can-gw rules.

The kernel counts by rule, in 32 bits, and a rule that is added again starts at 0.
``FrameCounters`` adds up what came since its last observation, so that its sums only grow
while the daemon runs. What a rule counts between the last observation and its removal is
not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from itertools import product
from operator import add

from evercan.model.declared import NONE, Declared
from evercan.model.observed import Observed
from evercan.model.rule import RuleCount
from evercan.model.rule_counts import RuleCounts
from evercan.model.rule_table import Group
from evercan.planning.rules import FD
from evercan.values import NamedTuple

DIRECTIONS = ("from_bus", "to_bus", "between_members")
"""Which way a rule carries frames, seen from the host: its bus interface and bridged ones."""

_WRAP = 1 << 32
_PLAUSIBLE = 1 << 24
"""Frames between two observations: a counter that fell has wrapped if it grew by no more."""


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


class _Seen(NamedTuple):
    """A rule's counters at the last observation, and how many of its copies had counted frames."""

    copies: int
    total: RuleCount


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
        bus_of, end_of, bus_indexes = _owners(declared, observed)
        sent: Counter[tuple[int, bool]] = Counter()
        for group in counts.groups():
            target, flags = group[:2]
            if target not in bus_of:
                continue
            bus = bus_of[target]
            before = _seen(self._counts, group)
            for source, now in _seen(counts, group).items():
                if bus_of.get(source) != bus:
                    continue
                grown = _growth(before.get(source), now)
                kind = source, bool(flags & FD)
                # A frame runs every rule of its source once: the busiest has seen them all.
                sent[kind] = max(sent[kind], grown.handled + grown.dropped)
                if denied:
                    grown = _take_off(denied, target, grown)
                key = bus, _direction(source, target, bus_indexes)
                self._buses[key] = _add(self._buses.get(key, RuleCount()), grown)
                if target in end_of:
                    self._credit(end_of[target], EndpointFrames(0, *grown))
        for (source, _), frames in sent.items():
            if source in end_of:
                self._credit(end_of[source], EndpointFrames(frames))
        self._counts = counts
        self._keep_declared(declared)
        return Frames(by_bus=dict(self._buses), by_endpoint=dict(self._endpoints))

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


def _add(one: RuleCount, other: RuleCount) -> RuleCount:
    return RuleCount(*map(add, one, other))


def _seen(counts: RuleCounts, group: Group) -> dict[int, _Seen]:
    """Return by source what the rules of a group have counted."""
    seen: dict[int, _Seen] = {}
    for source, count in counts.of_group(group):
        known = seen.get(source)
        seen[source] = (
            _Seen(1, count) if known is None else _Seen(known.copies + 1, _add(known.total, count))
        )
    return seen


def _growth(before: _Seen | None, now: _Seen) -> RuleCount:
    if before is None:
        return now.total
    if now.copies < before.copies:
        return RuleCount()  # which of the copies went, and what it had counted, is not known
    return RuleCount(*map(_since, before.total, now.total))


def _since(before: int, now: int) -> int:
    if now >= before:
        return now - before
    wrapped = (now - before) % _WRAP
    return wrapped if wrapped < _PLAUSIBLE else now


def _direction(source: int, target: int, bus_indexes: Container[int]) -> str:
    """Name the direction of a rule as the metrics do."""
    if target in bus_indexes:
        return "to_bus"
    return "from_bus" if source in bus_indexes else "between_members"


def _take_off(denied: dict[int, int], target: int, grown: RuleCount) -> RuleCount:
    """Take from what a rule has dropped the frames that its target's filters denied."""
    off = min(grown.dropped, denied.get(target, 0))
    if off:
        denied[target] -= off
    return grown._replace(dropped=grown.dropped - off)


def _owners(
    declared: Declared, observed: Observed
) -> tuple[dict[int, str], dict[int, str], set[int]]:
    """Return by ifindex the bus, by ifindex the endpoint, and the ifindexes of host interfaces.

    Interfaces of the host are the bus interfaces and the bridged ones.
    """
    bus_of: dict[int, str] = {}
    end_of: dict[int, str] = {}
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.rule_end)
        if link is not None:
            bus_of[link.index] = declared.networks[endpoint.network].bus
            end_of[link.index] = endpoint.id
    buses: set[int] = set()
    for bus, bridged in declared.bridged().items():
        for name in (bus, *bridged):
            link = observed.find(name)
            if link is not None and link.index not in end_of:
                bus_of.setdefault(link.index, bus)
                buses.add(link.index)
    return bus_of, end_of, buses
