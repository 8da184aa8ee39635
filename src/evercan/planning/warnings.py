"""Finds what works and is probably not as its user expects; pure.

A warning does not make a bus unhealthy and blocks no container.
"""

from __future__ import annotations

from collections.abc import Iterator

from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import FD_MTU, Observed
from evercan.model.problems import Problem, ProblemKind


def find_warnings(declared: Declared, observed: Observed) -> tuple[Problem, ...]:
    """List the warnings about what is declared and exists."""
    return (
        *_buses_without_fd(declared, observed),
        *_ends_down(declared, observed),
        *_names_ignored(declared, observed),
    )


def _buses_without_fd(declared: Declared, observed: Observed) -> Iterator[Problem]:
    """Warn of virtual buses of the host's own that carry classic frames only.

    A controller without FD is what it is; ``tracking.lost_frames`` reports frames that it
    cannot take.
    """
    for bus, networks in declared.networks_by_bus().items():
        link = observed.find(bus)
        if link is None or link.is_ours or networks[0].kind is not BusKind.VIRTUAL:
            continue
        if link.mtu < FD_MTU:
            yield Problem(
                kind=ProblemKind.BUS_NO_FD,
                bus=bus,
                text=f"the bus interface {bus} has MTU {link.mtu}, so that FD frames do not reach "
                "it and it sends none",
                remedy="if FD frames are needed, on the host run "
                f"'ip link set {bus} down; ip link set {bus} mtu {FD_MTU} up'",
            )


def _ends_down(declared: Declared, observed: Observed) -> Iterator[Problem]:
    """Warn of containers whose own end of a pair is down."""
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        # Known to have been up: while the engine moves an end it is down for a moment.
        if link is None or endpoint.phase is not Phase.JOINED or link.known_nsid is None:
            continue
        if endpoint.id not in observed.locations:
            continue
        if link.up and not link.running:
            yield Problem(
                kind=ProblemKind.END_DOWN,
                bus=declared.networks[endpoint.network].bus,
                endpoint=endpoint.id,
                text=f"the interface inside the container of endpoint {endpoint.id[:12]} is down, "
                "so that it neither sends nor receives",
                remedy="something in the container set it down: bring it up there with "
                "'ip link set NAME up', or restart the container",
            )


def _names_ignored(declared: Declared, observed: Observed) -> Iterator[Problem]:
    """Warn of interfaces that do not have the name that the engine was asked to give them."""
    for endpoint in declared.endpoints.values():
        location = observed.locations.get(endpoint.id)
        if endpoint.phase is not Phase.JOINED or endpoint.ifname is None or location is None:
            continue
        if location.name != endpoint.ifname:
            yield Problem(
                kind=ProblemKind.IFNAME_IGNORED,
                bus=declared.networks[endpoint.network].bus,
                endpoint=endpoint.id,
                text=f"the interface of endpoint {endpoint.id[:12]} is called "
                f"{location.name} in its container, not {endpoint.ifname} as asked",
                remedy="engines before 29.8 ignore the name: set EVERCAN_ENGINE_IFNAME=off, and "
                "use vxcan.peer or vxcan.name; or something in the container renamed it",
            )
