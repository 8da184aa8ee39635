"""Which bridged interfaces of the host (``vxcan.bridge``) can be members of a bus; pure.

Like a controller without settings, a bridged interface is waited for and used as it is:
evercan neither creates, configures, brings up nor deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from evercan.model.declared import Declared
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.planning.bus_off import plan_bus_off


def plan_bridge(
    declared: Declared,
    observed: Observed,
    bus: str,
    names: Iterable[str],
    owner: dict[int, str],
    problems: list[Problem],
) -> list[Link]:
    """Return the bridged interfaces of a bus that can get rules; report the others.

    Args:
        declared: what is wanted.
        observed: what exists.
        bus: the bus interface.
        names: the bridged interfaces that its networks ask for.
        owner: the bus that each interface of the host is a member of, by ifindex; the ones
            that are found are added.
        problems: gets what is wrong.
    """
    found: list[Link] = []
    pairs = declared.pair_names()
    for name in names:
        link = observed.find(name)
        if link is None:
            problems.append(_absent(bus, name))
            continue
        other = owner.get(link.index)
        if other == bus:
            continue  # another name of a member
        if not link.is_can:
            problems.append(_foreign(bus, name, "is no CAN interface", "rename it"))
        elif link.name in pairs or link.is_of_endpoint:
            problems.append(_foreign(bus, name, "is a container's CAN interface", "rename it"))
        elif other is not None:
            remedy = f"remove the networks on one of the two buses, or create those on {bus} "
            remedy += f"without {name} in vxcan.bridge"
            problems.append(_foreign(bus, name, f"is a member of the bus {other} already", remedy))
        else:
            if link.up:
                # The host configures it, so that no step is planned for it.
                plan_bus_off(bus, link, None, observed, [], problems)
            else:
                problems.append(_down(bus, link))
            owner[link.index] = bus
            found.append(link)
    return found


def _absent(bus: str, name: str) -> Problem:
    return Problem(
        kind=ProblemKind.BRIDGE_ABSENT,
        bus=bus,
        text=f"the interface {name}, which vxcan.bridge makes a member of {bus}, is absent",
        remedy="create it or plug it in; evercan adds its rules as soon as it appears",
    )


def _down(bus: str, link: Link) -> Problem:
    remedy = f"on the host run 'ip link set {link.name} up'"
    if link.controller is not None:
        remedy += " ('… type can bitrate N')"
    return Problem(
        kind=ProblemKind.BRIDGE_DOWN,
        bus=bus,
        text=f"the interface {link.name}, which vxcan.bridge makes a member of {bus}, is down, "
        "and evercan does not configure it",
        remedy=remedy,
    )


def _foreign(bus: str, name: str, why: str, remedy: str) -> Problem:
    return Problem(
        kind=ProblemKind.BRIDGE_FOREIGN,
        bus=bus,
        text=f"the interface {name}, which vxcan.bridge makes a member of {bus}, {why}",
        remedy=remedy,
    )
