"""can-gw jobs as bytes and back; no I/O.

A job is an ``AF_CAN`` route: ``struct rtcanmsg`` (family, type, flags) and
``CGW_*`` attributes (``linux/can/gw.h``, ``net/can/gw.c``). pyroute2 maps
routes to the 12-byte ``rtmsg`` and cannot speak of these.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from operator import itemgetter

from evercan.kernel.alike import Layout
from evercan.kernel.netlink import HEADER, Message, align
from evercan.model import Rule, RuleCount

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
_CREATE = 0x400

_RTCANMSG = struct.Struct("=BBH")  # family, gateway type, flags
_CAN_CAN = 1
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")

HANDLED, DROPPED, SRC_IF, DST_IF, DELETED, LIM_HOPS = 7, 8, 9, 10, 12, 13

_BARE = HEADER.size + _RTCANMSG.size

# What the kernel writes of a plain limited rule after its counters (cgw_put_job).
_PLAIN = struct.Struct("=HHB3xHHIHHI")


def _layout(counters: tuple[int, ...]) -> Layout:
    """Lay out a plain limited rule that has counted something."""
    start = _BARE + 8 * len(counters)
    length = start + _PLAIN.size
    numbers = f"=18xH{8 * len(counters)}x4xB3x4xI4xI0s"
    heads = [(_BARE + 8 * n, _ATTRIBUTE.pack(8, kind)) for n, kind in enumerate(counters)]
    heads += [
        (start, _ATTRIBUTE.pack(5, LIM_HOPS)),
        (start + 8, _ATTRIBUTE.pack(8, SRC_IF)),
        (start + 16, _ATTRIBUTE.pack(8, DST_IF)),
    ]
    family = bytes((socket.AF_CAN, _CAN_CAN))
    return Layout([(0, _U32.pack(length)), (HEADER.size, family), *heads], numbers)


_LAYOUTS = {
    bytes(some): _layout(some)
    for many in range(4)
    for some in combinations((HANDLED, DROPPED, DELETED), many)
}
"""By the kinds of those counters that are not zero, which alone are written."""

_in_order = itemgetter(2, 3, 0, 1, 4)
"""From the order of a message (flags, hops, source, target, no extras) to that of ``Rule``."""


def _message(kind: int, flags: int, rule: Rule) -> Message:
    # The kernel takes a removal with both ifindexes 0 for "remove every rule of
    # the host" (cgw_remove_job): such a message must not exist.
    if rule.source <= 0 or rule.target <= 0:
        raise ValueError(f"a rule needs two interfaces, not {rule.source} and {rule.target}")
    payload = [_RTCANMSG.pack(socket.AF_CAN, _CAN_CAN, rule.flags)]
    if rule.hops:
        payload.append(struct.pack("=HHB3x", 5, LIM_HOPS, rule.hops))
    payload.append(rule.extras)
    payload.append(struct.pack("=HHIHHI", 8, SRC_IF, rule.source, 8, DST_IF, rule.target))
    return Message(kind, flags, b"".join(payload))


def add(rule: Rule) -> Message:
    """Encode the request that lays a rule; the kernel adds it even if it is there."""
    return _message(RTM_NEWROUTE, _CREATE, rule)


def remove(rule: Rule) -> Message:
    """Encode the request that removes one rule that compares equal."""
    return _message(RTM_DELROUTE, 0, rule)


def list_all() -> Message:
    """Encode the request for the whole table."""
    return Message(RTM_GETROUTE, 0, _RTCANMSG.pack(socket.AF_CAN, _CAN_CAN, 0))


class NotCanGw(ValueError):  # noqa: N818 - a fact about the answer, not a fault in it
    """The answer holds other routes: without can-gw the kernel lists IP's instead."""


def _require_can(data: bytes, offset: int) -> None:
    if data[offset + HEADER.size] != socket.AF_CAN:
        raise NotCanGw


def _walk(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield each message of a dump: the datagram, its offset and its length."""
    for data in chunks:
        offset, end = 0, len(data)
        while offset + _BARE <= end:
            (length,) = _U32.unpack_from(data, offset)
            _require_can(data, offset)
            yield data, offset, length
            offset += align(length)


def decode_rules(chunks: Iterable[bytes]) -> Counter[Rule]:
    """Decode a dump into a multiset of rules.

    All rules that evercan lays are plain, and there may be tens of thousands: those that
    have counted alike are read at once.

    Raises:
        NotCanGw: the kernel answered with other routes.
    """
    rules: Counter[Rule] = Counter()
    for data in chunks:
        read = _read_alike(data, rules)
        for together in _sorted(data[read:]):
            odd = together[_read_alike(together, rules) :]
            rules.update(_decode(*place)[0] for place in _walk([odd]))
    return rules


def _read_alike(data: bytes, rules: Counter[Rule]) -> int:
    """Read plain rules that are laid out as the first is; return the bytes read."""
    if len(data) < _BARE:
        return 0
    layout = _LAYOUTS.get(_counted(data, 0, *_U32.unpack_from(data)))
    if layout is None:
        return 0
    alike = layout.count(data, 0)
    rules.update(Rule.of(map(_in_order, layout.read(data, 0, alike))))
    return alike * layout.length


def _sorted(data: bytes) -> Iterator[bytes]:
    """Put the messages together that have counted alike."""
    found: dict[bytes, list[bytes]] = {}
    offset, end = 0, len(data)
    while offset + _BARE <= end:
        (length,) = _U32.unpack_from(data, offset)
        next_offset = offset + align(length)
        found.setdefault(_counted(data, offset, length), []).append(data[offset:next_offset])
        offset = next_offset
    return map(b"".join, found.values())


def _counted(data: bytes, offset: int, length: int) -> bytes:
    """Return the kinds of a plain rule's counters; of another, some bytes or other."""
    return data[offset + _BARE + 2 : offset + length - _PLAIN.size : 8]


def decode_counts(chunks: Iterable[bytes]) -> Iterator[tuple[Rule, RuleCount]]:
    """Decode a dump into rules with their counters.

    Raises:
        NotCanGw: the kernel answered with other routes.
    """
    for data, offset, length in _walk(chunks):
        yield _decode(data, offset, length)


def _decode(data: bytes, offset: int, length: int) -> tuple[Rule, RuleCount]:
    """Decode one message, whatever it holds."""
    end = offset + length
    at = offset + HEADER.size
    _, _, flags = _RTCANMSG.unpack_from(data, at)
    at += _RTCANMSG.size
    numbers = dict.fromkeys((HANDLED, DROPPED, DELETED, SRC_IF, DST_IF), 0)
    hops = 0
    extras: list[bytes] = []
    while at + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind in numbers:
            (numbers[kind],) = _U32.unpack_from(data, at + 4)
        elif kind == LIM_HOPS:
            hops = data[at + 4]
        else:
            extras.append(data[at : at + align(size)])
        at += max(align(size), _ATTRIBUTE.size)
    rule = Rule(numbers[SRC_IF], numbers[DST_IF], flags, hops, b"".join(extras))
    return rule, RuleCount(numbers[HANDLED], numbers[DROPPED], numbers[DELETED])
