"""Messages of a dump that are laid out alike, found and read many at once; no I/O.

A table of twenty thousand rules is twenty thousand messages that differ in a few
numbers. What they share is compared column by column and what they differ in is
unpacked in one go: loops that the interpreter runs, not the program.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any


class Layout:
    """Messages of one length with the same bytes at some places.

    Attributes:
        length: of a message, in bytes; a multiple of four (``NLMSG_ALIGN``).
    """

    def __init__(self, fixed: Sequence[tuple[int, bytes]], numbers: str) -> None:
        """Describe it.

        Args:
            fixed: places and what is there.
            numbers: what to read, in the words of ``struct``, for a whole message.
        """
        self._struct = struct.Struct(numbers)
        self._fixed = [(at + n, each) for at, some in fixed for n, each in enumerate(some)]
        self.length = self._struct.size

    def count(self, data: bytes, offset: int) -> int:
        """Count the messages from an offset on that are laid out so."""
        length = self.length
        found = (len(data) - offset) // length
        for at, value in self._fixed:
            if not found:
                break
            first = offset + at
            column = data[first : first + (found - 1) * length + 1 : length]
            found -= len(column.lstrip(bytes((value,))))
        return found

    def read(self, data: bytes, offset: int, count: int) -> Iterator[tuple[Any, ...]]:
        """Read the numbers of so many messages."""
        return self._struct.iter_unpack(memoryview(data)[offset : offset + count * self.length])
