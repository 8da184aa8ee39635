"""What Prometheus sees: calls, steps, members, frames. Names follow its conventions.

Nothing is counted twice: calls are counted where they are answered, steps where
they are taken, frames by the kernel (the counters of each can-gw rule), and all
of it is put together when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from evercan.controller_metrics import families
from evercan.durations import BOUNDS, Durations
from evercan.model import RuleCount
from evercan.reconciler import Snapshot


def render(snapshot: Snapshot, durations: Durations) -> bytes:
    """Write everything in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Moment(snapshot, durations))
    return generate_latest(registry)


class _Moment(Collector):
    """A snapshot as metric families."""

    def __init__(self, snapshot: Snapshot, durations: Durations) -> None:
        self._snapshot = snapshot
        self._durations = durations

    def collect(self) -> Iterator[Metric]:
        yield self._calls()
        state = self._snapshot.state
        yield GaugeMetricFamily(
            "evercan_healthy", "1 when every bus is whole.", value=float(not state.problems)
        )
        problems = GaugeMetricFamily(
            "evercan_problems", "What no step mends, by bus and kind.", labels=("bus", "kind")
        )
        for (bus, trouble), times in Counter((p.bus, p.kind) for p in state.problems).items():
            problems.add_metric((bus, trouble), times)
        yield problems
        yield from self._members()
        steps = CounterMetricFamily(
            "evercan_steps",
            "Steps taken in the kernel, by kind and outcome.",
            labels=("step", "outcome"),
        )
        for (kind, outcome), times in self._snapshot.steps.items():
            steps.add_metric((kind, outcome), times)
        yield steps
        yield CounterMetricFamily(
            "evercan_state_writes", "Times the state file was written.", value=self._snapshot.writes
        )
        yield self._frames()
        yield from families(self._snapshot.controllers)

    def _calls(self) -> Metric:
        family = HistogramMetricFamily(
            "evercan_call_duration_seconds",
            "Time to answer the engine's calls, by verb and outcome (ok, refused, failed).",
            labels=("verb", "outcome"),
        )
        bounds = [*map(str, BOUNDS), "+Inf"]
        for labels, histogram in self._durations.by_call.items():
            totals = accumulate(histogram.counts)
            family.add_metric(labels, list(zip(bounds, totals, strict=True)), histogram.seconds)
        return family

    def _members(self) -> Iterator[Metric]:
        declared = self._snapshot.state.declared
        networks = GaugeMetricFamily(
            "evercan_networks", "Networks on record, by bus.", labels=("bus",)
        )
        members = GaugeMetricFamily(
            "evercan_endpoints", "Endpoints on record, by bus and phase.", labels=("bus", "phase")
        )
        for bus, on_bus in declared.networks_by_bus().items():
            networks.add_metric((bus,), len(on_bus))
        phases = Counter(
            (declared.networks[each.network].bus, each.phase)
            for each in declared.endpoints.values()
        )
        for (bus, phase), number in phases.items():
            members.add_metric((bus, phase), number)
        yield networks
        yield members

    def _indexes(self) -> tuple[dict[int, str], set[int]]:
        """Return the bus of each interface of ours by ifindex, and which of them are buses."""
        state = self._snapshot.state
        bus_of: dict[int, str] = {}
        for endpoint in state.declared.endpoints.values():
            link = state.observed.links.get(endpoint.host_end)
            if link is not None:
                bus_of[link.index] = state.declared.networks[endpoint.network].bus
        buses: set[int] = set()
        for name in state.declared.networks_by_bus():
            link = state.observed.find(name)
            if link is not None:
                bus_of[link.index] = name
                buses.add(link.index)
        return bus_of, buses

    def _frames(self) -> Metric:
        """Sum the rules' counters by bus and direction; a rule laid anew counts from 0."""
        bus_of, buses = self._indexes()
        sums: Counter[tuple[str, str, str]] = Counter()
        for rule, count in self._snapshot.counts:
            bus = bus_of.get(rule.source)
            if bus is None or bus_of.get(rule.target) != bus:
                continue
            direction = "between_members"
            if rule.target in buses:
                direction = "to_bus"
            elif rule.source in buses:
                direction = "from_bus"
            for fate, frames in zip(RuleCount._fields, count, strict=True):
                sums[bus, direction, fate] += frames
        family = CounterMetricFamily(
            "evercan_frames",
            "Frames that rules have handled, dropped (the target was down) or deleted (hop limit).",
            labels=("bus", "direction", "fate"),
        )
        for labels, frames in sums.items():
            family.add_metric(labels, frames)
        return family
