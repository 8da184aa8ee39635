"""The log lines of the engine's calls: what a call finds, and what its user should know."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from evercan.errors import named
from evercan.log.writer import about
from evercan.model.declared import Endpoint, Network, Phase
from evercan.model.state import State
from evercan.options.network import AUTO, DEV, ID

_log = logging.getLogger(__name__)


def join_finds(state: State, network_id: str, endpoint_id: str) -> None:
    """Log whether a Join restores an endpoint or finds it as CreateEndpoint has left it."""
    known: Endpoint | None = state.declared.endpoints.get(endpoint_id)
    interface = {} if known is None else {"interface": known.host_end}
    fields = about(network=network_id, endpoint=endpoint_id, **interface)
    if network_id in state.declared.networks and (known is None or known.phase is Phase.DORMANT):
        _log.info(
            "Endpoint %s not found in memory (likely post-reboot), recreating",
            endpoint_id[:12],
            extra=fields,
        )
    elif known is not None and known.host_end in state.observed.links:
        _log.info("Interface %s already exists, no recreation needed", known.host_end, extra=fields)


def foreign_options(network_id: str, options: Mapping[str, object]) -> None:
    """Warn of options that are not evercan's; others may be of the engine or of other drivers."""
    foreign = [key for key in options if not key.startswith("vxcan.")]
    if foreign:
        _log.warning(
            "Options that are not evercan's are ignored: %s",
            ", ".join(map(named, sorted(foreign))),
            extra=about(network=network_id),
        )


def shared_bus(state: State, network: Network, options: Mapping[str, object]) -> None:
    """Log which networks have the bus of a new one: their containers hear each other."""
    on_bus = state.declared.networks_by_bus()[network.bus]
    others = [other.id for other in on_bus if other.id != network.id]
    if not others:
        return
    fields = about(network=network.id, interface=network.bus)
    shared = ", ".join(other[:12] for other in others)
    if DEV in options or ID in options:
        _log.info(
            "Network %s shares %s with %s", network.id[:12], network.bus, shared, extra=fields
        )
        return
    _log.warning(
        "Network %s shares %s with %s, because it has no %s: their containers receive each "
        "other's frames; for a bus of its own create it with %s=%s",
        network.id[:12],
        network.bus,
        shared,
        ID,
        ID,
        AUTO,
        extra=fields,
    )


def published_by_bus(network_id: str, endpoint_id: str, ports: str) -> None:
    """Log that ports are published by way of a bus.

    No call says which other networks a container has, on which ports are published as usual.
    """
    _log.warning(
        "The container of endpoint %s publishes ports (%s), and a CAN bus has no IP: if it "
        "is on no other network, nothing is published; add an IP network, in compose "
        "'default' under the service's networks",
        endpoint_id[:12],
        ports,
        extra=about(network=network_id, endpoint=endpoint_id),
    )
