"""Count the frames of a bus by id and sender: how often, how regularly, and what is in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from evercan.cli.views.frame import Frame, parse_frame
from evercan.cli.views.traffic import BusFrame

WINDOW = 64
"""Distances between frames from which period and jitter are computed."""

CHANGED = 1_000_000
"""Microseconds for which a byte counts as changed."""

_SILENT = 2_000_000
_MISSED = 5
_SHORT_ID = 3

SORTS = ("id", "sender", "rate", "count")
"""What lines can be sorted by."""


@dataclass(frozen=True, slots=True)
class IdView:
    """An id that a sender has sent.

    Attributes:
        sender: the container's name, or the bus interface.
        id_text: the id in 3 hexadecimal digits, or in 8 if it has 29 bits.
        frame: the last frame.
        count: frames so far.
        first: when the first one was sent, microseconds since 1970.
        last: when the last one was sent.
        period: mean distance of the last frames in seconds; None with one frame.
        jitter: standard deviation of these distances.
        changed: positions of the bytes that changed a moment ago.
    """

    sender: str
    id_text: str
    frame: Frame
    count: int
    first: int
    last: int
    period: float | None
    jitter: float | None
    changed: frozenset[int] = frozenset()

    def silent(self, now: int) -> bool:
        """Whether frames have stopped to come, at a time in microseconds since 1970."""
        usual = _MISSED * (self.period or 0) * 1_000_000
        return now - self.last > max(_SILENT, usual)


class _Line:
    """An id of a sender."""

    __slots__ = ("changes", "count", "distances", "first", "last", "payload", "text")

    def __init__(self, frame: BusFrame, payload: str) -> None:
        self.text, self.payload = frame.text, payload
        self.first = self.last = frame.stamp
        self.count = 1
        self.distances: deque[int] = deque(maxlen=WINDOW)
        self.changes: dict[int, int] = {}

    def add(self, frame: BusFrame, payload: str) -> None:
        self.distances.append(frame.stamp - self.last)
        self.last = frame.stamp
        self.count += 1
        if payload != self.payload:
            old = self.payload
            for place in range(0, len(payload), 2):
                if payload[place : place + 2] != old[place : place + 2]:
                    self.changes[place // 2] = frame.stamp
            self.payload = payload
        self.text = frame.text


class IdTable:
    """The ids of a bus so far."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lines: dict[tuple[str, str], _Line] = {}

    def add(self, frame: BusFrame, sender: str) -> None:
        """Count a frame."""
        id_text, _, payload = frame.text.partition("#")
        if payload[:1] == "#":
            payload = payload[2:]  # flags of CAN FD
        line = self._lines.get((sender, id_text))
        if line is None:
            self._lines[sender, id_text] = _Line(frame, payload)
        else:
            line.add(frame, payload)

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self._lines)

    def clear(self) -> None:
        """Begin again."""
        self._lines.clear()

    def keep(self, number: int) -> None:
        """Forget the ids that have been silent for longest, if there are more than a number."""
        if len(self._lines) > number:
            by_time = sorted(self._lines, key=lambda key: self._lines[key].last)
            for key in by_time[: len(self._lines) - number]:
                del self._lines[key]

    def views(self) -> list[IdView]:
        """Return all ids, in the order of their first frames."""
        return [
            view
            for (sender, id_text), line in self._lines.items()
            if (view := _view(sender, id_text, line)) is not None
        ]


def _view(sender: str, id_text: str, line: _Line) -> IdView | None:
    frame = parse_frame(line.text)
    if frame is None:
        return None
    period = jitter = None
    if line.distances:
        mean = sum(line.distances) / len(line.distances)
        square = sum((distance - mean) ** 2 for distance in line.distances) / len(line.distances)
        period, jitter = mean / 1_000_000, sqrt(square) / 1_000_000
    changed = frozenset(
        place
        for place, stamp in line.changes.items()
        if line.last - stamp < CHANGED and place < len(frame.data)
    )
    return IdView(
        sender, id_text, frame, line.count, line.first, line.last, period, jitter, changed
    )


def sort_views(views: Iterable[IdView], by: str) -> list[IdView]:
    """Sort ids by one of `SORTS`; 11-bit ids come before those of 29 bits."""

    def by_id(view: IdView) -> tuple[object, ...]:
        return len(view.id_text) > _SHORT_ID, view.frame.can_id, view.sender

    ordered = sorted(views, key=by_id)
    if by == "sender":
        ordered.sort(key=lambda view: view.sender)
    elif by == "rate":
        ordered.sort(key=lambda view: view.period or float("inf"))
    elif by == "count":
        ordered.sort(key=lambda view: -view.count)
    return ordered


def matching(views: Sequence[IdView], words: str, messages: Sequence[str]) -> list[IdView]:
    """Keep the ids that have every word in their id, their sender or their message's name.

    Args:
        views: the ids.
        words: the words; upper and lower case are the same.
        messages: the name of the message of each id; empty if it is in no database.
    """
    wanted = words.casefold().split()
    return [
        view
        for view, message in zip(views, messages, strict=True)
        if all(word in f"{view.id_text} {view.sender} {message}".casefold() for word in wanted)
    ]
