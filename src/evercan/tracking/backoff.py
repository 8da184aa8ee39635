"""Pauses that grow from one failure to the next."""

from __future__ import annotations

FIRST, LONGEST = 1.0, 60.0
"""Seconds of the first pause, and of the longest, unless others are given."""


class Backoff:
    """Doubles a pause with each failure in a row."""

    def __init__(self, *, first: float | None = None, longest: float = LONGEST) -> None:
        """Start with no failure.

        Args:
            first: seconds of the first pause; ``FIRST`` if there is no value.
            longest: seconds that no pause exceeds.
        """
        self._first, self._longest = FIRST if first is None else first, longest
        self._pause = self._first

    def next(self) -> float:
        """Return the seconds to wait after one more failure: 1, 2, 4, … 60 by default."""
        pause, self._pause = self._pause, min(self._pause * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin again with the first pause: something succeeded."""
        self._pause = self._first
