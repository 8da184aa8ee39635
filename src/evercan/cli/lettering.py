"""How wide text is in a picture, and what of it fits; pure.

The reader's font is not known. Taken is DejaVu Sans Bold, the widest of those that
a picture asks for, in a few classes: text is not wider than said here, and may be less.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from itertools import accumulate

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


def width(text: str, size: float) -> float:
    """How wide text may be, in the unit of its size."""
    return sum(map(_em, text)) * size


def shortened(text: str, size: float, room: float) -> str:
    """Leave out what does not fit."""
    if width(text, size) <= room:
        return text
    return f"{_beginning(text, size, room - width('…', size))}…"


def _beginning(text: str, size: float, room: float) -> str:
    ends = list(accumulate(_em(letter) * size for letter in text))
    return text[: bisect_right(ends, room)]


def _em(letter: str) -> float:
    # An accent takes no room: ä is as wide as a.
    base = unicodedata.normalize("NFD", letter)[0]
    return _EM.get(base, _CAPITAL if base.isascii() else _FOREIGN)
