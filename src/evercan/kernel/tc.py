"""Encodes and decodes classifiers on interfaces; no I/O.

What evercan has on an interface is a ``clsact`` qdisc and, on its ingress or its egress,
``basic`` classifiers with the ematch ``canid`` (``linux/pkt_cls.h``, ``linux/pkt_sched.h``).
Their actions are ``police`` with a rate of packets, ``mirred`` to redirect and ``gact`` to drop.
pyroute2 encodes neither the ematch nor that rate.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from evercan.kernel.attributes import attribute, attributes, text
from evercan.kernel.ematches import BASIC_EMATCHES, Ematch, ematches, read_ematches
from evercan.kernel.netlink import HEADER, Message, messages_of
from evercan.model.access import Filter, FilterCount
from evercan.model.observed import Filtered
from evercan.values import NamedTuple

RTM_NEWQDISC, RTM_DELQDISC = 36, 37
RTM_NEWTFILTER, RTM_GETTFILTER = 44, 46
_CREATE_EXCL = 0x400 | 0x200

TCMSG = struct.Struct("=BxxxiIII")  # family, ifindex, handle, parent, info
_CLSACT, _CLSACT_HANDLE = 0xFFFF_FFF1, 0xFFFF_0000
INGRESS, EGRESS = 0xFFFF_FFF2, 0xFFFF_FFF3
ALL_PROTOCOLS = 0x0300  # htons(ETH_P_ALL)

MARKS = 1
"""The priority of classifiers that mark frames for faults; those of limits come after it."""

NESTED = 0x8000  # NLA_F_NESTED
_KIND, _OPTIONS = 1, 2
_BASIC_ACT = 3
_EM_CANID = 7
_EM_AND, _EM_INVERT = 1, 4
_ACT_KIND, _ACT_OPTIONS, _ACT_STATS = 1, 2, 4
_STATS_BASIC, _STATS_QUEUE = 1, 3
_PARMS = 2  # TCA_MIRRED_PARMS, TCA_GACT_PARMS
_POLICE_TBF, _POLICE_RESULT, _POLICE_PKTRATE, _POLICE_PKTBURST = 1, 5, 10, 11
_SHOT, _PIPE, _STOLEN = 2, 3, 4
_EGRESS_REDIRECT, _INGRESS_REDIRECT = 1, 3

_ACTION = struct.Struct("=IIiii")  # tc_gen: index, capabilities, action, references, bindings
_MIRRED = struct.Struct("=iI")  # the rest of tc_mirred: what to do, ifindex
_POLICE = struct.Struct("=Ii48x")  # tc_police: index, action
_U32, _U64 = struct.Struct("=I"), struct.Struct("=Q")
_PACKETS = struct.Struct("=QI")  # gnet_stats_basic: bytes, packets
_QUEUE = struct.Struct("=5I")  # gnet_stats_queue: length, backlog, drops, requeues, overlimits

_UNKNOWN = Filter(target=-1)
"""A classifier that is not as evercan encodes its own."""


def remove_all(index: int) -> Message:
    """Encode the request that removes all classifiers of an interface; ENOENT without any."""
    return Message(RTM_DELQDISC, 0, TCMSG.pack(0, index, 0, _CLSACT, 0))


def make_qdisc(index: int) -> Message:
    """Encode the request for the ``clsact`` qdisc that classifiers belong to."""
    kind = attribute(_KIND, b"clsact\0")
    return Message(
        RTM_NEWQDISC, _CREATE_EXCL, TCMSG.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0) + kind
    )


def add(interface: Filtered, place: int, filtered: Filter) -> Message:
    """Encode the request that adds a classifier.

    Args:
        interface: where.
        place: its place among those of the interface, from 1 on.
        filtered: the classifier.
    """
    options = _ematches(filtered)
    actions = []
    if not filtered.target:
        actions.append(action(b"gact", attribute(_PARMS, _ACTION.pack(0, 0, _SHOT, 0, 0))))
    else:
        if filtered.rate:
            actions.append(action(b"police", _police(filtered)))
        redirect = _INGRESS_REDIRECT if interface.ingress else _EGRESS_REDIRECT
        parms = _ACTION.pack(0, 0, _STOLEN, 0, 0) + _MIRRED.pack(redirect, filtered.target)
        actions.append(action(b"mirred", attribute(_PARMS, parms)))
    options += attribute(
        _BASIC_ACT, *(attribute(number, action) for number, action in enumerate(actions, start=1))
    )
    return Message(
        RTM_NEWTFILTER,
        _CREATE_EXCL,
        _head(interface, (MARKS + place) << 16 | ALL_PROTOCOLS)
        + attribute(_KIND, b"basic\0")
        + attribute(_OPTIONS, options),
    )


def list_all(interface: Filtered) -> Message:
    """Encode the request for the classifiers of an interface."""
    return Message(RTM_GETTFILTER, 0, _head(interface, 0))


def parts_of(
    chunks: Iterable[bytes], kind: int
) -> Iterator[tuple[bytes, int, int, tuple[int, int, int, int]]]:
    """Yield each message of a kind in a dump: where its attributes begin and end, and its head.

    The head is the ifindex, the handle, the parent and the info of ``tcmsg``.
    """
    for data in chunks:
        for part in messages_of(data):
            if part.kind == kind:
                at, end = part.offset + HEADER.size, part.offset + part.length
                _, index, handle, parent, info = TCMSG.unpack_from(data, at)
                yield data, at + TCMSG.size, end, (index, handle, parent, info)


def _head(interface: Filtered, info: int) -> bytes:
    parent = INGRESS if interface.ingress else EGRESS
    return TCMSG.pack(0, interface.ifindex, 0, parent, info)


def _ematches(filtered: Filter) -> bytes:
    """Encode what a classifier matches: no entry of ``denied``, and one of ``matches``."""
    found = []
    if filtered.denied:
        flags = _EM_INVERT | (_EM_AND if filtered.matches else 0)
        found.append(Ematch(_EM_CANID, flags, filtered.denied))
    if filtered.matches:
        found.append(Ematch(_EM_CANID, 0, filtered.matches))
    return ematches(found) if found else b""


def _police(filtered: Filter) -> bytes:
    return b"".join(
        (
            attribute(_POLICE_TBF, _POLICE.pack(0, _SHOT)),
            attribute(_POLICE_RESULT, _U32.pack(_PIPE)),
            attribute(_POLICE_PKTRATE, _U64.pack(filtered.rate)),
            attribute(_POLICE_PKTBURST, _U64.pack(filtered.burst)),
        )
    )


def action(kind: bytes, options: bytes) -> bytes:
    """Encode an action of a classifier by its kind and its encoded options."""
    # act_mpls parses its options strictly.
    return attribute(_ACT_KIND, kind, b"\0") + attribute(_ACT_OPTIONS | NESTED, options)


def decode(interface: Filtered, chunks: Iterable[bytes]) -> tuple[tuple[Filter, ...], FilterCount]:
    """Decode a dump into the classifiers of an interface, and what they have counted."""
    filters: list[Filter] = []
    denied = over_rate = 0
    for data, at, end, (_, handle, _, info) in parts_of(chunks, RTM_NEWTFILTER):
        if not handle or info >> 16 <= MARKS:
            continue  # says that there are classifiers of a priority; or marks frames
        found, dropped, limited = _decode(interface, data, at, end)
        filters.append(found if info & 0xFFFF == ALL_PROTOCOLS else _UNKNOWN)
        denied += dropped
        over_rate += limited
    return tuple(filters), FilterCount(denied, over_rate)


class _Action(NamedTuple):
    """An action of a classifier: its kind, where its options are, and what it has counted."""

    kind: str
    start: int
    stop: int
    packets: int
    drops: int


def _decode(interface: Filtered, data: bytes, at: int, end: int) -> tuple[Filter, int, int]:
    """Decode one message: the classifier, the frames that it dropped, and those over its rate."""
    matches: tuple[bytes, bytes] | None = (b"", b"")
    actions: list[_Action] = []
    basic = False
    for kind, start, stop in attributes(data, at, end):
        if kind == _KIND:
            basic = text(data, start, stop) == "basic"
        elif kind == _OPTIONS:
            matches, actions = _read_options(data, start, stop)
    if not basic or matches is None:
        return _UNKNOWN, 0, 0
    match actions:
        case [_Action("gact") as drop]:
            known = _gact(data, drop) == _SHOT
            return (Filter(*matches) if known else _UNKNOWN), drop.packets, 0
        case [_Action("mirred") as redirect]:
            return Filter(*matches, _target(interface, data, redirect)), 0, 0
        case [_Action("police") as police, _Action("mirred") as redirect]:
            rate, burst = _read_police(data, police)
            found = Filter(*matches, _target(interface, data, redirect), rate, burst)
            return found, 0, police.drops
        case _:
            return _UNKNOWN, 0, 0


def _read_options(
    data: bytes, at: int, end: int
) -> tuple[tuple[bytes, bytes] | None, list[_Action]]:
    """Return the entries of a classifier, as of ``_read_ematches``, and its actions."""
    matches: tuple[bytes, bytes] | None = (b"", b"")
    actions: list[_Action] = []
    for option, start, stop in attributes(data, at, end):
        if option == BASIC_EMATCHES:
            matches = _read_ematches(data, start, stop)
        elif option == _BASIC_ACT:
            actions = [_read_action(data, *place) for _, *place in attributes(data, start, stop)]
    return matches, actions


def _read_ematches(data: bytes, at: int, end: int) -> tuple[bytes, bytes] | None:
    """Return what a classifier matches and what it denies; None if evercan encodes no such."""
    found = read_ematches(data, at, end)
    kinds = [(ematch.kind, ematch.flags) for ematch in found]
    entries = [ematch.data for ematch in found]
    if kinds == [(_EM_CANID, _EM_AND | _EM_INVERT), (_EM_CANID, 0)]:
        return entries[1], entries[0]
    if kinds == [(_EM_CANID, _EM_INVERT)]:
        return b"", entries[0]
    if kinds == [(_EM_CANID, 0)]:
        return entries[0], b""
    return None if kinds else (b"", b"")


def _read_action(data: bytes, at: int, end: int) -> _Action:
    name = ""
    packets = drops = first = last = 0
    for kind, start, stop in attributes(data, at, end):
        if kind == _ACT_KIND:
            name = text(data, start, stop)
        elif kind == _ACT_OPTIONS:
            first, last = start, stop
        elif kind == _ACT_STATS:
            packets, drops = read_counters(data, start, stop)
    return _Action(name, first, last, packets, drops)


def read_counters(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read how many packets passed an action or a queue, and how many it dropped."""
    packets = drops = 0
    for kind, start, _ in attributes(data, at, end):
        if kind == _STATS_BASIC:
            _, packets = _PACKETS.unpack_from(data, start)
        elif kind == _STATS_QUEUE:
            _, _, drops, _, _ = _QUEUE.unpack_from(data, start)
    return packets, drops


def _gact(data: bytes, action: _Action) -> int:
    """Return the verdict of a ``gact``; -1 if it shows none."""
    for kind, start, _ in attributes(data, action.start, action.stop):
        if kind == _PARMS:
            return int(_ACTION.unpack_from(data, start)[2])
    return -1


def _target(interface: Filtered, data: bytes, action: _Action) -> int:
    """Return where a ``mirred`` redirects frames to; -1 if it does something else."""
    redirect = _INGRESS_REDIRECT if interface.ingress else _EGRESS_REDIRECT
    for kind, start, _ in attributes(data, action.start, action.stop):
        if kind == _PARMS:
            verdict = _ACTION.unpack_from(data, start)[2]
            does, index = _MIRRED.unpack_from(data, start + _ACTION.size)
            # 0 after the interface is gone, which is not evercan's 0 for a drop.
            return (index or -1) if (verdict, does) == (_STOLEN, redirect) else -1
    return -1


def _read_police(data: bytes, action: _Action) -> tuple[int, int]:
    """Return rate and burst of a ``police``; -1 for a rate if it is not as evercan's."""
    rate = burst = 0
    verdict = result = -1
    for kind, start, _ in attributes(data, action.start, action.stop):
        if kind == _POLICE_TBF:
            _, verdict = _POLICE.unpack_from(data, start)
        elif kind == _POLICE_RESULT:
            (result,) = _U32.unpack_from(data, start)
        elif kind == _POLICE_PKTRATE:
            (rate,) = _U64.unpack_from(data, start)
        elif kind == _POLICE_PKTBURST:
            (burst,) = _U64.unpack_from(data, start)
    return (rate, burst) if (verdict, result) == (_SHOT, _PIPE) else (-1, burst)
