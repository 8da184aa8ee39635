"""Reads and changes the queues that make faults."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from functools import partial

from evercan.kernel import fault_classifiers, qdiscs
from evercan.kernel.netlink import NetlinkSocket, Reply
from evercan.model.fault import FaultMatch, FaultQueue
from evercan.model.names import filter_interface_of
from evercan.model.observed import Link
from evercan.model.steps import SetFaults


def read_fault_queues(netlink: NetlinkSocket, links: Mapping[str, Link]) -> dict[int, FaultQueue]:
    """Read the queues of evercan's for faults, by ifindex; costs nothing if there are none."""
    candidates = {link.index: link for link in links.values() if link.may_have_faults}
    if not candidates:
        return {}
    found = {}
    queues = qdiscs.decode_qdiscs(netlink.dump(qdiscs.list_queues()))
    for index, bands in queues.items():
        if index not in candidates:
            continue
        marker = links.get(filter_interface_of(candidates[index].name))
        marks = marker.index if marker is not None and marker.is_filter_interface else 0
        decode = partial(fault_classifiers.decode_matches, marks=bool(marks))
        matches = netlink.read(fault_classifiers.list_matches(index, marks), decode)
        found[index] = FaultQueue(
            tuple((slot, bands[slot].netem) for slot in sorted(bands)),
            tuple(matches),
            {slot: band.counted for slot, band in bands.items()},
        )
    return found


def set_faults(netlink: NetlinkSocket, step: SetFaults) -> Reply:
    """Change the queue of an interface; what frames already wait in bands that stay, stays.

    For a moment between two requests no frame has a fault.

    Returns:
        The kernel's answer; EOPNOTSUPP with the module's name if a module is missing.
    """
    if step.queue is None:
        if step.marker:
            netlink.batch([fault_classifiers.remove_matches(step)])
        (answer,) = netlink.batch([qdiscs.remove_queue(step.index)])
        return answer
    if step.former is None:
        (answer,) = netlink.batch([qdiscs.make_queue(step.index)])
        if answer.code:
            return _with_module(answer, "sch_prio")
    netlink.batch([fault_classifiers.remove_matches(step)])
    kept = {} if step.former is None else dict(step.former.bands)
    wanted = dict(step.queue.bands)
    netlink.batch([qdiscs.remove_band(step.index, slot) for slot in kept if slot not in wanted])
    bands = [
        (band, qdiscs.set_band(step.index, slot, band))
        for slot, band in step.queue.bands
        if slot not in kept or kept[slot] != band
    ]
    for (band, _), answer in zip(
        bands, netlink.batch(message for _, message in bands), strict=True
    ):
        if answer.code:
            return _with_module(answer, "sch_fifo" if band is None else "sch_netem")
    # The last mark that matches counts, and the first classifier of a queue.
    matches = step.queue.matches[::-1] if step.marker else step.queue.matches
    for match in matches:
        (answer,) = netlink.batch([fault_classifiers.add_match(step, match)])
        if answer.code:
            return _with_module(answer, _module_of(match, answer.words))
    return Reply(0)


def _module_of(match: FaultMatch, words: str) -> str:
    """Name the module without which the kernel has rejected a classifier with some words."""
    if "classifier" in words:
        return "cls_basic" if match.local else "cls_u32"
    if match.local:
        return "em_meta"
    return "act_gact" if match.one_in else "act_skbedit"


def _with_module(answer: Reply, module: str) -> Reply:
    return Reply(errno.EOPNOTSUPP, module) if answer.code == errno.ENOENT else answer
