"""Encodes and decodes the classifier that makes frames pass through a wire; no I/O.

It is on the ingress of an interface, has two ``mirred`` actions, and is a ``matchall``, or a
``basic`` that matches only frames of sockets of the host.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from evercan.kernel.attributes import attribute, attributes, text
from evercan.kernel.ematches import BASIC_EMATCHES, ematches, read_ematches
from evercan.kernel.fault_classifiers import FROM_SOCKET
from evercan.kernel.netlink import Message
from evercan.kernel.tc import (
    ALL_PROTOCOLS,
    EGRESS,
    INGRESS,
    RTM_GETTFILTER,
    RTM_NEWTFILTER,
    TCMSG,
    action,
    parts_of,
)
from evercan.model.wire import WireEntry

_RTM_DELTFILTER = 45
_CREATE_EXCL = 0x400 | 0x200
_PRIORITY = 1
_INFO = _PRIORITY << 16 | ALL_PROTOCOLS

_KIND, _OPTIONS = 1, 2
_MATCHALL_ACT, _BASIC_ACT = 2, 3
_ACT_OPTIONS, _MIRRED_PARMS = 2, 2
_PARMS = struct.Struct("=IIiiiiI")  # tc_mirred: tc_gen, what to do, ifindex
_MIRROR, _REDIRECT = 2, 1  # TCA_EGRESS_…
_PIPE, _STOLEN = 3, 4
_DONE = ([_PIPE, _MIRROR], [_STOLEN, _REDIRECT])
"""Verdict and what is done, of the two actions."""

_UNKNOWN = WireEntry(-1, -1, local=False)


def remove(index: int) -> Message:
    """Encode the request that removes the classifier of an interface; an error without one."""
    return Message(_RTM_DELTFILTER, 0, TCMSG.pack(0, index, 0, INGRESS, _INFO))


def add(index: int, entry: WireEntry) -> Message:
    """Encode the request that adds the classifier to an interface, which has a ``clsact``."""
    actions = [
        attribute(place, action(b"mirred", attribute(_MIRRED_PARMS, packed)))
        for place, packed in (
            (1, _PARMS.pack(0, 0, _PIPE, 0, 0, _MIRROR, entry.meter)),
            (2, _PARMS.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, entry.wire)),
        )
    ]
    if entry.local:
        kind = b"basic\0"
        options = ematches([FROM_SOCKET]) + attribute(_BASIC_ACT, *actions)
    else:
        kind = b"matchall\0"
        options = attribute(_MATCHALL_ACT, *actions)
    return Message(
        RTM_NEWTFILTER,
        _CREATE_EXCL,
        TCMSG.pack(0, index, 0, INGRESS, _INFO)
        + attribute(_KIND, kind)
        + attribute(_OPTIONS, options),
    )


def list_entries(index: int) -> Message:
    """Encode the request for the classifiers of frames that arrive on an interface."""
    return Message(RTM_GETTFILTER, 0, TCMSG.pack(0, index, 0, INGRESS, 0))


def list_both(index: int) -> list[Message]:
    """Encode the requests for all classifiers in the ``clsact`` of an interface."""
    sent = Message(RTM_GETTFILTER, 0, TCMSG.pack(0, index, 0, EGRESS, 0))
    return [list_entries(index), sent]


def decode(chunks: Iterable[bytes]) -> WireEntry | None:
    """Decode a dump; None if there is no classifier in the place of evercan's."""
    for data, at, end, (_, handle, _, info) in parts_of(chunks, RTM_NEWTFILTER):
        if handle and info >> 16 == _PRIORITY:
            return _decode(data, at, end) if info == _INFO else _UNKNOWN
    return None


def _decode(data: bytes, at: int, end: int) -> WireEntry:
    kind, matches, targets = "", [], list[tuple[int, ...]]()
    for attribute_kind, start, stop in attributes(data, at, end):
        if attribute_kind == _KIND:
            kind = text(data, start, stop)
        elif attribute_kind == _OPTIONS and kind in ("basic", "matchall"):
            acts = _BASIC_ACT if kind == "basic" else _MATCHALL_ACT
            for option, first, last in attributes(data, start, stop):
                if option == acts:
                    targets = [_target(data, *place) for _, *place in attributes(data, first, last)]
                elif option == BASIC_EMATCHES and kind == "basic":
                    matches = read_ematches(data, first, last)
    if matches != ([FROM_SOCKET] if kind == "basic" else []):
        return _UNKNOWN
    match targets:
        case [(*mirrors, meter), (*redirects, wire)] if (mirrors, redirects) == _DONE:
            return WireEntry(wire, meter, local=kind == "basic")
        case _:
            return _UNKNOWN


def _target(data: bytes, at: int, end: int) -> tuple[int, ...]:
    """Return verdict, what is done and ifindex of a ``mirred``; nothing of another action."""
    name, found = "", tuple[int, ...]()
    for kind, start, stop in attributes(data, at, end):
        if kind == _KIND:
            name = text(data, start, stop)
        elif kind == _ACT_OPTIONS and name == "mirred":
            for option, first, _ in attributes(data, start, stop):
                if option == _MIRRED_PARMS:
                    _, _, verdict, _, _, does, index = _PARMS.unpack_from(data, first)
                    found = (verdict, does, index)
    return found


def module_of(entry: WireEntry, words: str) -> str:
    """Name the module without which the kernel has rejected the classifier with some words."""
    if "classifier" in words:
        return "cls_basic" if entry.local else "cls_matchall"
    if "action" in words:
        return "act_mirred"
    return "em_meta" if entry.local else "act_mirred"
