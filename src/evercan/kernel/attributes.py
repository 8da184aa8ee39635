"""Netlink attributes as bytes: type and place of each; no I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from evercan.kernel.netlink import align

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF


def attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, first and last byte of each attribute."""
    while at + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & _TYPE_MASK, at + _ATTRIBUTE.size, at + size
        at += max(align(size), _ATTRIBUTE.size)


def text(data: bytes, start: int, stop: int) -> str:
    """Read a string of the kernel's."""
    return data[start:stop].rstrip(b"\0").decode(errors="surrogateescape")
