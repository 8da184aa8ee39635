"""What an operator sees: the plan that is not applied, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evercan.reconciler import State


def health(state: State) -> tuple[int, Mapping[str, Any]]:
    """Answer ``GET /health``: 200 when every bus is whole, else 503 with the reasons."""
    reasons = [
        {"bus": each.bus, "endpoint": each.endpoint, "kind": each.kind, "text": each.text}
        for each in state.problems
    ]
    return (503 if reasons else 200), {"healthy": not reasons, "reasons": reasons}


def status(state: State) -> tuple[int, Mapping[str, Any]]:
    """Answer ``GET /status``: every network with its bus and its members."""
    declared, observed = state.declared, state.observed
    networks = []
    for network in declared.networks.values():
        link = observed.find(network.bus)
        members = [
            {
                "endpoint": each.id,
                "phase": each.phase,
                "host_end": each.host_end,
                "present": each.host_end in observed.links,
            }
            for each in declared.endpoints_of(network.id)
        ]
        networks.append(
            {
                "network": network.id,
                "bus": network.bus,
                "kind": network.kind,
                "owns_bus": network.owns_bus,
                "present": link is not None,
                "up": link is not None and link.up,
                "endpoints": members,
            }
        )
    code, verdict = health(state)
    return 200, {**verdict, "networks": networks, "boot": declared.boot, "health_status": code}
