"""Encodes and decodes what ``basic`` classifiers match (``linux/pkt_cls.h``); no I/O."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from evercan.kernel.attributes import attribute, attributes
from evercan.values import NamedTuple

BASIC_EMATCHES = 2
_TREE_HEADER, _TREE_LIST = 1, 2
_COUNT = struct.Struct("=HH")  # tcf_ematch_tree_hdr: how many, and who has made them
_HEADER = struct.Struct("=HHHH")  # tcf_ematch_hdr: id, kind, flags, padding


class Ematch(NamedTuple):
    """One condition: its kind, how it is combined with the next one, and its data."""

    kind: int
    flags: int
    data: bytes


def ematches(found: Sequence[Ematch]) -> bytes:
    """Encode the conditions of a classifier as one of its options."""
    encoded = (
        attribute(number, _HEADER.pack(0, ematch.kind, ematch.flags, 0), ematch.data)
        for number, ematch in enumerate(found, start=1)
    )
    return attribute(
        BASIC_EMATCHES,
        attribute(_TREE_HEADER, _COUNT.pack(len(found), 0)),
        attribute(_TREE_LIST, *encoded),
    )


def read_ematches(data: bytes, at: int, end: int) -> list[Ematch]:
    """Decode the conditions of a classifier from its option."""
    found = []
    for kind, start, stop in attributes(data, at, end):
        if kind == _TREE_LIST:
            for _, first, last in attributes(data, start, stop):
                _, ematch, flags, _ = _HEADER.unpack_from(data, first)
                found.append(Ematch(ematch, flags, data[first + _HEADER.size : last]))
    return found
