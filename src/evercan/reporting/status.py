"""What an operator sees: the plan that is not applied, as JSON; pure.

The schema of ``/status`` is ``docs/status.schema.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from evercan.controller_view import describe
from evercan.frames import Frames
from evercan.model import Endpoint, Network
from evercan.settings import Settings
from evercan.state import Snapshot, State
from evercan.troubles import Trouble

SCHEMA = 1
"""Version of what ``/status`` answers; raised when a field changes its meaning or goes."""

Page = tuple[int, Mapping[str, Any]]
"""The HTTP status, and the document."""


class Daemon(NamedTuple):
    """What an operator may ask of the process itself.

    Attributes:
        version: of evercan.
        started: when, in seconds since the epoch.
        settings: how it runs.
    """

    version: str
    started: float
    settings: Settings


def health(state: State) -> Page:
    """Answer ``GET /health``: 200 when every bus is whole, else 503 with the reasons."""
    reasons = [
        {"bus": each.bus, "endpoint": each.endpoint, "kind": each.kind, "text": each.text}
        for each in state.problems
    ]
    return (503 if reasons else 200), {"healthy": not reasons, "reasons": reasons}


def blind(why: str) -> Page:
    """Answer ``GET /health`` when the kernel cannot be looked at."""
    reason = {"bus": "", "endpoint": None, "kind": Trouble.REFUSED, "text": why}
    return 503, {"healthy": False, "reasons": [reason]}


def status(daemon: Daemon, snapshot: Snapshot) -> Page:
    """Answer ``GET /status``: the whole picture."""
    code, verdict = health(snapshot.state)
    declared = snapshot.state.declared
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
        "networks": [_network(each, snapshot) for each in declared.networks.values()],
    }


def _network(network: Network, snapshot: Snapshot) -> Mapping[str, Any]:
    state, frames = snapshot.state, snapshot.frames
    link = state.observed.find(network.bus)
    last = snapshot.recoveries.get(network.bus)
    controller = snapshot.controllers.get(network.bus)
    return {
        "network": network.id,
        "bus": network.bus,
        "kind": network.kind,
        "owns_bus": network.owns_bus,
        "present": link is not None,
        "up": link is not None and link.up,
        "peer_prefix": network.peer_prefix,
        "frames": {
            direction: count._asdict() for direction, count in frames.of_bus(network.bus).items()
        },
        "last_recovery": None if last is None else {"at": last.at, "what": last.what},
        "controller": None if controller is None else describe(controller),
        "endpoints": [
            _endpoint(each, snapshot, frames) for each in state.declared.endpoints_of(network.id)
        ],
    }


def _endpoint(endpoint: Endpoint, snapshot: Snapshot, frames: Frames) -> Mapping[str, Any]:
    link = snapshot.state.observed.links.get(endpoint.host_end)
    return {
        "endpoint": endpoint.id,
        "phase": endpoint.phase,
        "host_end": endpoint.host_end,
        "present": link is not None,
        "up": link is not None and link.up,
        "altname": endpoint.altname,
        "frames": frames.of_endpoint(endpoint.id)._asdict(),
    }
