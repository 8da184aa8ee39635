"""Decides what becomes of each received frame, and counts it: delivered, late, doubled or lost."""

from __future__ import annotations

from dataclasses import dataclass

from evercan.link.clock import ClockOffset
from evercan.link.limit import Limit
from evercan.link.message import Message


@dataclass
class Received:
    """Counts of frames from one host; together they account for all that it has sent.

    Attributes:
        delivered: written to the bus.
        late: older than the deadline, so they were dropped.
        doubled: received before, so they were dropped.
        lost: sent and never received.
        failed: not accepted by the CAN interface.
        limited: more than the host may send, so they were dropped.
    """

    delivered: int = 0
    late: int = 0
    doubled: int = 0
    lost: int = 0
    failed: int = 0
    limited: int = 0


class Stream:
    """What is known of one run of another host's link.

    Attributes:
        clock: the offset of that host's clock.
        counts: what became of its frames.
        last: local time of its last message, ns.
    """

    def __init__(self, counts: Received, deadline: int, limit: Limit | None = None) -> None:
        """Take where to count, the age in ns from which on frames are dropped, and a limit."""
        self.clock = ClockOffset()
        self.counts = counts
        self.last = 0
        self._deadline = deadline
        self._limit = limit
        self._next: int | None = None

    def accept(self, message: Message, now: int) -> tuple[tuple[bytes, ...], int]:
        """Return the frames of a message that belong on the bus, in order; count the others.

        The index of the first of them in the message is returned, too.

        Args:
            message: what was received.
            now: local time, ns.
        """
        self.last = now
        if self._next is None:
            self._next = message.sequence
        end = message.sequence + len(message.frames)
        known = min(max(self._next - message.sequence, 0), len(message.frames))
        self.counts.doubled += known
        self.counts.lost += max(message.sequence - self._next, 0)
        self._next = max(self._next, end)
        new = message.frames[known:]
        if new and self.clock.age(message.source_time, now) > self._deadline:
            self.counts.late += len(new)
            return (), known
        if self._limit is not None and new:
            within = self._limit.take(len(new), now)
            self.counts.limited += len(new) - within
            new = new[:within]
        return new, known

    def expired(self, message: Message, now: int) -> bool:
        """Return whether an accepted message has become too old while it waited."""
        return self.clock.age(message.source_time, now) > self._deadline
