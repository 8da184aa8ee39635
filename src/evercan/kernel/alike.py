"""Finds messages of a dump that have the same layout, and reads many at once; no I/O.

A table of twenty thousand rules is twenty thousand messages that differ in a few
numbers. What they share is compared column by column and what they differ in is
unpacked in one call: loops that run in C, not in Python.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

RUN = 1024
"""Bytes of neighbours with the same layout, from which on the next ones are looked at together."""


class Layout:
    """Messages of one length with the same bytes at some places.

    Attributes:
        length: of a message, in bytes; a multiple of four (``NLMSG_ALIGN``).
    """

    def __init__(self, fixed: Sequence[tuple[int, bytes]], numbers: str) -> None:
        """Describe it.

        Args:
            fixed: offsets and the bytes that are there.
            numbers: what to read of a whole message, as a format of ``struct``.
        """
        self._struct = struct.Struct(numbers)
        self._fixed = [(at + n, byte) for at, some in fixed for n, byte in enumerate(some)]
        self.length = self._struct.size

    def end(self, data: bytes) -> int:
        """Return up to which byte the messages have this layout."""
        length = self.length
        found = len(data) // length
        for at, value in self._fixed:
            if not found:
                break
            column = data[at : at + (found - 1) * length + 1 : length]
            found -= len(column.lstrip(bytes((value,))))
        return found * length

    def read(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        """Read the numbers of messages that all have this layout."""
        return self._struct.iter_unpack(data)
