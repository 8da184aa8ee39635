"""Keep the last frames of a bus."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from evercan.cli.access.reach import Target
from evercan.cli.commands.capture import Capture
from evercan.cli.commands.frame_reader import FrameReader
from evercan.cli.views.traffic import BusFrame, SentFrame

_KEPT = 1000
"""Frames that are kept."""


class Tail(FrameReader):
    """The last frames of one network's bus, error frames too.

    Attributes:
        sender: only frames of this container are kept; those of all senders if empty.
        count: frames so far, of these senders.
    """

    def __init__(self, target: Target, network: str, sender: str = "") -> None:
        """Take the bus and the sender; `start` connects."""
        super().__init__(target, network)
        self.sender, self.count = sender, 0
        self._kept: deque[SentFrame] = deque(maxlen=_KEPT)

    def _take(self, capture: Capture, frames: Sequence[BusFrame]) -> None:
        for frame in frames:
            name = capture.name_of(frame)
            if self.sender in ("", name):
                self.count += 1
                self._kept.append(SentFrame(frame, name))

    def last(self) -> list[SentFrame]:
        """Return the frames that are kept, oldest first."""
        return list(self._kept.copy())
