"""The metrics for Prometheus: calls, steps, members and frames, named by its conventions.

Calls are counted where they are answered, steps where they are taken, frames by the kernel
(the counters of each can-gw rule); all of it is collected at a scrape.

What an alert compares with its own past (drift, recoveries, calls that start a container)
is exported as 0 before it first happens: Prometheus sees no increase from no value to 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from evercan.model.fault import FaultCount
from evercan.model.rule import RuleCount
from evercan.planning.drift import DriftKind
from evercan.planning.faults import faults_of
from evercan.reconcile.inspector import Snapshot
from evercan.reporting.controller_metrics import families
from evercan.reporting.durations import BOUNDS, Durations, Histogram
from evercan.reporting.fault_view import count_faults
from evercan.reporting.status import Daemon
from evercan.tracking.recoveries import AFTER_REBOOT

_BRING_UP = ("CreateNetwork", "CreateEndpoint", "Join")
_CALL_OUTCOMES = ("ok", "refused", "failed")
_RECOVERY_OUTCOMES = ("mended", "refused", "left")


def render(daemon: Daemon, snapshot: Snapshot, durations: Durations) -> bytes:
    """Write everything in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Moment(daemon, snapshot, durations))
    return generate_latest(registry)


class _Moment(Collector):
    """Yields a snapshot as metric families."""

    def __init__(self, daemon: Daemon, snapshot: Snapshot, durations: Durations) -> None:
        self._daemon = daemon
        self._snapshot = snapshot
        self._durations = durations

    def collect(self) -> Iterator[Metric]:
        yield from self._process()
        yield self._calls()
        state = self._snapshot.state
        yield GaugeMetricFamily(
            "evercan_healthy", "1 when every bus is healthy.", value=float(not state.problems)
        )
        problems = GaugeMetricFamily(
            "evercan_problems", "Problems, by bus and kind.", labels=("bus", "kind")
        )
        for (bus, kind), times in Counter(
            (problem.bus, problem.kind) for problem in state.problems
        ).items():
            problems.add_metric((bus, kind), times)
        yield problems
        warnings = GaugeMetricFamily(
            "evercan_warnings", "Warnings, by bus and kind.", labels=("bus", "kind")
        )
        warned = Counter((warning.bus, warning.kind) for warning in state.warnings)
        for (bus, kind), number in warned.items():
            warnings.add_metric((bus, kind), number)
        yield warnings
        yield from self._faults()
        yield from self._members()
        steps = CounterMetricFamily(
            "evercan_steps",
            "Changes of the kernel, by step and outcome (done, refused).",
            labels=("step", "outcome"),
        )
        tally = self._snapshot.tally
        for labels, times in tally.steps.items():
            steps.add_metric(labels, times)
        yield steps
        yield from self._repairs()
        yield CounterMetricFamily(
            "evercan_state_writes", "Times the state file was written.", value=tally.writes
        )
        yield self._frames()
        yield self._denied()
        yield from self._wires()
        yield from families(self._snapshot.controllers)

    def _faults(self) -> Iterator[Metric]:
        """Yield how many faults are set, and what they do to frames."""
        state = self._snapshot.state
        number = GaugeMetricFamily(
            "evercan_faults", "Faults that are set with 'evercan fault set'.", labels=("bus",)
        )
        frames = GaugeMetricFamily(
            "evercan_fault_frames",
            "Frames that the faults that are set now have let pass (passed) or dropped (lost).",
            labels=("bus", "fate"),
        )
        for bus in state.declared.networks_by_bus():
            number.add_metric((bus,), len(faults_of(state.declared, bus)))
            if not state.declared.faults:
                continue
            for fate in FaultCount._fields:
                counts = count_faults(state, bus).values()
                frames.add_metric((bus, fate), sum(getattr(count, fate) for count in counts))
        yield number
        yield frames

    def _process(self) -> Iterator[Metric]:
        build = GaugeMetricFamily(
            "evercan_build_info", "1, with the version that runs.", labels=("version",)
        )
        build.add_metric((self._daemon.version,), 1)
        yield build
        yield GaugeMetricFamily(
            "evercan_start_time_seconds",
            "When the plugin started, in seconds since the epoch.",
            value=self._daemon.started,
        )

    def _repairs(self) -> Iterator[Metric]:
        """Yield the drift that was found and what came of it, for every bus."""
        buses = self._snapshot.state.declared.networks_by_bus()
        tally = self._snapshot.tally
        drift = CounterMetricFamily(
            "evercan_drift_found",
            "Changes that somebody else made and a check found, by bus and fault.",
            labels=("bus", "fault"),
        )
        for found in dict.fromkeys((*product(buses, DriftKind), *tally.drift)):
            drift.add_metric(found, tally.drift.get(found, 0))
        recoveries = CounterMetricFamily(
            "evercan_recoveries",
            "What came of drift, by bus, fault and outcome (mended, refused, left).",
            labels=("bus", "fault", "outcome"),
        )
        possible = product(buses, (*DriftKind, AFTER_REBOOT), _RECOVERY_OUTCOMES)
        for ended in dict.fromkeys((*possible, *tally.recoveries)):
            recoveries.add_metric(ended, tally.recoveries.get(ended, 0))
        yield drift
        yield recoveries

    def _calls(self) -> Metric:
        family = HistogramMetricFamily(
            "evercan_call_duration_seconds",
            "Time to answer the engine's calls, by verb and outcome (ok, refused, failed).",
            labels=("verb", "outcome"),
        )
        bounds = [*map(str, BOUNDS), "+Inf"]
        called = self._durations.by_call
        for labels in dict.fromkeys((*product(_BRING_UP, _CALL_OUTCOMES), *called)):
            histogram = called.get(labels, Histogram())
            totals = accumulate(histogram.counts)
            family.add_metric(labels, list(zip(bounds, totals, strict=True)), histogram.seconds)
        return family

    def _members(self) -> Iterator[Metric]:
        declared = self._snapshot.state.declared
        networks = GaugeMetricFamily("evercan_networks", "Networks, by bus.", labels=("bus",))
        members = GaugeMetricFamily(
            "evercan_endpoints", "Endpoints, by bus and phase.", labels=("bus", "phase")
        )
        for bus, on_bus in declared.networks_by_bus().items():
            networks.add_metric((bus,), len(on_bus))
        phases = Counter(
            (declared.networks[endpoint.network].bus, endpoint.phase)
            for endpoint in declared.endpoints.values()
        )
        for (bus, phase), number in phases.items():
            members.add_metric((bus, phase), number)
        yield networks
        yield members

    def _frames(self) -> Metric:
        family = CounterMetricFamily(
            "evercan_frames",
            "Frames that rules have handled, dropped (the target was down) or deleted (hop limit).",
            labels=("bus", "direction", "fate"),
        )
        for (bus, direction), count in self._snapshot.frames.by_bus.items():
            for fate, frames in zip(RuleCount._fields, count, strict=True):
                family.add_metric((bus, direction, fate), frames)
        return family

    def _wires(self) -> Iterator[Metric]:
        """Yield how busy the buses with a bitrate were."""
        busy = CounterMetricFamily(
            "evercan_bus_busy_seconds",
            "Time that frames took on the bus; its rate is the load. Estimated for controllers.",
            labels=("bus",),
        )
        dropped = CounterMetricFamily(
            "evercan_bus_dropped_frames",
            "Frames for which a virtual bus with a bitrate had no room, while others waited.",
            labels=("bus",),
        )
        for bus, time in self._snapshot.times.items():
            busy.add_metric((bus,), time.busy)
            if time.wire is not None:
                dropped.add_metric((bus,), time.counted.dropped)
        yield busy
        yield dropped

    def _denied(self) -> Metric:
        declared = self._snapshot.state.declared
        family = CounterMetricFamily(
            "evercan_denied_frames",
            "Frames that a member may not send, may not receive, or sent beyond its rate.",
            labels=("bus", "endpoint", "reason"),
        )
        for endpoint_id, denied in self._snapshot.denied.items():
            bus = declared.networks[declared.endpoints[endpoint_id].network].bus
            for reason, frames in denied._asdict().items():
                family.add_metric((bus, endpoint_id[:12], reason), frames)
        return family
