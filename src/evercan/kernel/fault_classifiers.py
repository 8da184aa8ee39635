"""Encodes and decodes the classifiers that put frames into the bands of a queue; no I/O.

``u32`` (``linux/pkt_cls.h``) compares the first four bytes of a frame, its ``canid_t`` in the
host's byte order, and ``skb_iif``. Frames that programs of the host send on the interface itself
have no ``skb_iif``, and ``u32`` cannot compare with that: a ``basic`` classifier before knows
them by their socket. For a member with limits the classifiers are on its filter interface, before
those that redirect its frames, and ``skbedit`` gives a frame the priority that is the number of
the band.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from socket import AF_CAN

from evercan.kernel.attributes import attribute, attributes, text
from evercan.kernel.ematches import BASIC_EMATCHES, Ematch, ematches, read_ematches
from evercan.kernel.netlink import Message
from evercan.kernel.qdiscs import HANDLE, class_of, slot_of
from evercan.kernel.tc import (
    ALL_PROTOCOLS,
    EGRESS,
    MARKS,
    RTM_GETTFILTER,
    RTM_NEWTFILTER,
    TCMSG,
    action,
    list_all,
    parts_of,
)
from evercan.model.fault import FaultMatch
from evercan.model.observed import Filtered
from evercan.model.steps import SetFaults

_RTM_DELTFILTER = 45
_CREATE_EXCL = 0x400 | 0x200
_LOCAL, _OTHERS = 1, 2  # priorities of the classifiers in a queue

_KIND, _OPTIONS = 1, 2
_U32_CLASSID, _U32_SEL, _U32_ACT, _U32_INDEV = 1, 5, 7, 8
_SEL = struct.Struct("=BBBxHHhhI")  # tc_u32_sel: flags, shift, number of keys, and hashing
_KEY = struct.Struct("=IIii")  # tc_u32_key: mask, value, offset, and its mask
_TERMINAL = 1
_BASIC_CLASSID = 1
_EM_META, _META_HEADER, _META_VALUE = 4, 1, 3
_META = struct.Struct("=HBBHBB")  # tcf_meta_hdr: kind, shift and comparison, of both sides
_INT, _SOCKET_FAMILY = 1 << 12, 16  # TCF_META_TYPE_INT, TCF_META_ID_SK_FAMILY
_ACT_OPTIONS, _PARMS = 2, 2
_GACT_PROB, _SKBEDIT_PRIORITY, _NETRAND = 3, 3, 1
_PROB = struct.Struct("=HHi")  # tc_gact_p: how, one in so many, the action for that one
_GENERIC = struct.Struct("=IIiii")  # tc_gen: index, capabilities, action, references, bindings
_CONTINUE, _OK = -1, 0
_U32 = struct.Struct("=I")

FROM_SOCKET = Ematch(
    _EM_META,
    0,
    attribute(_META_HEADER, _META.pack(_INT | _SOCKET_FAMILY, 0, 0, _INT, 0, 0))
    + attribute(_META_VALUE, _U32.pack(AF_CAN)),
)
"""A frame is of a socket of CAN; one that a rule has forwarded is of no socket."""

_UNKNOWN = FaultMatch(-1)
"""A classifier that is not as evercan encodes its own."""


def list_matches(index: int, marker: int) -> Message:
    """Encode the request for the classifiers of an interface, or on its filter interface."""
    if marker:
        return list_all(Filtered(marker, ingress=False))
    return Message(RTM_GETTFILTER, 0, TCMSG.pack(0, index, 0, HANDLE, 0))


def remove_matches(step: SetFaults) -> Message:
    """Encode the request that removes the classifiers of a step."""
    if step.marker:
        head = TCMSG.pack(0, step.marker, 0, EGRESS, MARKS << 16 | ALL_PROTOCOLS)
    else:
        head = TCMSG.pack(0, step.index, 0, HANDLE, 0)  # of all priorities
    return Message(_RTM_DELTFILTER, 0, head)


def add_match(step: SetFaults, match: FaultMatch) -> Message:
    """Encode the request that adds a classifier of a step."""
    band = _U32.pack(class_of(match.slot))
    if match.local:
        options = attribute(_BASIC_CLASSID, band) + ematches([FROM_SOCKET])
        return _add(step.index, HANDLE, _LOCAL, b"basic\0", options)
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
    where = (step.marker, EGRESS, MARKS) if step.marker else (step.index, HANDLE, _OTHERS)
    return _add(*where, b"u32\0", options)


def _add(index: int, parent: int, priority: int, kind: bytes, options: bytes) -> Message:
    head = TCMSG.pack(0, index, 0, parent, priority << 16 | ALL_PROTOCOLS)
    return Message(
        RTM_NEWTFILTER,
        _CREATE_EXCL,
        head + attribute(_KIND, kind) + attribute(_OPTIONS, options),
    )


def decode_matches(chunks: Iterable[bytes], *, marks: bool) -> list[FaultMatch]:
    """Decode a dump of the classifiers of a queue, or of the marks on a filter interface."""
    found: list[FaultMatch] = []
    for data, at, end, (_, handle, _, info) in parts_of(chunks, RTM_NEWTFILTER):
        if not handle & 0xFFF or (marks and info >> 16 > MARKS):
            continue  # says that there are classifiers of a priority; or is of a limit
        found.append(_decode_match(data, at, end, marks=marks))
    return found[::-1] if marks else found


def _decode_match(data: bytes, at: int, end: int, *, marks: bool) -> FaultMatch:
    classifier = ""
    for kind, start, stop in attributes(data, at, end):
        if kind == _KIND:
            classifier = text(data, start, stop)
        elif kind == _OPTIONS and classifier == "u32":
            return _decode_u32(data, start, stop, marks=marks)
        elif kind == _OPTIONS and classifier == "basic":
            return _decode_basic(data, start, stop)
    return _UNKNOWN


def _decode_basic(data: bytes, at: int, end: int) -> FaultMatch:
    slot, found = -1, list[Ematch]()
    for kind, start, stop in attributes(data, at, end):
        if kind == _BASIC_CLASSID:
            slot = slot_of(_U32.unpack_from(data, start)[0])
        elif kind == BASIC_EMATCHES:
            found = read_ematches(data, start, stop)
    return FaultMatch(slot, local=True) if found == [FROM_SOCKET] else _UNKNOWN


def _decode_u32(data: bytes, at: int, end: int, *, marks: bool) -> FaultMatch:
    source, slot, one_in = "", -1, 0
    key = (0, 0)
    for kind, start, stop in attributes(data, at, end):
        if kind == _U32_CLASSID:
            slot = slot_of(_U32.unpack_from(data, start)[0])
        elif kind == _U32_SEL:
            mask, value, _, _ = _KEY.unpack_from(data, start + _SEL.size)
            key = value, mask
        elif kind == _U32_INDEV:
            source = text(data, start, stop)
        elif kind == _U32_ACT:
            if marks:
                slot = slot_of(_action_option(data, start, stop, _SKBEDIT_PRIORITY, _U32)[0])
            else:
                one_in = _action_option(data, start, stop, _GACT_PROB, _PROB)[1]
    return FaultMatch(slot, source, *key, one_in)


def _action_option(
    data: bytes, at: int, end: int, wanted: int, shape: struct.Struct
) -> tuple[int, ...]:
    """Return an option of the only action of a classifier; zeros without it."""
    for _, first, last in attributes(data, at, end):
        for kind, start, stop in attributes(data, first, last):
            if kind == _ACT_OPTIONS:
                for option, begin, _ in attributes(data, start, stop):
                    if option == wanted:
                        return shape.unpack_from(data, begin)
    return (0, 0)
