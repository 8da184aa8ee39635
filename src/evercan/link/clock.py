"""Estimates how far the clock of another host is ahead of this one's, from pings.

All times are those of the monotonic clocks, in ns. Each host's starts at another moment, and the
difference is what is estimated. Setting the time of day changes nothing.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_KEPT = 16
"""Pings that an estimate is chosen from; one is sent each second, so that drift does not matter."""


class Ping(NamedTuple):
    """One ping and its answer.

    Attributes:
        sent: local time when it was sent.
        remote: the other host's time when it answered.
        received: local time when the answer was there.
    """

    sent: int
    remote: int
    received: int

    @property
    def round_trip(self) -> int:
        """Nanoseconds from the ping to its answer."""
        return self.received - self.sent

    @property
    def offset(self) -> int:
        """The other clock minus the local one, if both ways take the same time."""
        return self.remote - (self.sent + self.received) // 2

    def agrees(self, other: Ping) -> bool:
        """Return whether one offset explains both pings, whatever their ways took."""
        return 2 * abs(self.offset - other.offset) <= self.round_trip + other.round_trip


class ClockOffset:
    """The estimated offset of one other host's clock.

    The ping with the shortest round trip has the smallest error, which is half of that at most.
    """

    def __init__(self) -> None:
        self._pings: deque[Ping] = deque(maxlen=_KEPT)
        self._first_seen: int | None = None
        self._best: Ping | None = None

    @property
    def round_trip(self) -> int | None:
        """Nanoseconds of the last ping; None before the first one."""
        return self._pings[-1].round_trip if self._pings else None

    @property
    def offset(self) -> int | None:
        """The other clock minus the local one; None if nothing is known of it."""
        return self._best.offset if self._best else self._first_seen

    def add(self, ping: Ping) -> None:
        """Take another ping into account.

        A ping that no former estimate explains means that the other clock has stopped for a while
        (a suspended machine), so that former pings are no longer true.
        """
        if self._best is not None and not self._best.agrees(ping):
            self._pings.clear()
        self._pings.append(ping)
        self._best = min(self._pings, key=lambda kept: kept.round_trip)

    def age(self, source_time: int, now: int) -> int:
        """Return how many ns ago, by the local clock, something happened on the other host.

        Before the first ping is answered, what came first counts as new.
        """
        if self.offset is None:
            self._first_seen = source_time - now
        return now + (self.offset or 0) - source_time
