"""Encodes and decodes the queues that make faults; no I/O.

A queue is a ``prio`` qdisc (``linux/pkt_sched.h``) with evercan's handle. Its first band is for
the frames without a fault; each fault has a band with a ``netem``, or with a ``pfifo`` that is
always full. ``fault_classifiers`` puts frames into the bands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from evercan.kernel.attributes import attribute, attributes, text
from evercan.kernel.netlink import Message
from evercan.kernel.tc import RTM_DELQDISC, RTM_NEWQDISC, TCMSG, parts_of, read_counters
from evercan.model.fault import MAX_FAULTS, FaultCount, Netem
from evercan.model.rule import TAG
from evercan.values import NamedTuple

_RTM_GETQDISC = 38
_CREATE, _EXCL, _REPLACE = 0x400, 0x200, 0x100

HANDLE = (TAG & 0xFFFF) << 16
"""The handle of the ``prio``: it says that the queue is evercan's."""

_ROOT = 0xFFFF_FFFF
_BANDS = MAX_FAULTS + 1

_KIND, _OPTIONS, _STATS2 = 1, 2, 7
_PRIO = struct.Struct("=i16B")  # tc_prio_qopt
_FIFO = struct.Struct("=I")  # tc_fifo_qopt
_NETEM = struct.Struct("=6I")  # tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
_CORRUPT = struct.Struct("=II")  # tc_netem_corrupt: probability, correlation
_NETEM_CORRUPT, _NETEM_LATENCY64, _NETEM_JITTER64 = 4, 10, 11
_S64 = struct.Struct("=q")

_UNKNOWN_BAND = Netem(limit=-1)
"""A qdisc in a band that is not as evercan encodes its own."""


def list_queues() -> Message:
    """Encode the request for the queues of all interfaces."""
    return Message(_RTM_GETQDISC, 0, TCMSG.pack(0, 0, 0, 0, 0))


def make_queue(index: int) -> Message:
    """Encode the request for a queue; EEXIST if the interface has one of somebody else."""
    return Message(
        RTM_NEWQDISC,
        _CREATE | _EXCL,
        TCMSG.pack(0, index, HANDLE, _ROOT, 0)
        + attribute(_KIND, b"prio\0")
        + attribute(_OPTIONS, _PRIO.pack(_BANDS, *[0] * 16)),
    )


def remove_queue(index: int) -> Message:
    """Encode the request that removes the queue of an interface, with its classifiers."""
    return Message(RTM_DELQDISC, 0, TCMSG.pack(0, index, HANDLE, _ROOT, 0))


def set_band(index: int, slot: int, band: Netem | None) -> Message:
    """Encode the request that makes or changes a band."""
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
        TCMSG.pack(0, index, 0, class_of(slot), 0)
        + attribute(_KIND, kind)
        + attribute(_OPTIONS, options),
    )


def remove_band(index: int, slot: int) -> Message:
    """Encode the request that removes what is done to frames in a band."""
    return Message(RTM_DELQDISC, 0, TCMSG.pack(0, index, 0, class_of(slot), 0))


def class_of(slot: int) -> int:
    """Return the number of the band of a slot, as classifiers and qdiscs in it name it."""
    return HANDLE | slot + 1


def slot_of(number: int) -> int:
    """Return the slot of a band by its number."""
    return (number & 0xFFFF) - 1


class Band(NamedTuple):
    """What is done to the frames of a band, as of ``FaultQueue``, and what it has counted."""

    netem: Netem | None
    counted: FaultCount


def decode_qdiscs(chunks: Iterable[bytes]) -> dict[int, dict[int, Band]]:
    """Decode a dump of all qdiscs into the bands of evercan's queues, by ifindex and slot."""
    roots: dict[int, dict[int, Band]] = {}
    bands: list[tuple[int, int, Band]] = []
    for data, at, end, (index, handle, parent, _) in parts_of(chunks, RTM_NEWQDISC):
        if parent == _ROOT and handle == HANDLE:
            roots[index] = {}
        elif parent & 0xFFFF_0000 == HANDLE:
            bands.append((index, slot_of(parent), _decode_band(data, at, end)))
    for index, slot, band in bands:
        if index in roots:
            roots[index][slot] = band
    return roots


def _decode_band(data: bytes, at: int, end: int) -> Band:
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
            count = FaultCount(*read_counters(data, start, stop))
    return Band(netem, count)


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
