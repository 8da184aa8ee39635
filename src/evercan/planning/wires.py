"""What has to happen for virtual buses with a bitrate to be as slow as a wire; pure.

Such a bus has a *wire*, an ``ifb`` interface of the host with one queue. Frames that members
send are redirected into it where they arrive on the host, and the wire puts them back there
one after another, each after the time that a wire of that bitrate takes for it. Only then
do rules forward them. So all members see one medium, and rules are as on any other bus.

Frames that rules have forwarded to the bus interface arrive there again, since it is a vcan;
they have passed the wire already. Those of programs of the host are recognized by their socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evercan.model.declared import Declared, Endpoint
from evercan.model.names import wire_names
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import MakeWire, SetWireEntry
from evercan.model.wire import Wire, WireEntry, WireSeen, parts_of
from evercan.planning.faults import host_members


def plan_wires(
    declared: Declared, observed: Observed, problems: list[Problem]
) -> Iterator[SetWireEntry | MakeWire]:
    """Plan the wires of all buses and what leads into them, and remove what no bus needs.

    Args:
        declared: what is wanted.
        observed: what exists.
        problems: gets what no step repairs.
    """
    wanted: set[int] = set()
    for bus, wire in declared.wires().items():
        yield from _plan_wire(observed, bus, wire, problems)
        endpoints = [
            endpoint
            for endpoint in declared.endpoints.values()
            if declared.networks[endpoint.network].bus == bus
        ]
        wanted |= {link.index for _, link in _ends(declared, observed, bus, endpoints)}
        yield from plan_wire_entries(declared, observed, bus, endpoints)
    yield from _plan_removals(declared, observed, wanted)


def plan_wire_entries(
    declared: Declared, observed: Observed, bus: str, endpoints: Iterable[Endpoint]
) -> Iterator[SetWireEntry]:
    """Plan what leads the frames of some endpoints, and of the host, into the wire of a bus."""
    if declared.wire_of(bus) is None:
        return
    pair = _existing(observed, bus)
    if pair is None:
        return
    wire, meter = pair
    for endpoint, link in _ends(declared, observed, bus, endpoints):
        entry = WireEntry(wire.index, meter.index, local=endpoint is None)
        if observed.wire_entries.get(link.index) == entry:
            continue
        if endpoint is None or endpoint.wants_pair:
            sender = None if endpoint is None else endpoint.id
            yield SetWireEntry(bus, sender, link.index, link.name, entry)


def _ends(
    declared: Declared, observed: Observed, bus: str, endpoints: Iterable[Endpoint]
) -> Iterator[tuple[Endpoint | None, Link]]:
    """Yield the interfaces on which frames of a bus arrive on the host."""
    for name in host_members(declared, bus):
        link = observed.find(name)
        if link is not None and link.is_can:
            yield None, link
    for endpoint in endpoints:
        link = observed.links.get(endpoint.rule_end)
        if link is not None and link.is_of_endpoint:
            yield endpoint, link


def _existing(observed: Observed, bus: str) -> tuple[Link, Link] | None:
    """Find the wire of a bus and its meter."""
    wire, meter = (observed.links.get(name) for name in wire_names(bus))
    if wire is None or meter is None or not (wire.is_wire and meter.is_wire):
        return None
    return wire, meter


def _plan_wire(
    observed: Observed, bus: str, wire: Wire, problems: list[Problem]
) -> Iterator[MakeWire]:
    names = wire_names(bus)
    links = [link for name in names if (link := observed.links.get(name)) is not None]
    foreign = next((link for link in links if not link.is_wire), None)
    if foreign is not None:
        problems.append(
            Problem(
                kind=ProblemKind.BUS_FOREIGN,
                bus=bus,
                text=f"the host's interface {foreign.name} is not evercan's, and the wire of {bus} "
                "needs that name",
                remedy=f"rename or remove it ('ip link del {foreign.name}')",
            )
        )
        return
    seen = None if len(links) < len(names) else observed.wires.get(links[0].index)
    if seen != WireSeen(wire, parts_of(wire)) or not all(link.up for link in links):
        yield MakeWire(bus, *names, wire, tuple(link.index for link in links))


def _plan_removals(
    declared: Declared, observed: Observed, wanted: set[int]
) -> Iterator[SetWireEntry]:
    """Plan to remove what leads into the wires that are about to be deleted."""
    if not observed.wire_entries:
        return
    named = {link.index: link for link in observed.links.values()}
    own = set(declared.pair_names()) | declared.host_interfaces()
    for index, entry in observed.wire_entries.items():
        link, wire = named.get(index), named.get(entry.wire)
        if index in wanted or link is None:
            continue
        if link.name in own or (wire is not None and wire.name in declared.retired):
            yield SetWireEntry("", None, index, link.name, None)
