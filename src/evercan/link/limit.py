"""Limits how many frames a second are taken from one host."""

from __future__ import annotations

_BURST = 0.1
"""Seconds of the rate that may come at once: as long as a link may have been held up."""

_LEAST_BURST = 64.0


class Limit:
    """A limit of frames per second, with a burst of a tenth of a second's.

    Attributes:
        exceeded_at: local time in ns at which a frame was last dropped; None if none was.
    """

    def __init__(self, rate: float) -> None:
        """Take the frames per second; 0 for no limit."""
        self.exceeded_at: int | None = None
        self._rate = rate / 1e9
        self._burst = max(rate * _BURST, _LEAST_BURST)
        self._room = self._burst
        self._last: int | None = None

    def take(self, count: int, now: int) -> int:
        """Return how many of some frames are within the limit.

        Args:
            count: of frames that have come.
            now: local time, ns.
        """
        if not self._rate:
            return count
        if self._last is not None:
            self._room = min(self._room + (now - self._last) * self._rate, self._burst)
        self._last = now
        taken = min(count, int(self._room))
        self._room -= taken
        if taken < count:
            self.exceeded_at = now
        return taken
