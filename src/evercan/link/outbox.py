"""Writes received frames to the bus in their order, and lets no slow bus hold up the network."""

from __future__ import annotations

import time
from collections import deque
from threading import Condition
from typing import NamedTuple

from evercan.link.accounting import Stream
from evercan.link.can_socket import CanSocket
from evercan.link.message import Message

MOST_WAITING = 16384
"""Frames that wait for a slow bus, of all hosts; more are dropped and counted."""

MOST_OF_ONE = 4096
"""The same of one host, so that a host that sends too much leaves room for others."""

_PAUSE = 1_000_000  # ns


class _Waiting(NamedTuple):
    """A frame on its way to the bus.

    Attributes:
        due: local time in ns, before which it is not written.
        frame: as the kernel has it.
        message: that it came in.
    """

    due: int
    frame: bytes
    message: Message


class Outbox:
    """Frames on their way to the bus: written at once, or kept until they are due or find room.

    Of hosts whose frames wait for room, each writes one in turn.
    """

    def __init__(self, playout: int = 0) -> None:
        """Take the age in ns at which a frame is written; 0 writes each at once."""
        self.can: CanSocket | None = None
        self._playout = playout
        self._waiting: dict[Stream, deque[_Waiting]] = {}
        self._count = 0
        self._next_look: int | None = None
        self._changed = Condition()

    def __len__(self) -> int:
        return self._count

    def put(self, message: Message, stream: Stream, now: int) -> None:
        """Write what belongs on the bus of a message; never wait.

        Args:
            message: as it was received.
            stream: of its sender, where the frames are counted.
            now: local time, ns.
        """
        with self._changed:
            frames, first = stream.accept(message, now)
            if not self._playout and stream not in self._waiting:
                written = self._write(frames, stream)
                frames, first = frames[written:], first + written
            if frames:
                self._keep(message, frames, stream, self._due(message, stream, first, now))

    def _due(self, message: Message, stream: Stream, first: int, now: int) -> list[int]:
        """Return when each frame of a message is due, beginning with one of them."""
        if not self._playout:
            return [now] * (len(message.frames) - first)
        start = now - stream.clock.age(message.source_time, now) + self._playout
        return [start + message.offset(index) for index in range(first, len(message.frames))]

    def _keep(
        self, message: Message, frames: tuple[bytes, ...], stream: Stream, due: list[int]
    ) -> None:
        queue = self._waiting.setdefault(stream, deque())
        room = max(min(MOST_OF_ONE - len(queue), MOST_WAITING - self._count), 0)
        stream.counts.failed += max(len(frames) - room, 0)
        kept = [
            _Waiting(moment, frame, message)
            for moment, frame in zip(due[:room], frames[:room], strict=False)
        ]
        queue.extend(kept)
        self._count += len(kept)
        if not queue:
            del self._waiting[stream]
        elif self._next_look is None or queue[0].due < self._next_look:
            self._changed.notify()

    def run(self) -> None:
        """Write what waits, as soon as it is due and the bus has room again; never return."""
        with self._changed:
            while True:
                now = time.monotonic_ns()
                self._next_look = self._write_due(now)
                if self._next_look is None:
                    self._changed.wait()
                else:
                    self._changed.wait(max(self._next_look - time.monotonic_ns(), 0) / 1e9)

    def _write_due(self, now: int) -> int | None:
        """Write what is due; return when to look again, None if nothing waits."""
        progress = True
        while progress:
            progress = False
            for stream, queue in list(self._waiting.items()):
                due, frame, message = queue[0]
                if due > now:
                    continue
                if stream.expired(message, now):
                    stream.counts.late += 1
                elif not self._write((frame,), stream):
                    return now + _PAUSE
                queue.popleft()
                self._count -= 1
                progress = True
                del self._waiting[stream]  # and last in turn, if more of it waits
                if queue:
                    self._waiting[stream] = queue
        return min((queue[0].due for queue in self._waiting.values()), default=None)

    def _write(self, frames: tuple[bytes, ...], stream: Stream) -> int:
        """Write frames until one finds no room; return how many are dealt with."""
        can, counts = self.can, stream.counts
        for number, frame in enumerate(frames):
            try:
                if can is None:
                    counts.failed += 1
                elif can.write(frame):
                    counts.delivered += 1
                else:
                    return number
            except OSError:
                counts.failed += 1
        return len(frames)
