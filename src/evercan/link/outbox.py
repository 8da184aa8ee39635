"""Writes received frames to the bus in their order, and lets no slow bus hold up the network."""

from __future__ import annotations

import time
from collections import deque
from threading import Condition

from evercan.link.accounting import Stream
from evercan.link.can_socket import CanSocket
from evercan.link.message import Message

MOST_WAITING = 4096
"""Frames that wait for a slow bus; more are dropped and counted."""

_PAUSE = 0.001


class Outbox:
    """Frames on their way to the bus: written at once, or kept while the bus has no room."""

    def __init__(self) -> None:
        self.can: CanSocket | None = None
        self._waiting: deque[tuple[bytes, Message, Stream]] = deque()
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, stream: Stream, now: int) -> None:
        """Write what belongs on the bus of a message; never wait.

        Args:
            message: as it was received.
            stream: of its sender, where the frames are counted.
            now: local time, ns.
        """
        with self._changed:
            frames = stream.accept(message, now)
            if not self._waiting:
                frames = frames[self._write(frames, stream) :]
            room = MOST_WAITING - len(self._waiting)
            stream.counts.failed += max(len(frames) - room, 0)
            if frames and room:
                self._waiting.extend((frame, message, stream) for frame in frames[:room])
                self._changed.notify()

    def run(self) -> None:
        """Write what waits, as soon as the bus has room again; never return."""
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                while self._waiting:
                    frame, message, stream = self._waiting[0]
                    if stream.expired(message, time.monotonic_ns()):
                        stream.counts.late += 1
                    elif not self._write((frame,), stream):
                        break
                    self._waiting.popleft()
            time.sleep(_PAUSE)

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
