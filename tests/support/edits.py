"""What the engine's calls ask of the reconciler, without an engine."""

from __future__ import annotations

from evercan.intent import calls
from evercan.options.network import NetworkOptions
from evercan.reconcile.reconciler import Edit


def creating(
    network: str = "net", bus: str = "vcan0", options: NetworkOptions | None = None
) -> Edit:
    """Create a network on a bus, or with options of its own."""
    wanted = options or NetworkOptions(bus=bus)
    return lambda declared, observed: calls.create_network(declared, observed, network, wanted)


def joining(endpoint: str, network: str = "net") -> Edit:
    """Create an endpoint and join it."""
    return lambda declared, observed: calls.join(declared, observed, network, endpoint)
