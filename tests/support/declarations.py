"""Networks, endpoints and declared states in few words."""

from __future__ import annotations

from collections.abc import Iterable

from evercan.model.declared import BusKind, Declared, Endpoint, Network, Phase


def network(name: str = "net", bus: str = "vcan0", *, owns_bus: bool = True) -> Network:
    """Return a network on a vcan that evercan created."""
    return Network(id=name, bus=bus, owns_bus=owns_bus)


def physical(name: str = "net", bus: str = "can0") -> Network:
    """Return a network on a CAN controller."""
    return Network(id=name, bus=bus, kind=BusKind.PHYSICAL)


def endpoint(name: str, network: str = "net", phase: Phase = Phase.JOINED) -> Endpoint:
    """Return an endpoint whose pair is ``vxcanNAME`` and ``vxcanNAMEp``."""
    return Endpoint(
        id=name,
        network=network,
        host_end=f"vxcan{name}",
        container_end=f"vxcan{name}p",
        peer_prefix="vcanp",
        phase=phase,
    )


def declare(
    networks: Iterable[Network] = (),
    endpoints: Iterable[Endpoint] = (),
    *,
    boot: str = "boot-1",
    retired: Iterable[str] = (),
) -> Declared:
    """Return a declared state of these."""
    return Declared(
        boot=boot,
        networks={network.id: network for network in networks},
        endpoints={endpoint.id: endpoint for endpoint in endpoints},
        retired=frozenset(retired),
    )
