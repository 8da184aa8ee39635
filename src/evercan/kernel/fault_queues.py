"""Reads and changes the queues that make faults, and encodes them.

A queue is a ``prio`` qdisc (``linux/pkt_sched.h``) with evercan's handle. Its first band is for
the frames without a fault; each fault has a band with a ``netem``, or with a ``pfifo`` that is
always full. Frames are classified by ``u32`` (``linux/pkt_cls.h``), which compares the first
four bytes of a frame, its ``canid_t`` in the host's byte order, and ``skb_iif``. For a member
with limits the classifiers are on its filter interface, before those that redirect its frames,
and ``skbedit`` gives a frame the priority that is the number of the band.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping
from functools import partial

from evercan.kernel.attributes import attributes, text
from evercan.kernel.netlink import HEADER, Message, NetlinkSocket, Reply, messages_of
from evercan.kernel.tc import (
    ALL_PROTOCOLS,
    EGRESS,
    MARKS,
    RTM_DELQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    TCMSG,
    action,
    attribute,
    list_all,
)
from evercan.model.fault import MAX_FAULTS, FaultCount, FaultMatch, FaultQueue, Netem
from evercan.model.names import filter_interface_of
from evercan.model.observed import Filtered, Link
from evercan.model.rule import TAG
from evercan.model.steps import SetFaults
from evercan.values import NamedTuple

RTM_GETQDISC, RTM_DELTFILTER = 38, 45
_CREATE, _EXCL, _REPLACE = 0x400, 0x200, 0x100

HANDLE = (TAG & 0xFFFF) << 16
"""The handle of the ``prio``: it says that the queue is evercan's."""

_ROOT = 0xFFFF_FFFF
_BANDS = MAX_FAULTS + 1

_KIND, _OPTIONS, _STATS2 = 1, 2, 7
_STATS_BASIC, _STATS_QUEUE = 1, 3
_PRIO = struct.Struct("=i16B")  # tc_prio_qopt
_FIFO = struct.Struct("=I")  # tc_fifo_qopt
_NETEM = struct.Struct("=6I")  # tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
_CORRUPT = struct.Struct("=II")  # tc_netem_corrupt: probability, correlation
_NETEM_CORRUPT, _NETEM_LATENCY64, _NETEM_JITTER64 = 4, 10, 11
_U32_CLASSID, _U32_SEL, _U32_ACT, _U32_INDEV = 1, 5, 7, 8
_SEL = struct.Struct("=BBBxHHhhI")  # tc_u32_sel: flags, shift, number of keys, and hashing
_KEY = struct.Struct("=IIii")  # tc_u32_key: mask, value, offset, and its mask
_TERMINAL = 1
_ACT_OPTIONS, _PARMS = 2, 2
_GACT_PROB, _SKBEDIT_PRIORITY, _NETRAND = 3, 3, 1
_PROB = struct.Struct("=HHi")  # tc_gact_p: how, one in so many, the action for that one
_GENERIC = struct.Struct("=IIiii")  # tc_gen: index, capabilities, action, references, bindings
_CONTINUE, _OK = -1, 0
_U32, _S64 = struct.Struct("=I"), struct.Struct("=q")
_PACKETS = struct.Struct("=QI")
_QUEUE_STATS = struct.Struct("=5I")

_UNKNOWN = FaultMatch(-1)
"""A classifier that is not as evercan encodes its own."""
_UNKNOWN_BAND = Netem(limit=-1)
"""A qdisc in a band that is not as evercan encodes its own."""


def read_fault_queues(netlink: NetlinkSocket, links: Mapping[str, Link]) -> dict[int, FaultQueue]:
    """Read the queues of evercan's for faults, by ifindex; costs nothing if there are none."""
    candidates = {link.index: link for link in links.values() if link.may_have_faults}
    if not candidates:
        return {}
    found = {}
    qdiscs = _decode_qdiscs(netlink.dump(Message(RTM_GETQDISC, 0, TCMSG.pack(0, 0, 0, 0, 0))))
    for index, bands in qdiscs.items():
        if index not in candidates:
            continue
        marker = links.get(filter_interface_of(candidates[index].name))
        if marker is not None and marker.is_filter_interface:
            request, marks = list_all(Filtered(marker.index, ingress=False)), True
        else:
            request, marks = Message(RTM_GETTFILTER, 0, TCMSG.pack(0, index, 0, HANDLE, 0)), False
        matches = netlink.read(request, partial(_decode_matches, marks=marks))
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
    unclassified = Message(RTM_DELTFILTER, 0, _classifiers_of(step))
    if step.queue is None:
        if step.marker:
            netlink.batch([unclassified])
        (answer,) = netlink.batch(
            [Message(RTM_DELQDISC, 0, TCMSG.pack(0, step.index, HANDLE, _ROOT, 0))]
        )
        return answer
    if step.former is None:
        (answer,) = netlink.batch([_make_prio(step.index)])
        if answer.code:
            return _with_module(answer, "sch_prio")
    netlink.batch([unclassified])
    kept = {} if step.former is None else dict(step.former.bands)
    wanted = dict(step.queue.bands)
    netlink.batch([_remove_band(step.index, slot) for slot in kept if slot not in wanted])
    bands = [
        (band, _set_band(step.index, slot, band))
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
        (answer,) = netlink.batch([_add_match(step, match)])
        if answer.code:
            missing = "cls_u32" if "classifier" in answer.words else "act_skbedit"
            return _with_module(answer, "act_gact" if match.one_in else missing)
    return Reply(0)


def _with_module(answer: Reply, module: str) -> Reply:
    return Reply(errno.EOPNOTSUPP, module) if answer.code == errno.ENOENT else answer


def _make_prio(index: int) -> Message:
    """Encode the request for the queue; EEXIST if the interface has one of somebody else."""
    return Message(
        RTM_NEWQDISC,
        _CREATE | _EXCL,
        TCMSG.pack(0, index, HANDLE, _ROOT, 0)
        + attribute(_KIND, b"prio\0")
        + attribute(_OPTIONS, _PRIO.pack(_BANDS, *[0] * 16)),
    )


def _class_of(slot: int) -> int:
    return HANDLE | slot + 1


def _set_band(index: int, slot: int, band: Netem | None) -> Message:
    if band is None:
        kind, options = b"pfifo\0", _FIFO.pack(0)
    else:
        kind = b"netem\0"
        head = _NETEM.pack(0, band.limit, band.loss, 0, band.duplicate, 0)
        options = (
            head
            + attribute(_NETEM_CORRUPT, _CORRUPT.pack(band.corrupt, 0))
            + attribute(_NETEM_LATENCY64, _S64.pack(band.delay))
            + attribute(_NETEM_JITTER64, _S64.pack(band.jitter))
        )
    return Message(
        RTM_NEWQDISC,
        _CREATE | _REPLACE,
        TCMSG.pack(0, index, 0, _class_of(slot), 0)
        + attribute(_KIND, kind)
        + attribute(_OPTIONS, options),
    )


def _remove_band(index: int, slot: int) -> Message:
    return Message(RTM_DELQDISC, 0, TCMSG.pack(0, index, 0, _class_of(slot), 0))


def _classifiers_of(step: SetFaults) -> bytes:
    """Encode where the classifiers of a step are."""
    where = (step.marker, EGRESS) if step.marker else (step.index, HANDLE)
    return TCMSG.pack(0, where[0], 0, where[1], MARKS << 16 | ALL_PROTOCOLS)


def _add_match(step: SetFaults, match: FaultMatch) -> Message:
    band = _U32.pack(_class_of(match.slot))
    options = attribute(
        _U32_SEL,
        _SEL.pack(_TERMINAL, 0, 1, 0, 0, 0, 0, 0),
        _KEY.pack(match.mask, match.can_id, 0, 0),
    )
    if match.source:
        options += attribute(_U32_INDEV, match.source.encode(errors="surrogateescape") + b"\0")
    if step.marker:
        parms = attribute(_PARMS, _GENERIC.pack(0, 0, _CONTINUE, 0, 0))
        priority = attribute(_SKBEDIT_PRIORITY, band)
        options += attribute(_U32_ACT, attribute(1, action(b"skbedit", parms + priority)))
    else:
        options += attribute(_U32_CLASSID, band)
    if match.one_in:
        parms = attribute(_PARMS, _GENERIC.pack(0, 0, _CONTINUE, 0, 0))
        chance = attribute(_GACT_PROB, _PROB.pack(_NETRAND, match.one_in, _OK))
        options += attribute(_U32_ACT, attribute(1, action(b"gact", parms + chance)))
    return Message(
        RTM_NEWTFILTER,
        _CREATE | _EXCL,
        _classifiers_of(step) + attribute(_KIND, b"u32\0") + attribute(_OPTIONS, options),
    )


class _Band(NamedTuple):
    netem: Netem | None
    counted: FaultCount


def _decode_qdiscs(chunks: Iterable[bytes]) -> dict[int, dict[int, _Band]]:
    """Decode a dump of all qdiscs into the bands of evercan's queues, by ifindex and slot."""
    roots: dict[int, dict[int, _Band]] = {}
    bands: list[tuple[int, int, _Band]] = []
    for data in chunks:
        for part in messages_of(data):
            if part.kind != RTM_NEWQDISC:
                continue
            at, end = part.offset + HEADER.size, part.offset + part.length
            _, index, handle, parent, _ = TCMSG.unpack_from(data, at)
            if parent == _ROOT and handle == HANDLE:
                roots[index] = {}
            elif parent & 0xFFFF_0000 == HANDLE:
                band = _decode_band(data, at + TCMSG.size, end)
                bands.append((index, (parent & 0xFFFF) - 1, band))
    for index, slot, band in bands:
        if index in roots:
            roots[index][slot] = band
    return roots


def _decode_band(data: bytes, at: int, end: int) -> _Band:
    kind, netem, count = "", None, FaultCount()
    for attribute_kind, start, stop in attributes(data, at, end):
        if attribute_kind == _KIND:
            kind = text(data, start, stop)
        elif attribute_kind == _OPTIONS and kind == "netem":
            netem = _decode_netem(data, start, stop)
        elif attribute_kind == _OPTIONS:
            full = kind == "pfifo" and _FIFO.unpack_from(data, start) == (0,)
            netem = None if full else _UNKNOWN_BAND
        elif attribute_kind == _STATS2:
            count = _decode_count(data, start, stop)
    return _Band(netem, count)


def _decode_netem(data: bytes, at: int, end: int) -> Netem:
    _, limit, loss, gap, duplicate, _ = _NETEM.unpack_from(data, at)
    corrupt = delay = jitter = 0
    for kind, start, _ in attributes(data, at + _NETEM.size, end):
        if kind == _NETEM_CORRUPT:
            corrupt, _ = _CORRUPT.unpack_from(data, start)
        elif kind == _NETEM_LATENCY64:
            (delay,) = _S64.unpack_from(data, start)
        elif kind == _NETEM_JITTER64:
            (jitter,) = _S64.unpack_from(data, start)
    return _UNKNOWN_BAND if gap else Netem(loss, duplicate, corrupt, delay, jitter, limit)


def _decode_count(data: bytes, at: int, end: int) -> FaultCount:
    passed = lost = 0
    for kind, start, _ in attributes(data, at, end):
        if kind == _STATS_BASIC:
            _, passed = _PACKETS.unpack_from(data, start)
        elif kind == _STATS_QUEUE:
            _, _, lost, _, _ = _QUEUE_STATS.unpack_from(data, start)
    return FaultCount(passed, lost)


def _decode_matches(chunks: Iterable[bytes], *, marks: bool) -> list[FaultMatch]:
    """Decode a dump of the classifiers of a queue, or of the marks on a filter interface."""
    found: list[FaultMatch] = []
    for data in chunks:
        for part in messages_of(data):
            if part.kind != RTM_NEWTFILTER:
                continue
            at, end = part.offset + HEADER.size, part.offset + part.length
            _, _, handle, _, info = TCMSG.unpack_from(data, at)
            if not handle & 0xFFF or (marks and info >> 16 > MARKS):
                continue  # says that there are classifiers of a priority; or is of a limit
            found.append(_decode_match(data, at + TCMSG.size, end, marks=marks))
    return found[::-1] if marks else found


def _decode_match(data: bytes, at: int, end: int, *, marks: bool) -> FaultMatch:
    for kind, start, stop in attributes(data, at, end):
        if kind == _KIND and text(data, start, stop) != "u32":
            return _UNKNOWN
        if kind == _OPTIONS:
            return _decode_u32(data, start, stop, marks=marks)
    return _UNKNOWN


def _decode_u32(data: bytes, at: int, end: int, *, marks: bool) -> FaultMatch:
    source, slot, one_in = "", -1, 0
    key = (0, 0)
    for kind, start, stop in attributes(data, at, end):
        if kind == _U32_CLASSID:
            slot = (_U32.unpack_from(data, start)[0] & 0xFFFF) - 1
        elif kind == _U32_SEL:
            mask, value, _, _ = _KEY.unpack_from(data, start + _SEL.size)
            key = value, mask
        elif kind == _U32_INDEV:
            source = text(data, start, stop)
        elif kind == _U32_ACT:
            if marks:
                slot = (_decode_action(data, start, stop, _U32)[0] & 0xFFFF) - 1
            else:
                one_in = _decode_action(data, start, stop, _PROB)[1]
    return FaultMatch(slot, source, *key, one_in)


def _decode_action(data: bytes, at: int, end: int, shape: struct.Struct) -> tuple[int, ...]:
    """Return what the only action of a classifier has: ``TCA_GACT_PROB``, or a priority."""
    for _, first, last in attributes(data, at, end):
        for kind, start, stop in attributes(data, first, last):
            if kind == _ACT_OPTIONS:
                for option, begin, _ in attributes(data, start, stop):
                    if option == _GACT_PROB:
                        return shape.unpack_from(data, begin)
    return (0, 0)
