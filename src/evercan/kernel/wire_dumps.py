"""Decodes what the kernel shows of wires; no I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from evercan.kernel.attributes import attributes, text
from evercan.kernel.tc import RTM_NEWQDISC, RTM_NEWTFILTER, parts_of, read_counters
from evercan.kernel.wire_queues import (
    CELLS,
    FRAMES,
    KIND,
    MULTIQ,
    OPTIONS,
    RATE,
    ROOT,
    SIZES,
    STAB,
    STAB_BASE,
    TBF,
    TBF_PARMS,
)
from evercan.model.wire import Wire, WireCount
from evercan.values import NamedTuple

_STATS2 = 7


def count_classifiers(chunks: Iterable[bytes]) -> int:
    """Count the classifiers in a dump; the head of a list of them, and a hash table, are none."""
    return sum(
        1
        for data, at, end, (_, handle, _, _) in parts_of(chunks, RTM_NEWTFILTER)
        if handle and (_kind(data, at, end) != "u32" or handle & 0xFFF)
    )


class Queues(NamedTuple):
    """What a dump of qdiscs shows of wires, and where classifiers can be.

    Attributes:
        wires: by ifindex: the bitrates that its ``tbf`` has, if it has one of evercan's.
        parts: by ifindex: how many qdiscs a wire has.
        counts: by ifindex: what a wire has counted.
        classified: the ifindexes of interfaces that have a ``clsact``.
    """

    wires: Mapping[int, Wire]
    parts: Mapping[int, int]
    counts: Mapping[int, WireCount]
    classified: frozenset[int]


def decode_queues(chunks: Iterable[bytes]) -> Queues:
    """Decode a dump of all qdiscs of the host."""
    wires: dict[int, Wire] = {}
    parts: dict[int, int] = {}
    bits: dict[int, int] = {}
    dropped: dict[int, int] = {}
    classified: set[int] = set()
    for data, at, end, (index, handle, parent, _) in parts_of(chunks, RTM_NEWQDISC):
        kind = _kind(data, at, end)
        if kind == "clsact":
            classified.add(index)
        elif parent == ROOT and handle == TBF and kind == "tbf":
            found = _decode_wire(data, at, end)
            if found is not None:
                wires[index] = found
            bits[index], _ = _stats(data, at, end)
        elif (parent, handle) == (MULTIQ | 2, FRAMES):
            _, dropped[index] = _stats(data, at, end)
        if kind in ("tbf", "multiq", "prio", "pfifo") and handle:
            parts[index] = parts.get(index, 0) + 1
    counts = {index: WireCount(bits[index], dropped.get(index, 0)) for index in wires}
    return Queues(wires, parts, counts, frozenset(classified))


def _kind(data: bytes, at: int, end: int) -> str:
    for kind, start, stop in attributes(data, at, end):
        if kind == KIND:
            return text(data, start, stop)
    return ""


def _stats(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the bytes that passed a queue, and the packets that it dropped."""
    for kind, start, stop in attributes(data, at, end):
        if kind == _STATS2:
            size = next((first for part, first, _ in attributes(data, start, stop) if part == 1), 0)
            passed = struct.unpack_from("=Q", data, size)[0] if size else 0
            return int(passed), read_counters(data, start, stop)[1]
    return 0, 0


def _decode_wire(data: bytes, at: int, end: int) -> Wire | None:
    bitrate, dbitrate, sized = 0, 0, False
    for kind, start, stop in attributes(data, at, end):
        for part, first, _ in attributes(data, start, stop) if kind in (OPTIONS, STAB) else ():
            if kind == OPTIONS and part == TBF_PARMS:
                *_, bitrate = RATE.unpack_from(data, first)
            elif kind == STAB and part == STAB_BASE:
                *_, dbitrate, cells = SIZES.unpack_from(data, first)
                sized = cells == CELLS
    return Wire(bitrate, dbitrate) if sized else None
