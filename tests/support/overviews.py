"""Create status documents of the plugin, and the engine's lists that match them."""

from __future__ import annotations

from typing import Any

from evercan.cli.views.docker import DockerEndpoint, DockerNetwork
from evercan.cli.views.overview import Overview
from evercan.cli.views.status_document import parse_status
from tests.support.engine import engine_id

NOW = 1_790_000_100.0

NAMES = (
    "dashboard",
    "gateway",
    "logger",
    "abs-controller",
    "engine-control-unit",
    "body-computer",
    "airbag",
    "steering-angle-sensor",
    "climate",
    "telematics-unit-with-a-very-long-name",
    "battery",
    "charger",
)


def container_name(number: int) -> str:
    """Return the name of the n-th container, for any n."""
    round_, place = divmod(number, len(NAMES))
    return NAMES[place] if not round_ else f"{NAMES[place]}-{round_ + 1}"


def endpoint_document(name: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return an endpoint as in ``GET /status``, healthy unless ``more`` changes it."""
    endpoint = engine_id(name)
    return {
        "endpoint": endpoint,
        "phase": "joined",
        "host_end": f"vxcan{endpoint[:8]}",
        "present": True,
        "up": True,
        "peer_prefix": "can",
        "altname": None,
        "access": None,
        "frames": {"sent": 120 * number, "received": 4000 + number, "dropped": 0, "deleted": 0},
        **more,
    }


def network_document(name: str, members: int, *, bus: str = "vcan0", **more: Any) -> dict[str, Any]:
    """Return a network as in ``GET /status``, healthy unless ``more`` changes it."""
    nothing = {"handled": 0, "dropped": 0, "deleted": 0}
    return {
        "network": engine_id(name),
        "bus": bus,
        "shares": [],
        "kind": "virtual",
        "owns_bus": True,
        "present": True,
        "up": True,
        "bridge": [],
        "peer_prefix": "can",
        "frames": {
            "from_bus": {**nothing, "handled": 1200},
            "to_bus": {**nothing, "handled": 34567},
            "between_members": {**nothing, "handled": 456},
        },
        "last_recovery": None,
        "controller": None,
        "wire": None,
        "load": None,
        "faults": [],
        "endpoints": [
            endpoint_document(container_name(number), number) for number in range(members)
        ],
        **more,
    }


def status_document(*networks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a whole ``GET /status``."""
    reasons = more.get("reasons", [])
    return {
        "schema": 1,
        "version": "0.1.0",
        "healthy": not reasons,
        "health_status": 503 if reasons else 200,
        "reasons": reasons,
        "warnings": more.get("warnings", []),
        "boot": "b",
        "started": NOW - 7200,
        "now": NOW,
        "recovery": "auto",
        "health_interval": 30.0,
        "networks": list(networks),
        **more,
    }


def listed(name: str, members: int, *, first: int = 0, **options: str) -> DockerNetwork:
    """Return the same network as the engine lists it; its containers from the ``first`` name on."""
    names = map(container_name, range(first, first + members))
    return DockerNetwork(
        engine_id(name),
        name,
        options,
        tuple(DockerEndpoint(name, engine_id(name), {}, f"id-of-{name}") for name in names),
    )


def one_network(members: int, name: str = "powertrain", **more: Any) -> Overview:
    """Return an overview of one network; ``more`` is put into the status document."""
    return parse_status(
        "evercan:latest",
        [listed(name, members)],
        status_document(network_document(name, members), **more),
    )


def named(
    name: str, *containers: str, bus: str = "vcan0", **more: Any
) -> tuple[DockerNetwork, dict[str, Any]]:
    """Return a network of these containers as the engine lists it, and as in ``GET /status``."""
    members = tuple(
        DockerEndpoint(container, engine_id(container), {}, f"id-of-{container}")
        for container in containers
    )
    endpoints = [
        endpoint_document(container, number) for number, container in enumerate(containers)
    ]
    return (
        DockerNetwork(engine_id(name), name, {}, members),
        network_document(name, 0, bus=bus, **{"endpoints": endpoints, **more}),
    )


def overview_of(*networks: tuple[DockerNetwork, dict[str, Any]]) -> Overview:
    """Return an overview of networks that `named` returned."""
    documents = [document for _, document in networks]
    return parse_status(
        "evercan:latest", [network for network, _ in networks], status_document(*documents)
    )
