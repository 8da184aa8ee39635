"""Finds and encodes the attributes of netlink messages; no I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF


def attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, first and last byte of each attribute."""
    head = _ATTRIBUTE.unpack_from
    while at + 4 <= end:
        size, kind = head(data, at)
        yield kind & _TYPE_MASK, at + 4, at + size
        at += (size + 3) & ~3 or 4  # a size of 0 is not an attribute, and must not stop the loop


def text(data: bytes, start: int, stop: int) -> str:
    """Read a string of the kernel."""
    return data[start:stop].rstrip(b"\0").decode(errors="surrogateescape")


def attribute(kind: int, *parts: bytes) -> bytes:
    """Encode an attribute of some parts."""
    data = b"".join(parts)
    size = _ATTRIBUTE.size + len(data)
    return _ATTRIBUTE.pack(size, kind) + data + bytes(-size % 4)
