"""A can-gw rule, its counters, and the mark of evercan's own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple, Self  # noqa: TID251 - a pass may make tens of thousands of rules

TAG = 0x0CA0_E7E2
"""The number that says "ours": of an interface as ``LINK_GROUP``, of a rule in ``OWNER_MARK``."""

OWNER_MARK = struct.pack("=HHII", 12, 11, TAG, 0)
"""``CGW_FILTER`` that says "ours" of a rule none of whose ends is evercan's.

Its id is the tag and its mask is empty, so that it lets every frame pass: the kernel treats it
as no filter (``can_rx_register``), and shows it in a dump.
"""


class Rule(NamedTuple):
    """A can-gw job, compared as the kernel compares it (``net/can/gw.c``, cgw_remove_job).

    Attributes:
        source: ifindex that the frames come from.
        target: ifindex that they are sent to.
        flags: ``CGW_FLAGS_*`` of ``linux/can/gw.h``.
        hops: ``CGW_LIM_HOPS``; 0 when not limited.
        extras: the message's other attributes, encoded, in the kernel's order: filters
            and modifications, which evercan's own rules do not have.
    """

    source: int
    target: int
    flags: int
    hops: int = 1
    extras: bytes = b""

    @property
    def is_marked(self) -> bool:
        """Whether it has evercan's mark."""
        return self.extras == OWNER_MARK

    def without_mark(self) -> Self:
        """Return the rule that does the same and is somebody else's."""
        return self._replace(extras=b"")

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int, bytes]]) -> Iterator[Self]:
        """Make rules of rows of all their attributes, without a Python call for each."""
        return map(tuple.__new__, repeat(cls), rows)


class RuleCount(NamedTuple):
    """The counters of a can-gw job, in frames since it was added."""

    handled: int = 0
    dropped: int = 0
    deleted: int = 0

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]]) -> Iterator[Self]:
        """Make counts of rows, as ``Rule.of`` does."""
        return map(tuple.__new__, repeat(cls), rows)
