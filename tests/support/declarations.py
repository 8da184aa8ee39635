"""Networks, endpoints and records in few words."""

from __future__ import annotations

from collections.abc import Iterable

from evercan.model.declared import BusKind, Declared, Endpoint, Network, Phase


def network(name: str = "net", bus: str = "vcan0", *, owns_bus: bool = True) -> Network:
    """A network on a vcan of evercan's own."""
    return Network(id=name, bus=bus, owns_bus=owns_bus)


def physical(name: str = "net", bus: str = "can0") -> Network:
    """A network on a CAN controller."""
    return Network(id=name, bus=bus, kind=BusKind.PHYSICAL)


def endpoint(name: str, network: str = "net", phase: Phase = Phase.JOINED) -> Endpoint:
    """An endpoint whose pair is ``vxcanNAME`` and ``vxcanNAMEp``."""
    return Endpoint(
        id=name,
        network=network,
        host_end=f"vxcan{name}",
        container_end=f"vxcan{name}p",
        peer_prefix="vcanp",
        phase=phase,
    )


def record(
    networks: Iterable[Network] = (),
    endpoints: Iterable[Endpoint] = (),
    *,
    boot: str = "boot-1",
    retired: Iterable[str] = (),
) -> Declared:
    return Declared(
        boot=boot,
        networks={each.id: each for each in networks},
        endpoints={each.id: each for each in endpoints},
        retired=frozenset(retired),
    )
