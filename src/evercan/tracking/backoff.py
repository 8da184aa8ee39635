"""Pauses that grow from one failure to the next."""

from __future__ import annotations

FIRST, LONGEST = 1.0, 60.0
"""Seconds of the first pause, and of the longest."""


class Backoff:
    """Doubles a pause with each failure in a row."""

    def __init__(self) -> None:
        """Start with no failure."""
        self._pause = FIRST

    def next(self) -> float:
        """Return the seconds to wait after one more failure: 1, 2, 4, … 60."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST)
        return pause

    def reset(self) -> None:
        """Begin again with the first pause: something succeeded."""
        self._pause = FIRST
