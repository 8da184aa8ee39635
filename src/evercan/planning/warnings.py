"""Finds what works and is probably not as its user expects; pure.

A warning does not make a bus unhealthy and blocks no container.
"""

from __future__ import annotations

from collections.abc import Iterator

from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import FD_MTU, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.planning.rules import is_host_rule


def find_warnings(declared: Declared, observed: Observed) -> tuple[Problem, ...]:
    """List the warnings about what is declared and exists."""
    return (
        *_buses_without_fd(declared, observed),
        *_ends_down(declared, observed),
        *_foreign_rules(declared, observed),
        *_names_ignored(declared, observed),
        *_faults(declared),
    )


def _buses_without_fd(declared: Declared, observed: Observed) -> Iterator[Problem]:
    """Warn of virtual buses of the host's own that carry classic frames only.

    ``tracking.lost_frames`` warns of a controller without FD once it could not take a frame.
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


def _foreign_rules(declared: Declared, observed: Observed) -> Iterator[Problem]:
    """Warn of rules of somebody else on a bus.

    can-gw forwards a frame only one time: a frame that somebody's rule has forwarded to a
    bus reaches no container, and a frame of a container is not forwarded from it.
    """
    outside, inside = _find_foreign_rules(declared, observed)
    for bus, others in outside.items():
        names = sorted(others)
        yield Problem(
            kind=ProblemKind.FOREIGN_RULES,
            bus=bus,
            text=f"can-gw rules that evercan did not add connect the bus {bus} with "
            f"{', '.join(names)}; can-gw forwards a frame only once, so that frames of containers "
            "do not pass them and what they forward does not reach containers",
            remedy="remove these rules ('cangw -L' lists them, 'cangw -D' removes one) and create "
            f"the network with vxcan.bridge={','.join(names)}",
        )
    for bus, members in inside.items():
        yield Problem(
            kind=ProblemKind.FOREIGN_RULES,
            bus=bus,
            text="can-gw rules that evercan did not add lead between the interfaces "
            f"{' and '.join(sorted(members))} of the bus {bus}, so that frames arrive there more "
            "than once",
            remedy="remove these rules: 'cangw -L' lists them, 'cangw -D' removes one",
        )


def _find_foreign_rules(
    declared: Declared, observed: Observed
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Find rules that evercan did not add on interfaces of the host that are members of buses.

    Rules of evercan's pairs are left out: it removes those that it did not add.

    Returns:
        By bus, the other interfaces that rules connect it with; and by bus, the interfaces
        of that bus between which rules lead that are not evercan's.
    """
    bus_of: dict[int, str] = {}
    for bus, bridged in declared.bridged().items():
        for name in (bus, *bridged):
            if (link := observed.find(name)) is not None:
                bus_of.setdefault(link.index, bus)
    names = {link.index: link.name for link in observed.links.values() if not link.is_of_endpoint}
    outside: dict[str, set[str]] = {}
    inside: dict[str, set[str]] = {}
    for rule, times in observed.rules.among(names, names):
        source, target = names[rule.source], names[rule.target]
        ends = bus_of.get(rule.source), bus_of.get(rule.target)
        if ends[0] != ends[1]:
            for end, other in zip(ends, (target, source), strict=True):
                if end is not None:
                    outside.setdefault(end, set()).add(other)
        elif ends[0] is not None and (times > 1 or not is_host_rule(rule)):
            inside.setdefault(ends[0], set()).update((source, target))
    return outside, inside


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


def _faults(declared: Declared) -> Iterator[Problem]:
    """Warn of faults that are set: the bus loses, delays or changes frames on purpose."""
    for fault in declared.faults:
        bus = declared.networks[fault.network].bus
        yield Problem(
            kind=ProblemKind.FAULT_INJECTED,
            bus=bus,
            text=f"a fault is set on {bus}: {fault.words(declared.endpoints)}",
            remedy="'evercan fault clear' removes it",
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
