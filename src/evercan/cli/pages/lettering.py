"""How wide text is in a picture, and what of it fits; pure.

The reader's font is not known. Taken is DejaVu Sans Bold, the widest of those that
a picture asks for, in a few classes: text is not wider than said here, and may be less.
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
"""What an ending reads better without: the last letters of the word before."""


def width(text: str, size: float) -> float:
    """How wide text may be, in the unit of its size."""
    return sum(map(_em, text)) * size


def shortened(text: str, size: float, room: float, end: float = 0.75) -> str:
    """Leave out the middle of what does not fit.

    Args:
        text: a line.
        size: its height.
        room: how wide it may be.
        end: how much of what is left is the end: most of it, for names of one project begin alike.
    """
    if width(text, size) <= room:
        return text
    room -= width("…", size)
    tail = _STUB.sub("", _ending(text, size, room * end))
    return f"{_beginning(text, size, room - width(tail, size))}…{tail}"


def told_apart(names: Sequence[str], size: float, room: float) -> list[str]:
    """Shorten names so that they stay different, if there is a way."""
    long = {each for each in names if width(each, size) > room}
    left, shared = room - width("…", size), _shared(long)
    ways = (
        {each: shortened(each, size, room) for each in long},
        {each: f"…{_ending(each, size, left)}" for each in long},
        {each: f"…{shortened(each[shared:], size, left, end=0.5)}" for each in long},
    )
    tried = [[way.get(each, each) for each in names] for way in ways]
    return next((each for each in tried if len(set(each)) == len(set(names))), tried[0])


def _shared(names: Collection[str]) -> int:
    """How many letters all names begin with, up to where a word ends."""
    first, last = min(names, default=""), max(names, default="")
    alike = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))))
    return max(first.rfind(each, 0, alike) for each in "-_.") + 1


def _beginning(text: str, size: float, room: float) -> str:
    ends = list(accumulate(_em(letter) * size for letter in text))
    return text[: bisect_right(ends, room)]


def _ending(text: str, size: float, room: float) -> str:
    return _beginning(text[::-1], size, room)[::-1]


def _em(letter: str) -> float:
    # An accent takes no room: ä is as wide as a.
    base = unicodedata.normalize("NFD", letter)[0]
    return _EM.get(base, _CAPITAL if base.isascii() else _FOREIGN)
