"""Writes ``/health`` and ``/status``: the plan that is not applied, as JSON.

The schema of ``/status`` is ``docs/status.schema.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evercan.errors import EvercanError
from evercan.model.declared import Endpoint, Network
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.model.state import State
from evercan.reconcile.inspector import Snapshot
from evercan.reporting.controller_view import describe
from evercan.reporting.fault_view import describe_faults
from evercan.settings import Settings
from evercan.tracking.bus_loads import BusTime
from evercan.tracking.denied_frames import Denied
from evercan.tracking.frame_counters import Frames
from evercan.values import NamedTuple, fields_of

SCHEMA = 1
"""Version of the document; raised when a field changes its meaning or is removed."""

Page = tuple[int, Mapping[str, Any]]
"""The HTTP status, and the document."""


class Daemon(NamedTuple):
    """What an operator may ask about the process itself.

    Attributes:
        version: of evercan.
        started: when, in seconds since the epoch.
        settings: how it runs.
    """

    version: str
    started: float
    settings: Settings


def health(state: State, of_process: Sequence[Problem] = ()) -> Page:
    """Answer ``GET /health``: 200 when every bus is healthy, else 503 with the reasons."""
    reasons = [_reason(problem) for problem in (*state.problems, *of_process)]
    return (503 if reasons else 200), {
        "healthy": not reasons,
        "reasons": reasons,
        "warnings": [_reason(warning) for warning in state.warnings],
    }


def not_observed(error: EvercanError) -> Page:
    """Answer ``GET /health`` when the kernel cannot be observed."""
    return 503, {
        "healthy": False,
        "reasons": [_reason(Problem.of_error(error))],
        "warnings": [],
    }


def _reason(problem: Problem) -> Mapping[str, Any]:
    return {
        "bus": problem.bus,
        "endpoint": problem.endpoint,
        "kind": problem.kind,
        "text": problem.text,
        "remedy": problem.remedy,
    }


def status(daemon: Daemon, snapshot: Snapshot, of_process: Sequence[Problem] = ()) -> Page:
    """Answer ``GET /status``: everything."""
    code, verdict = health(snapshot.state, of_process)
    declared = snapshot.state.declared
    buses = declared.networks_by_bus()
    return 200, {
        "schema": SCHEMA,
        "version": daemon.version,
        **verdict,
        "health_status": code,
        "boot": declared.boot,
        "started": daemon.started,
        "now": snapshot.at,
        "recovery": daemon.settings.recovery,
        "health_interval": daemon.settings.health_interval,
        "networks": [
            _network(network, buses[network.bus], snapshot)
            for network in declared.networks.values()
        ],
    }


def _network(network: Network, on_bus: Sequence[Network], snapshot: Snapshot) -> Mapping[str, Any]:
    state, frames = snapshot.state, snapshot.frames
    link = state.observed.find(network.bus)
    last = snapshot.recoveries.get(network.bus)
    controller = snapshot.controllers.get(network.bus)
    return {
        "network": network.id,
        "bus": network.bus,
        "shares": [other.id for other in on_bus if other.id != network.id],
        "kind": network.kind,
        "owns_bus": network.owns_bus,
        "present": link is not None,
        "up": link is not None and link.up,
        "bridge": [_bridged(name, state.observed) for name in network.bridge],
        "peer_prefix": network.peer_prefix,
        "frames": {
            direction: count._asdict() for direction, count in frames.of_bus(network.bus).items()
        },
        "last_recovery": None if last is None else {"at": last.at, "what": last.what},
        "controller": None if controller is None else describe(controller),
        "wire": _wire(snapshot.times.get(network.bus)),
        "load": _load(snapshot.times.get(network.bus)),
        "faults": list(describe_faults(state, network.bus)),
        "endpoints": [
            _endpoint(endpoint, snapshot, frames)
            for endpoint in state.declared.endpoints_of(network.id)
        ],
    }


def _wire(time: BusTime | None) -> Mapping[str, Any] | None:
    """Write how fast a virtual bus is, and what its wire has counted."""
    if time is None or time.wire is None:
        return None
    return {
        "bitrate": time.wire.bitrate,
        "dbitrate": time.wire.dbitrate or None,
        **time.counted._asdict(),
    }


def _load(time: BusTime | None) -> Mapping[str, Any] | None:
    return None if time is None or time.load is None else time.load._asdict()


def _bridged(name: str, observed: Observed) -> Mapping[str, Any]:
    link = observed.find(name)
    return {"name": name, "present": link is not None, "up": link is not None and link.up}


def _endpoint(endpoint: Endpoint, snapshot: Snapshot, frames: Frames) -> Mapping[str, Any]:
    link = snapshot.state.observed.links.get(endpoint.host_end)
    return {
        "endpoint": endpoint.id,
        "phase": endpoint.phase,
        "host_end": endpoint.host_end,
        "present": link is not None,
        "up": link is not None and link.up,
        "peer_prefix": endpoint.peer_prefix,
        "altname": endpoint.altname,
        "frames": frames.of_endpoint(endpoint.id)._asdict(),
        "access": None if endpoint.access is None else _access(endpoint, snapshot),
    }


def _access(endpoint: Endpoint, snapshot: Snapshot) -> Mapping[str, Any]:
    """Write what an endpoint with limits may do, and what was denied to it."""
    denied = snapshot.denied.get(endpoint.id, Denied())
    return {
        **fields_of(endpoint.access),
        "filter_interface": endpoint.filter_interface,
        "denied": {"send": denied.send, "receive": denied.receive},
        "over_rate": denied.over_rate,
    }
