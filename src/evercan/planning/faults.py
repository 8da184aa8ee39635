"""Which queues make the faults that are declared, and the steps to them; pure.

A frame reaches a member through one interface of the host: the host end of a container's pair,
or the bus interface or a bridged interface itself. A fault is made by a queue there, which puts
the frames that the fault is about into a band of their own. They are known by their CAN id and
by the interface from which a rule has forwarded them (``skb_iif``).

A member with limits receives through its filter interface, from which frames are redirected to
the host end. That makes the filter interface the one they come from, so the frames of a fault
are marked before (``FaultQueue.matches`` is then read and set on the filter interface).

A vcan delivers what it sends to programs on the host before any queue. Only a frame that the
queue refuses is not delivered (``can_send``), so a fault of frames to a vcan can lose them, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from evercan.model.access import EFF_FLAG
from evercan.model.declared import Declared
from evercan.model.fault import (
    WHOLE,
    Effect,
    Fault,
    FaultMatch,
    FaultQueue,
    Netem,
)
from evercan.model.observed import Link, Observed
from evercan.model.steps import SetFaults, Step
from evercan.options.fault import entries_of
from evercan.values import NamedTuple

_ERR_FLAG = 0x2000_0000  # CAN_ERR_FLAG: such a frame has no id
_EVERY = 0xFFFF_FFFF
_FRAMES_PER_SECOND = 20_000
"""More than a bus carries: as many frames as may arrive while others are delayed."""
_MIN_WAITING, _MAX_WAITING = 1_000, 1_000_000
_MAX_CLASSIFIERS = 24
"""Classifiers that together make one probability; a usual one takes two or three."""
_MAX_ONE_IN = 0xFFFF
_LOCAL = FaultMatch(0, local=True)
"""What programs of the host send on the receiver itself goes to all others, and has no fault."""


class Receiver(NamedTuple):
    """A member of a bus as the receiver of frames.

    Attributes:
        bus: the bus interface.
        endpoint: the endpoint id; None for an interface of the host.
        link: the interface that leads to it.
        marker: the ifindex of its filter interface, on which its frames are marked; 0 if it
            has no limits.
    """

    bus: str
    endpoint: str | None
    link: Link
    marker: int


def host_members(declared: Declared, bus: str) -> tuple[str, ...]:
    """Return the interfaces of the host that are members of a bus; the bus interface is first."""
    return tuple(dict.fromkeys((bus, *declared.bridged().get(bus, ()))))


def fault_members(declared: Declared, bus: str) -> dict[str, str]:
    """Return the members of a bus that a fault can name, and the interface that each sends from.

    A member is an endpoint id, or the name of an interface of the host.
    """
    hosts = {name: name for name in host_members(declared, bus)}
    return hosts | {
        endpoint.id: endpoint.rule_end
        for endpoint in declared.endpoints.values()
        if declared.networks[endpoint.network].bus == bus and endpoint.wants_pair
    }


def faults_of(declared: Declared, bus: str) -> list[Fault]:
    """Return the faults on a bus, in the order in which they were set."""
    return [fault for fault in declared.faults if declared.networks[fault.network].bus == bus]


def wanted_queues(declared: Declared, observed: Observed) -> dict[int, tuple[Receiver, FaultQueue]]:
    """Return the queue of each interface that is to have one, by ifindex."""
    found: dict[int, tuple[Receiver, FaultQueue]] = {}
    if not declared.faults:
        return found
    for bus in declared.networks_by_bus():
        # Of two faults about the same frame the one that was set last decides.
        faults = faults_of(declared, bus)[::-1]
        if not faults:
            continue
        senders = fault_members(declared, bus)
        for receiver in fault_receivers(declared, observed, bus):
            queue = _queue_of(receiver, faults, senders, observed)
            if queue.bands:
                found[receiver.link.index] = (receiver, queue)
    return found


def plan_faults(declared: Declared, observed: Observed) -> Iterator[Step]:
    """Plan the queues of all interfaces, and remove those that no fault needs any more."""
    if not (declared.faults or observed.fault_queues):
        return
    wanted = wanted_queues(declared, observed)
    for index, (receiver, queue) in wanted.items():
        former = observed.fault_queues.get(index)
        if former != queue:
            yield _step(receiver, queue, former)
    known = None
    for index, former in observed.fault_queues.items():
        if index in wanted:
            continue
        if known is None:
            known = _known_receivers(declared, observed)
        if index in known:
            yield _step(known[index], None, former)


def _step(receiver: Receiver, queue: FaultQueue | None, former: FaultQueue | None) -> SetFaults:
    link = receiver.link
    return SetFaults(
        receiver.bus, receiver.endpoint, link.index, link.name, receiver.marker, queue, former
    )


def _known_receivers(declared: Declared, observed: Observed) -> dict[int, Receiver]:
    """Return the interfaces whose queues for faults are evercan's, by ifindex."""
    known = {
        link.index: Receiver("", None, link, 0)
        for link in observed.links.values()
        if link.index in declared.fault_queues
    }
    for endpoint in declared.endpoints.values():
        if (link := observed.links.get(endpoint.host_end)) is not None and link.is_pair:
            bus = declared.networks[endpoint.network].bus
            known[link.index] = Receiver(
                bus, endpoint.id, link, _marker(observed, endpoint.filter_interface)
            )
    for bus in declared.networks_by_bus():
        for name in host_members(declared, bus):
            if (link := observed.find(name)) is not None:
                known[link.index] = Receiver(bus, None, link, 0)
    return known


def fault_receivers(declared: Declared, observed: Observed, bus: str) -> Iterator[Receiver]:
    """Yield the members of a bus that receive frames."""
    for name in host_members(declared, bus):
        link = observed.find(name)
        if link is not None and link.is_can:
            yield Receiver(bus, None, link, 0)
    for endpoint in declared.endpoints.values():
        if declared.networks[endpoint.network].bus != bus or not endpoint.is_member:
            continue
        link = observed.links.get(endpoint.host_end)
        marker = _marker(observed, endpoint.filter_interface)
        # With limits and without its filter interface no frame reaches it.
        if link is not None and link.is_pair and (marker or endpoint.filter_interface is None):
            yield Receiver(bus, endpoint.id, link, marker)


def _marker(observed: Observed, filter_interface: str | None) -> int:
    link = observed.links.get(filter_interface or "")
    return 0 if link is None else link.index


def _queue_of(
    receiver: Receiver, faults: list[Fault], senders: dict[str, str], observed: Observed
) -> FaultQueue:
    """Return the queue of a receiver, without its counters."""
    bands: list[tuple[int, Netem | None]] = []
    matches: list[FaultMatch] = []
    for fault in faults:
        source = senders.get(fault.source, "")
        link = observed.find(source)
        if fault.source and (link is None or fault.source == receiver.endpoint):
            continue  # it is not there yet, or frames do not return to their sender
        if fault.target and not _is(receiver, fault.target, observed):
            continue
        name = link.name if link is not None and fault.source else ""
        if name == receiver.link.name:
            continue
        about = [FaultMatch(fault.slot, name, can_id, mask) for can_id, mask in _entries(fault.ids)]
        if not receiver.link.delivers_before_queue:
            bands.append((fault.slot, _netem(fault.effect)))
            matches += about
        elif fault.effect.loss:
            bands.append((fault.slot, None))
            matches += [part for match in about for part in _at_random(match, fault.effect)]
    if receiver.endpoint is None and any(not match.source for match in matches):
        matches.insert(0, _LOCAL)
    return FaultQueue(tuple(sorted(bands, key=_slot)), tuple(matches))


def _slot(band: tuple[int, Netem | None]) -> int:
    return band[0]


def _is(receiver: Receiver, member: str, observed: Observed) -> bool:
    if receiver.endpoint is not None:
        return receiver.endpoint == member
    return observed.find(member) == receiver.link


def _entries(ids: str) -> Iterator[tuple[int, int]]:
    """Yield what is compared of ``canid_t``; error frames have no id, and match no list."""
    if not ids:
        yield 0, 0
    for can_id, mask in entries_of(ids):
        yield can_id, mask | EFF_FLAG | _ERR_FLAG


def _netem(effect: Effect) -> Netem:
    waiting = (effect.delay + effect.jitter) * _FRAMES_PER_SECOND // 1_000_000
    return Netem(
        loss=_probability(effect.loss),
        duplicate=_probability(effect.duplicate),
        corrupt=_probability(effect.corrupt),
        delay=effect.delay * 1000,
        jitter=effect.jitter * 1000,
        limit=min(max(waiting, _MIN_WAITING), _MAX_WAITING),
    )


def _probability(part: int) -> int:
    return (part * _EVERY + WHOLE // 2) // WHOLE


def _at_random(match: FaultMatch, effect: Effect) -> Iterator[FaultMatch]:
    """Yield classifiers that put a part of the frames into a band, and let the others pass.

    The kernel chooses one frame of N at random, for a whole N. So a part is made of several
    choices one after another, each of what the former have left.
    """
    part, whole = effect.loss, WHOLE
    for _ in range(_MAX_CLASSIFIERS):
        one_in = -(-whole // part)  # the smallest that is not too often
        if one_in > _MAX_ONE_IN:
            break
        yield match._replace(one_in=0 if one_in == 1 else one_in)
        if one_in == 1:
            return
        part, whole = one_in * part - whole, whole * (one_in - 1)
        if not part:
            break
    yield match._replace(slot=0)  # an earlier fault does not get them
