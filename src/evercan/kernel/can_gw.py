"""Encodes and decodes can-gw jobs; no I/O.

A job is an ``AF_CAN`` route: ``struct rtcanmsg`` (family, type, flags) and
``CGW_*`` attributes (``linux/can/gw.h``, ``net/can/gw.c``). pyroute2 maps
routes to the 12-byte ``rtmsg`` and cannot encode these.
"""

from __future__ import annotations

import socket
import struct
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, repeat
from operator import itemgetter

from evercan.kernel.alike import RUN, Layout
from evercan.kernel.netlink import HEADER, Message, align
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_counts import PAIRS, RuleCounts, paired
from evercan.model.rule_table import INDEXES, Group, RuleTable

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
_CREATE = 0x400

_RTCANMSG = struct.Struct("=BBH")  # family, gateway type, flags
_CAN_CAN = 1
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")
_HEAD = struct.Struct("=2xHI")  # the end of a struct rtcanmsg, and a target

HANDLED, DROPPED, SRC_IF, DST_IF, DELETED, LIM_HOPS = 7, 8, 9, 10, 12, 13
COUNTERS = (HANDLED, DROPPED, DELETED)
"""In the order in which the kernel writes them, which is that of ``RuleCount``."""

_BARE = HEADER.size + _RTCANMSG.size

# What the kernel writes of a plain limited rule after its counters (cgw_put_job).
_PLAIN = struct.Struct("=HHB3xHHIHHI")


class _Plain:
    """Plain limited rules, as evercan adds them, that have counted the same kinds of frames."""

    def __init__(self, counters: tuple[int, ...]) -> None:
        """Define the layout; the kernel writes only counters that are not 0."""
        many = len(counters)
        start = _BARE + 8 * many
        heads = [(_BARE + 8 * n, _ATTRIBUTE.pack(8, kind)) for n, kind in enumerate(counters)]
        heads += [
            (start, _ATTRIBUTE.pack(5, LIM_HOPS)),
            (start + 8, _ATTRIBUTE.pack(8, SRC_IF)),
            (start + 16, _ATTRIBUTE.pack(8, DST_IF)),
        ]
        length = _U32.pack(start + _PLAIN.size)
        family = bytes((socket.AF_CAN, _CAN_CAN))
        # A row: flags, the counters, hops, source, target, and no extras.
        self.layout = Layout(
            [(0, length), (HEADER.size, family), *heads], f"=18xH{'4xI' * many}4xB3x4xI4xI0s"
        )
        self._rule = itemgetter(many + 2, many + 3, 0, many + 1, many + 4)
        self._hops_at = start + 4
        # Where these are, in words of four bytes: the family and the flags, the ends.
        self._words = HEADER.size // 4, start // 4 + 5, start // 4 + 3
        self._counters = {kind: itemgetter(1 + n) for n, kind in enumerate(counters)}

    def hops(self, data: bytes) -> int | None:
        """Return the hop limit of all messages that have this layout; None if it differs."""
        column = data[self._hops_at :: self.layout.length]
        return column[0] if column and column.count(column[0]) == len(column) else None

    def columns(self, data: bytes) -> tuple[array[int], array[int]]:
        """Read the heads and the sources of messages that have this layout.

        The head of a message is its flags and target as one number, which ``_read_head`` reads.
        """
        words = array(INDEXES, data)
        flags, targets, sources = (words[at :: self.layout.length // 4] for at in self._words)
        both = array(INDEXES, bytes(8 * len(flags)))
        both[::2], both[1::2] = flags, targets
        return array("Q", both.tobytes()), sources

    @property
    def has_only_handled(self) -> bool:
        """Whether the rules have handled frames, and have neither dropped nor deleted any."""
        return self._counters.keys() == {HANDLED}

    def handled(self, data: bytes) -> array[int]:
        """Read how many frames they have handled, if that is all that they have counted."""
        return array(INDEXES, data)[_BARE // 4 + 1 :: self.layout.length // 4]

    def jobs(self, data: bytes) -> Iterator[tuple[Rule, RuleCount]]:
        """Read them with their counters, if they have counted anything."""
        if not self._counters:
            return iter(())
        rows = list(self.layout.read(data))
        columns = (
            map(self._counters[kind], rows) if kind in self._counters else repeat(0)
            for kind in COUNTERS
        )
        return zip(
            Rule.of(map(self._rule, rows)), RuleCount.of(zip(*columns, strict=False)), strict=True
        )


_PLAIN_BY_COUNTERS = {
    bytes(some): _Plain(some) for many in range(4) for some in combinations(COUNTERS, many)
}
"""By the kinds of those counters that are not zero, which alone are written."""


def _message(kind: int, flags: int, rule: Rule) -> Message:
    # The kernel takes a removal with both ifindexes 0 for "remove every rule of the
    # host" (cgw_remove_job), so such a message must be impossible to build.
    if rule.source <= 0 or rule.target <= 0:
        raise ValueError(f"a rule needs two interfaces, not {rule.source} and {rule.target}")
    payload = [_RTCANMSG.pack(socket.AF_CAN, _CAN_CAN, rule.flags)]
    if rule.hops:
        payload.append(struct.pack("=HHB3x", 5, LIM_HOPS, rule.hops))
    payload.append(rule.extras)
    payload.append(struct.pack("=HHIHHI", 8, SRC_IF, rule.source, 8, DST_IF, rule.target))
    return Message(kind, flags, b"".join(payload))


def add(rule: Rule) -> Message:
    """Encode the request that adds a rule; the kernel adds it even if it exists already."""
    return _message(RTM_NEWROUTE, _CREATE, rule)


def remove(rule: Rule) -> Message:
    """Encode the request that removes one rule that compares equal."""
    return _message(RTM_DELROUTE, 0, rule)


def list_all() -> Message:
    """Encode the request for the whole table."""
    return Message(RTM_GETROUTE, 0, _RTCANMSG.pack(socket.AF_CAN, _CAN_CAN, 0))


class NotCanGw(ValueError):  # noqa: N818 - a fact about the answer, not a fault in it
    """The answer has other routes: without can-gw the kernel lists those of IP instead."""


def _new_array(kind: str) -> Callable[[], array[int]]:
    return lambda: array(kind)


def _read_head(head: int) -> tuple[int, int]:
    """Return the flags and the target of which ``_Plain.columns`` made a number."""
    flags, target = _HEAD.unpack(_U64.pack(head))
    return flags, target


class _Sorted:
    """Plain rules by what they have in common: one array for each hop limit and head.

    There may be tens of thousands, so loops that run in C sort them.
    """

    def __init__(self, kind: str) -> None:
        """Take the type code of the arrays."""
        self._kind = kind
        self._by_hops: dict[int, defaultdict[int, array[int]]] = {}

    def add(self, hops: int, heads: array[int], values: array[int]) -> None:
        """Put each value into the array of its head."""
        by_head = self._by_hops.setdefault(hops, defaultdict(_new_array(self._kind)))
        deque(map(array.append, map(by_head.__getitem__, heads), values), maxlen=0)

    def take_out(self) -> Iterator[tuple[Group, array[int]]]:
        """Yield the groups with their arrays, so that they are in memory only once."""
        for hops, by_head in self._by_hops.items():
            while by_head:
                head, values = by_head.popitem()
                flags, target = _read_head(head)
                yield (target, flags, hops, b""), values


def decode_rules(chunks: Iterable[bytes]) -> RuleTable:
    """Decode a dump into a table.

    Raises:
        NotCanGw: the kernel answered with other routes.
    """
    return _decode_dump(chunks, counted=False)[0]


def decode_without_counts(chunks: Iterable[bytes]) -> tuple[RuleTable, RuleCounts]:
    """Decode a dump into a table alone; errors as of ``decode_rules``."""
    return _decode_dump(chunks, counted=False)


def decode_with_counts(chunks: Iterable[bytes]) -> tuple[RuleTable, RuleCounts]:
    """Decode a dump into a table, and the rules that have counted frames; errors as of either."""
    return _decode_dump(chunks, counted=True)


def _decode_dump(chunks: Iterable[bytes], *, counted: bool) -> tuple[RuleTable, RuleCounts]:
    """Decode a dump.

    All rules of evercan are plain, and most have counted nothing or have handled frames:
    those with the same counters are read at once. Others become objects one by one.
    """
    groups: defaultdict[Group, array[int]] = defaultdict(_new_array(INDEXES))
    rules, handled = _Sorted(INDEXES), _Sorted(PAIRS)
    counts = RuleCounts()
    for plain, data in _pieces(chunks):
        hops = plain.hops(data) if plain else None
        if plain is None or hops is None:
            jobs = list(_jobs(data))
            for rule, _ in jobs:
                groups[rule[1:]].append(rule.source)
            if counted:
                counts.extend((rule, count) for rule, count in jobs if any(count))
            continue
        heads, sources = plain.columns(data)
        if counted and plain.has_only_handled:
            handled.add(hops, heads, paired(sources, plain.handled(data)))
            continue
        rules.add(hops, heads, sources)
        if counted:
            counts.extend(plain.jobs(data))
    for group, sources in rules.take_out():
        groups[group].extend(sources)
    for group, sources in counts.take_handled(handled.take_out()):
        if group in groups:
            groups[group].extend(sources)
        else:
            groups[group] = sources
    return RuleTable(groups), counts


def _pieces(chunks: Iterable[bytes]) -> Iterator[tuple[_Plain | None, bytes]]:
    """Cut a dump into plain rules with the same counters, and the others.

    Neighbours mostly have the same counters. Where they do not, messages are sorted one by one.
    """
    for data in chunks:
        left = data
        while left:
            plain, read = _alike(left)
            if plain is not None:
                yield plain, left[:read]
            left = left[read:]
            if read < RUN:
                break
        for together in _sorted(left):
            plain, read = _alike(together)
            yield plain, together[:read]
            yield None, together[read:]


def _alike(data: bytes) -> tuple[_Plain | None, int]:
    """Return the layout of the first rule, if it is plain, and up to which byte it holds."""
    if len(data) < _BARE:
        return None, 0
    plain = _PLAIN_BY_COUNTERS.get(_counted(data, 0, *_U32.unpack_from(data)))
    return (None, 0) if plain is None else (plain, plain.layout.end(data))


def _sorted(data: bytes) -> Iterator[bytes]:
    """Group the messages that have the same counters."""
    found: dict[bytes, list[bytes]] = {}
    for offset, length in _walk(data):
        found.setdefault(_counted(data, offset, length), []).append(
            data[offset : offset + align(length)]
        )
    return map(b"".join, found.values())


def _counted(data: bytes, offset: int, length: int) -> bytes:
    """Return the kinds of a plain rule's counters; of another rule, arbitrary bytes."""
    return data[offset + _BARE + 2 : offset + length - _PLAIN.size : 8]


def _walk(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each message is: its offset and its length."""
    offset, end = 0, len(data)
    while offset + _BARE <= end:
        (length,) = _U32.unpack_from(data, offset)
        if length < HEADER.size:
            return  # impossible, and must not keep the loop running
        yield offset, length
        offset += align(length)


def _jobs(data: bytes) -> Iterator[tuple[Rule, RuleCount]]:
    """Decode messages, whatever they hold."""
    for offset, length in _walk(data):
        if data[offset + HEADER.size] != socket.AF_CAN:
            raise NotCanGw
        yield _decode(data, offset, length)


def _decode(data: bytes, offset: int, length: int) -> tuple[Rule, RuleCount]:
    """Decode one message, whatever it holds."""
    end = offset + length
    at = offset + HEADER.size
    _, _, flags = _RTCANMSG.unpack_from(data, at)
    at += _RTCANMSG.size
    numbers = dict.fromkeys((*COUNTERS, SRC_IF, DST_IF), 0)
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
    return rule, RuleCount(*(numbers[kind] for kind in COUNTERS))
