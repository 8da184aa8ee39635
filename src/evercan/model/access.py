"""What a member may send and receive: lists of CAN ids and a rate, as users write them.

A list is ``all``, ``none``, or entries separated by commas, as can-utils writes filters:
``123`` and ``200:700`` for 11-bit ids, ``12345678`` and ``18FF0000:1FFF0000`` for 29-bit
ids, ``400~7FF`` for all but these.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from functools import lru_cache

from evercan.values import NamedTuple, dataclass, fields_of, replace

ALL, NONE_OF_THEM = "all", "none"

EFF_FLAG = 0x8000_0000
"""``CAN_EFF_FLAG`` of ``linux/can.h``: the id has 29 bits."""

SFF_MASK, EFF_MASK = 0x7FF, 0x1FFF_FFFF

MAX_ENTRIES = 500
"""``EM_CAN_RULES_MAX`` of ``net/sched/em_canid.c``."""

_ENTRY = re.compile(r"([0-9A-Fa-f]+)(?:([:~])([0-9A-Fa-f]+))?")
_FILTER = struct.Struct("=II")  # struct can_filter: id and mask
_SHORT, _LONG = 3, 8  # hex digits of an 11-bit id, and of a 29-bit id


class IdList(NamedTuple):
    """Which frames a list lets through.

    A frame passes if no entry of ``denied`` matches it, and if ``allowed`` is None or an
    entry of it matches. Entries are ``struct can_filter``, one after another, 29-bit ids
    first, as the kernel keeps them (``em_canid_change``).

    Attributes:
        allowed: entries; None for every frame, empty for none.
        denied: entries.
    """

    allowed: bytes | None = None
    denied: bytes = b""


@lru_cache(maxsize=1024)
def read_ids(text: str) -> IdList:
    """Read a list.

    Raises:
        ValueError: it is malformed; the text says which entry and why.
    """
    if text == ALL:
        return IdList()
    if text == NONE_OF_THEM:
        return IdList(allowed=b"")
    entries = text.split(",")
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"has {len(entries)} entries, and a list can have {MAX_ENTRIES}")
    read = [_read_entry(entry) for entry in entries]
    allowed = [(can_id, mask) for can_id, mask, denied in read if not denied]
    denied = [(can_id, mask) for can_id, mask, denied in read if denied]
    return IdList(_packed(allowed) if allowed else None, _packed(denied))


def _packed(entries: Iterable[tuple[int, int]]) -> bytes:
    unique = sorted(dict.fromkeys(entries), key=lambda entry: not entry[0] & EFF_FLAG)
    return b"".join(_FILTER.pack(can_id, mask) for can_id, mask in unique)


def _read_entry(entry: str) -> tuple[int, int, bool]:
    """Read an entry: id and mask as of ``struct can_filter``, and whether it denies."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError(f"the entry {entry[:40]!r} is not an id, ID:MASK or ID~MASK in hex digits")
    digits, sign, mask_digits = found.groups()
    if len(digits) <= _SHORT:
        limit, flag, size = SFF_MASK, 0, _SHORT
    elif len(digits) == _LONG:
        limit, flag, size = EFF_MASK, EFF_FLAG, _LONG
    else:
        raise ValueError(
            f"the id {digits[:40]} has {len(digits)} digits, and an id has up to {_SHORT} "
            f"(11 bits) or {_LONG} (29 bits)"
        )
    if mask_digits is not None and (len(mask_digits) > _SHORT) != (size == _LONG):
        raise ValueError(f"the mask of {entry[:40]} is not as long as its id")
    can_id, mask = int(digits, 16), limit if mask_digits is None else int(mask_digits, 16)
    if can_id > limit or mask > limit or len(mask_digits or "") > _LONG:
        raise ValueError(f"the entry {entry[:40]} is above {limit:X}")
    return can_id & mask | flag, mask, sign == "~"


@dataclass(frozen=True, slots=True)
class Access:
    """What a member may send and receive.

    Attributes:
        send: the list of ids that it may send (``vxcan.send``).
        receive: the list of ids that it receives (``vxcan.receive``).
        send_rate: frames a second that it may send (``vxcan.send-rate``); 0 for no limit.
        send_burst: frames that it may send at once (``vxcan.send-burst``), if it has a rate.
    """

    send: str = ALL
    receive: str = ALL
    send_rate: int = 0
    send_burst: int = 0

    @property
    def is_limited(self) -> bool:
        """Whether it keeps any frame away."""
        return (self.send, self.receive, self.send_rate) != (ALL, ALL, 0)

    def words(self) -> str:
        """Write it as a person reads it."""
        parts = [f"sends {self.send}", f"receives {self.receive}"]
        if self.send_rate:
            parts.append(f"at most {self.send_rate} frames/s, {self.send_burst} at once")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class AskedAccess:
    """What a user asks for, of a network or an endpoint; None where nothing is asked for.

    Attributes:
        send: as of ``Access``.
        receive: as of ``Access``.
        send_rate: as of ``Access``; 0 takes the network's away.
        send_burst: as of ``Access``.
    """

    send: str | None = None
    receive: str | None = None
    send_rate: int | None = None
    send_burst: int | None = None

    def over(self, default: AskedAccess) -> AskedAccess:
        """Return this, and ``default`` where nothing is asked for."""
        given = {name: value for name, value in fields_of(self).items() if value is not None}
        return replace(default, **given)

    def words(self) -> str:
        """Write what is given, as the options are written."""
        return " ".join(
            f"{name.replace('_', '-')}={value}"
            for name, value in fields_of(self).items()
            if value is not None
        )


NOTHING_ASKED = AskedAccess()


class Filter(NamedTuple):
    """A classifier on an interface with what it does to the frames that it matches.

    Attributes:
        matches: entries as of ``IdList``, one of which matches; empty for every frame.
        denied: entries as of ``IdList``, none of which matches.
        target: the ifindex that frames are redirected to; 0 drops them.
        rate: frames a second; 0 for no limit.
        burst: the time in which ``send_burst`` frames may be sent at that rate, in ticks of
            64 ns (``PSCHED_SHIFT``).
    """

    matches: bytes = b""
    denied: bytes = b""
    target: int = 0
    rate: int = 0
    burst: int = 0


Filters = tuple[Filter, ...]
"""The classifiers of one interface, in their order: the first that matches decides."""


class FilterCount(NamedTuple):
    """What the classifiers of one interface have counted.

    Attributes:
        denied: frames that are not allowed.
        over_rate: frames that were allowed, and too many.
    """

    denied: int = 0
    over_rate: int = 0


def send_filters(access: Access, target: int) -> Filters:
    """Return what a host end has: allowed frames go to the filter interface ``target``."""
    return _filters(read_ids(access.send), target, access.send_rate, access.send_burst)


def receive_filters(access: Access, target: int) -> Filters:
    """Return what a filter interface has: allowed frames go to the host end ``target``."""
    return _filters(read_ids(access.receive), target, 0, 0)


def _filters(ids: IdList, target: int, rate: int, burst: int) -> Filters:
    # One tick more: act_police drops every frame if a frame takes more than the burst.
    ticks = burst * 1_000_000_000 // rate // 64 + 1 if rate else 0
    if ids.allowed == b"":
        return (Filter(),)
    passes = Filter(ids.allowed or b"", ids.denied, target, rate, ticks)
    # The second only counts: without any of them fewer frames pass, never more.
    return (passes, Filter()) if ids != IdList() else (passes,)
