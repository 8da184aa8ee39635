"""The invariants of evercan, checked against what the kernel shows and nothing else.

Written without the planner, so that a mistake in its mesh is found here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import permutations

from evercan.model.declared import Declared, Phase
from evercan.model.names import wire_names
from evercan.model.observed import Observed
from evercan.model.wire import WireEntry, WireSeen, parts_of

CLASSIC, FD = "classic", "FD"

_ECHO, _IIF_TX_OK, _FD = 0x01, 0x04, 0x08


def paths(observed: Observed) -> Counter[tuple[str, str, str]]:
    """Count the rules by source, target and kind of frame, in interface names."""
    name = {link.index: link.name for link in observed.links.values()}
    counted: Counter[tuple[str, str, str]] = Counter()
    for rule, times in observed.rules.items():
        kind = FD if rule.flags & _FD else CLASSIC
        counted[name[rule.source], name[rule.target], kind] += times
    return counted


def full_mesh(members: Collection[str]) -> Counter[tuple[str, str, str]]:
    """Return what ``paths`` shows of a bus whose members all receive each other exactly once."""
    return Counter(
        (source, target, kind)
        for source, target in permutations(members, 2)
        for kind in (CLASSIC, FD)
    )


def assert_exactly_once(
    observed: Observed, bus: str, *host_ends: str, bridged: Collection[str] = ()
) -> None:
    """Assert that these are all members of a bus, and that no rule leads out of it.

    The rules of a host end that left, and is down, forward nothing (``can_can_gw_rcv``).
    """
    members = {bus, *bridged, *host_ends}
    left = {link.name for link in observed.links.values() if link.is_of_endpoint and not link.up}
    left -= members
    touching = {
        path: times
        for path, times in paths(observed).items()
        if members & {path[0], path[1]} and not left & {path[0], path[1]}
    }
    assert touching == dict(full_mesh(sorted(members)))
    assert_flags(observed, bus, members, bridged=bridged)


def assert_flags(
    observed: Observed, bus: str, members: Collection[str], *, bridged: Collection[str] = ()
) -> None:
    """Assert that programs on the host receive the bus, and that there are no other echoes."""
    indexes = {observed.links[name].index for name in members}
    hosts = {observed.links[name].index for name in (bus, *bridged)}
    for rule in observed.rules:
        if {rule.source, rule.target} <= indexes and rule.source != rule.target:
            assert rule.hops == 1
            assert rule.flags & _IIF_TX_OK
            assert bool(rule.flags & _ECHO) == (rule.target in hosts)


def assert_healthy(declared: Declared, observed: Observed) -> None:
    """Assert that every declared bus that exists carries each frame once to its members."""
    for bus, networks in declared.networks_by_bus().items():
        ids = {network.id for network in networks}
        host_ends = [
            endpoint.rule_end
            for endpoint in declared.endpoints.values()
            if endpoint.network in ids and endpoint.phase in (Phase.OFFERED, Phase.JOINED)
        ]
        present = [name for name in host_ends if name in observed.links]
        bridged = {name for network in networks for name in network.bridge} & {*observed.links}
        if bus in observed.links:
            assert_exactly_once(observed, bus, *present, bridged=bridged)
            assert_slow(declared, observed, bus, *present)


def assert_slow(declared: Declared, observed: Observed, bus: str, *ends: str) -> None:
    """Assert that frames of a bus with a bitrate pass through its wire, and those of others none.

    Args:
        declared: what is wanted.
        observed: what exists.
        bus: the bus interface.
        ends: the interfaces of its members.
    """
    wire = declared.wire_of(bus)
    led = {
        name: entry
        for name in (bus, *ends)
        if (entry := observed.wire_entries.get(observed.links[name].index)) is not None
    }
    if wire is None:
        assert led == {}
        return
    index, meter = (observed.links[name].index for name in wire_names(bus))
    assert observed.wires[index] == WireSeen(wire, parts_of(wire))
    assert led == {name: WireEntry(index, meter, name == bus) for name in (bus, *ends)}


def assert_nothing_left_over(declared: Declared, observed: Observed) -> None:
    """Assert that each of evercan's interfaces on the host belongs to something declared."""
    wanted = {network.bus for network in declared.networks.values()}
    for network in declared.networks.values():
        if network.wire is not None:
            wanted.update(wire_names(network.bus))
    for endpoint in declared.endpoints.values():
        if endpoint.phase is not Phase.DORMANT:
            wanted |= {*endpoint.host_interfaces, endpoint.container_end}
    ours = {name for name, link in observed.links.items() if link.is_ours}
    assert ours <= wanted
