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

from evercan.kernel.netlink import HEADER, Message, align
from evercan.model import Rule, RuleCount

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
_CREATE = 0x400

_RTCANMSG = struct.Struct("=BBH")  # family, gateway type, flags
_CAN_CAN = 1
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")

HANDLED, DROPPED, SRC_IF, DST_IF, DELETED, LIM_HOPS = 7, 8, 9, 10, 12, 13

# A plain limited rule, as the kernel dumps it: hop limit, source, target. All
# rules that evercan lays look so, and there may be tens of thousands.
_PLAIN = struct.Struct("=HHB3xHHIHHI")
_PLAIN_SIZE = _PLAIN.size
_BARE = HEADER.size + _RTCANMSG.size


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


def _walk(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield each message of a dump: the datagram, its offset and its length."""
    for data in chunks:
        offset, end = 0, len(data)
        while offset + _BARE <= end:
            (length,) = _U32.unpack_from(data, offset)
            if data[offset + HEADER.size] != socket.AF_CAN:
                raise NotCanGw
            yield data, offset, length
            offset += align(length)


def decode_rules(chunks: Iterable[bytes]) -> Counter[Rule]:
    """Decode a dump into a multiset of rules.

    Raises:
        NotCanGw: the kernel answered with other routes.
    """
    rules: list[Rule] = []
    plain = _PLAIN.unpack_from
    append = rules.append
    for data, offset, length in _walk(chunks):
        # Counters come first and only when they are not zero, so a plain rule
        # ends in the same 24 bytes whatever it has counted.
        if length >= _BARE + _PLAIN_SIZE and (length - _BARE - _PLAIN_SIZE) % 8 == 0:
            size, kind, hops, s_size, s_kind, source, t_size, t_kind, target = plain(
                data, offset + length - _PLAIN_SIZE
            )
            if (
                kind == LIM_HOPS
                and s_kind == SRC_IF
                and t_kind == DST_IF
                and size == 5
                and s_size == t_size == 8
            ):
                flags = data[offset + 18] | data[offset + 19] << 8
                if _only_counters(data, offset + _BARE, offset + length - _PLAIN_SIZE):
                    append(Rule(source, target, flags, hops))
                    continue
        append(_decode(data, offset, length)[0])
    return Counter(rules)


def _only_counters(data: bytes, offset: int, end: int) -> bool:
    while offset < end:
        if data[offset] != 8 or data[offset + 2] not in (HANDLED, DROPPED, DELETED):
            return False
        offset += 8
    return True


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
