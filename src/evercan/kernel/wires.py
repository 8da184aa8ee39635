"""Makes wires, and reads what the kernel has of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping

from evercan.kernel import links, wire_classifiers, wire_dumps, wire_entries, wire_queues
from evercan.kernel.netlink import NetlinkSocket, Reply
from evercan.kernel.qdiscs import list_queues
from evercan.kernel.tc import make_qdisc, remove_all
from evercan.model.names import METER_SUFFIX
from evercan.model.observed import Link
from evercan.model.steps import MakeWire, SetWireEntry
from evercan.model.wire import WireCount, WireEntry, WireSeen
from evercan.values import NamedTuple

_FIRST_KERNEL = (5, 19)
"""Older ones choose a queue of an interface after ``skbedit`` has (``netdev_core_pick_tx``)."""


class Wires(NamedTuple):
    """What the kernel has of wires; fields as of ``Observed``."""

    seen: Mapping[int, WireSeen]
    counts: Mapping[int, WireCount]
    entries: Mapping[int, WireEntry]


def read_wires(netlink: NetlinkSocket, named: Mapping[str, Link]) -> Wires | None:
    """Read the wires of the host and what leads into them; None, for nothing, without a wire."""
    pairs = {
        link.index: named.get(f"{link.name}{METER_SUFFIX}")
        for link in named.values()
        if link.is_wire and not link.name.endswith(METER_SUFFIX)
    }
    if not pairs:
        return None
    queues = netlink.read(list_queues(), wire_dumps.decode_queues)
    seen = {}
    for index, meter in pairs.items():
        parts = queues.parts.get(index, 0)
        for request in wire_classifiers.list_classifiers(
            index, 0 if meter is None else meter.index
        ):
            parts += netlink.read(request, wire_dumps.count_classifiers)
        seen[index] = WireSeen(queues.wires.get(index), parts)
    classified = (link for link in named.values() if link.index in queues.classified)
    return Wires(seen, queues.counts, read_wire_entries(netlink, classified))


def read_wire_entries(netlink: NetlinkSocket, found: Iterable[Link]) -> dict[int, WireEntry]:
    """Read what leads into wires from interfaces, by ifindex of those that have it."""
    entries = {}
    for link in found:
        if link.is_can:
            entry = netlink.read(wire_entries.list_entries(link.index), wire_entries.decode)
            if entry is not None:
                entries[link.index] = entry
    return entries


def make_wire(netlink: NetlinkSocket, step: MakeWire) -> Reply:
    """Create a wire and its meter; if anything is rejected, delete them again.

    Returns:
        The kernel's answer; EOPNOTSUPP with the module's name if a module is missing.
    """
    if _kernel_version() < _FIRST_KERNEL:
        return Reply(errno.ENOSYS, f"Linux {os.uname().release} is older than 5.19")
    netlink.batch([links.delete(index) for index in step.former])
    names = (step.name, step.meter)
    answers = netlink.batch([links.make_ifb(step.name, 2), links.make_ifb(step.meter, 1)])
    made = [name for name, answer in zip(names, answers, strict=True) if not answer.code]
    rejected = next((answer for answer in answers if answer.code), None)
    if rejected is not None and rejected.code == errno.EOPNOTSUPP:
        rejected = Reply(errno.EOPNOTSUPP, "ifb")
    found = [index for name in made if (index := _index(netlink, name)) is not None]
    if rejected is None and len(found) == len(names):
        rejected = _fill(netlink, step, *found)
    if rejected is not None:
        netlink.batch(map(links.delete, found))
        return rejected
    return Reply(0)


def _fill(netlink: NetlinkSocket, step: MakeWire, index: int, meter: int) -> Reply | None:
    """Add the queues and classifiers; return why the kernel rejected one."""
    for requests, modules in (
        (wire_queues.queue_requests(index, step.wire), wire_queues.QUEUE_MODULES),
        (
            wire_classifiers.classifier_requests(index, meter, step.wire),
            wire_classifiers.CLASSIFIER_MODULES,
        ),
    ):
        for request, answer in zip(requests, netlink.batch(requests), strict=True):
            if answer.code == errno.ENOENT:
                module = wire_classifiers.module_of(request, answer.words, modules)
                return Reply(errno.EOPNOTSUPP, module)
            if answer.code:
                return answer
    return None


def set_wire_entry(netlink: NetlinkSocket, step: SetWireEntry) -> Reply:
    """Make frames that arrive on an interface pass through a wire, or end that.

    A ``clsact`` that has no classifier then is removed too.

    Returns:
        The kernel's answer; EOPNOTSUPP with the module's name if a module is missing.
    """
    netlink.batch([wire_entries.remove(step.index)])
    if step.entry is None:
        if not any(
            netlink.read(request, wire_dumps.count_classifiers)
            for request in wire_entries.list_both(step.index)
        ):
            netlink.batch([remove_all(step.index)])
        return Reply(0)
    made, added = netlink.batch([make_qdisc(step.index), wire_entries.add(step.index, step.entry)])
    if made.code not in (0, errno.EEXIST):
        return Reply(errno.EOPNOTSUPP, "sch_ingress") if made.code == errno.ENOENT else made
    if added.code == errno.ENOENT:
        return Reply(errno.EOPNOTSUPP, wire_entries.module_of(step.entry, added.words))
    return added


def _index(netlink: NetlinkSocket, name: str) -> int | None:
    answer, _ = netlink.request(links.get_by_name(name))
    found = None if answer is None else next(links.decode_links([answer]), None)
    return None if found is None or not found.is_wire else found.index


def _kernel_version() -> tuple[int, ...]:
    numbers = os.uname().release.split(".")[:2]
    return tuple(int("".join(filter(str.isdigit, number)) or 0) for number in numbers)
