"""Estimate the width of text in a picture, and shorten text to fit; no I/O.

The reader's font is unknown. The widths here are those of DejaVu Sans Bold, the widest
font that a picture asks for, in a few classes: text may be narrower, but not wider.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate, takewhile

_CLASSES = {
    0.38: " '.,/\\|ijlIJ",
    0.48: "!()[]:;-ft",
    0.60: '"*?_`crsz',
    0.72: "$0123456789{}abdeghknopquvxy",
    1.00: "…",
    1.12: "%@MWmw",
}
_EM = {letter: wide for wide, letters in _CLASSES.items() for letter in letters}
_CAPITAL, _FOREIGN = 0.88, 1.2

_STUB = re.compile(r"^\w{0,3}[-_.](?=.{5})")
"""The last letters of a cut word, which are removed from the start of an ending."""


def width(text: str, size: float) -> float:
    """Return the greatest width of text, in the unit of its size."""
    return sum(map(_em, text)) * size


def shortened(text: str, size: float, room: float, end: float = 0.75) -> str:
    """Shorten a text that does not fit, by its middle.

    Args:
        text: a line.
        size: its height.
        room: the width it may have.
        end: the part of the room for the end of the text. It is large since the names of one
            project have equal beginnings.
    """
    if width(text, size) <= room:
        return text
    room -= width("…", size)
    tail = _STUB.sub("", _ending(text, size, room * end))
    return f"{_beginning(text, size, room - width(tail, size))}…{tail}"


def distinct(names: Sequence[str], size: float, room: float) -> list[str]:
    """Shorten names so that they remain different, if possible."""
    long = {name for name in names if width(name, size) > room}
    left, shared = room - width("…", size), _shared(long)
    ways = (
        {name: shortened(name, size, room) for name in long},
        {name: f"…{_ending(name, size, left)}" for name in long},
        {name: f"…{shortened(name[shared:], size, left, end=0.5)}" for name in long},
    )
    results = [[way.get(name, name) for name in names] for way in ways]
    number = len(set(names))
    return next((result for result in results if len(set(result)) == number), results[0])


def _shared(names: Collection[str]) -> int:
    """Return how many letters all names have in common at the start, up to the end of a word."""
    first, last = min(names, default=""), max(names, default="")
    common = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))))
    return max(first.rfind(mark, 0, common) for mark in "-_.") + 1


def _beginning(text: str, size: float, room: float) -> str:
    ends = list(accumulate(_em(letter) * size for letter in text))
    return text[: bisect_right(ends, room)]


def _ending(text: str, size: float, room: float) -> str:
    return _beginning(text[::-1], size, room)[::-1]


def _em(letter: str) -> float:
    # An accent needs no width: ä is as wide as a.
    base = unicodedata.normalize("NFD", letter)[0]
    return _EM.get(base, _CAPITAL if base.isascii() else _FOREIGN)
