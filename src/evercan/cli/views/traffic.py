"""Find the frames of a bus, each once and with its sender, in captures of the host; no I/O.

A frame that a container sends arrives first at the container's host end. can-gw
then copies it to the other host ends, where a capture does not show it, and to
the bus interface, where a capture shows it as an echo. Therefore:

- a frame captured at a host end was sent by that container,
- a frame that a program of the host sent has a mark of the kernel (``MSG_DONTROUTE``),
- any other frame on the bus interface is an echo if a container sent an equal frame
  shortly before; otherwise it came over the wire.

Each frame of a container accounts for one echo, so the number of equal frames is
right even if their order is not.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.errors import CliError
from evercan.cli.views.frame import ERROR, STATE, SWITCH, Frame, parse_frame

HOLD = 0.1
"""Seconds that a frame is held back, for frames that were sent earlier and are read later."""

ECHO_WITHIN = 1_000_000
"""Microseconds within which the echo of a container's frame appears on the bus interface."""

COLUMN = 15
"""Characters of a sender's name in a log, which has the length of an interface's: IFNAMSIZ - 1."""

_LINE = re.compile(
    r"\((?P<seconds>\d+)\.(?P<micro>\d{6})\) +(?P<interface>\S+) +"
    r"(?P<text>(?P<id>[0-9A-F]{3}|[0-9A-F]{8})##?\S*)(?: +(?P<mark>[A-Z ]+))?",
    re.ASCII,
)
_LOST = re.compile(r"DROPCOUNT: dropped (\d+) ", re.ASCII)
_FILTER = re.compile(r"([0-9A-Fa-f]{1,8})(?:([:~])([0-9A-Fa-f]{1,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame captured on one interface of the host.

    Attributes:
        stamp: microseconds since 1970.
        interface: where it was captured.
        text: id and payload as candump's log format has them: ``123#C0FFEE``.
        local: whether a program of the host sent it.
    """

    stamp: int
    interface: str
    text: str
    local: bool

    @property
    def frame(self) -> Frame | None:
        """The frame itself; None if the text is none."""
        return parse_frame(self.text)


@dataclass(frozen=True, slots=True)
class BusFrame:
    """A frame of a bus.

    Attributes:
        stamp: microseconds since 1970.
        sender: the host end it arrived at, or the bus interface.
        text: id and payload as candump's log format has them.
    """

    stamp: int
    sender: str
    text: str

    @property
    def can_id(self) -> int:
        """The CAN id with the flags that candump writes into it."""
        return int(self.text.partition("#")[0], 16)

    @property
    def is_error(self) -> bool:
        """Whether it is an error frame."""
        return self.text[8:9] == "#" and bool(self.can_id & ERROR)

    @property
    def content(self) -> Frame:
        """The frame itself."""
        content = parse_frame(self.text)
        if content is None:
            raise ValueError(f"{self.text} is not a frame")
        return content


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A frame of a bus with the name of its sender: a container, or the bus interface."""

    frame: BusFrame
    sender: str


def parse(line: str) -> CapturedFrame | None:
    """Parse a line of ``candump -L -x``; return None for any other line."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    stamp = int(found["seconds"]) * 1_000_000 + int(found["micro"])
    return CapturedFrame(stamp, found["interface"], found["text"], "T" in (found["mark"] or ""))


def lost_frames(line: str) -> int:
    """Return how many frames a line of candump reports as lost; 0 for any other line."""
    found = _LOST.match(line)
    return int(found[1]) if found else 0


def write(frame: BusFrame, name: str) -> str:
    """Format a frame in candump's log format, with a name in place of the interface."""
    seconds, micro = divmod(frame.stamp, 1_000_000)
    return f"({seconds:010d}.{micro:06d}) {name} {frame.text}"


@dataclass
class Merger:
    """Sorts captured frames by time, and removes echoes.

    Attributes:
        bus: the bus interface.
        ends: the host ends of its members.
        hold: seconds that a frame is held back.
    """

    bus: str
    ends: set[str]
    hold: float = HOLD
    _waiting: list[tuple[int, bool, int, float, CapturedFrame]] = field(default_factory=list)
    _number: int = 0
    _sent: dict[str, deque[int]] = field(default_factory=dict)
    _newest: int = 0

    def push(self, captured: CapturedFrame, arrived: float) -> None:
        """Add a frame of any interface; ``arrived`` is in seconds of a monotonic clock."""
        self._number += 1
        # With equal stamps, the frame comes before its echo.
        entry = (captured.stamp, captured.interface == self.bus, self._number, arrived, captured)
        heapq.heappush(self._waiting, entry)

    def ready(self, now: float) -> Iterator[BusFrame]:
        """Yield, in order, the frames that were held back long enough."""
        while self._waiting and self._waiting[0][3] <= now - self.hold:
            frame = self._resolve(heapq.heappop(self._waiting)[4])
            if frame is not None:
                yield frame

    def rest(self) -> Iterator[BusFrame]:
        """Yield, in order, all remaining frames."""
        return self.ready(float("inf"))

    def _resolve(self, captured: CapturedFrame) -> BusFrame | None:
        if captured.interface in self.ends:
            self._sent.setdefault(captured.text, deque()).append(captured.stamp)
            self._forget(captured.stamp)
            return BusFrame(
                captured.stamp, self.bus if captured.local else captured.interface, captured.text
            )
        if captured.interface != self.bus:
            return None
        if not captured.local and self._is_echo(captured):
            return None
        return BusFrame(captured.stamp, self.bus, captured.text)

    def _is_echo(self, captured: CapturedFrame) -> bool:
        sent = self._sent.get(captured.text)
        while sent:
            if captured.stamp - sent.popleft() <= ECHO_WITHIN:
                return True
        return False

    def _forget(self, stamp: int) -> None:
        """Drop, once a second, old frames without an echo: a bus that is down has no echoes."""
        if stamp - self._newest < ECHO_WITHIN:
            return
        self._newest = stamp
        for text, sent in list(self._sent.items()):
            while sent and stamp - sent[0] > ECHO_WITHIN:
                sent.popleft()
            if not sent:
                del self._sent[text]


def as_json(frame: BusFrame, sender: str, bus: str) -> dict[str, Any]:
    """Return a frame as a JSON document.

    Args:
        frame: the frame.
        sender: the container's name, or the bus interface.
        bus: the bus interface.
    """
    return {
        "time": frame.stamp / 1_000_000,
        "bus": bus,
        "sender": sender,
        **frame_as_json(frame.content),
    }


def frame_as_json(content: Frame) -> dict[str, Any]:
    """Return what is in a frame as fields of a JSON document."""
    return {
        "id": content.can_id,
        "extended": content.extended,
        "error": content.error,
        "remote": content.remote,
        "fd": content.fd,
        "bitrate_switch": bool(content.flags & SWITCH),
        "error_state_indicator": bool(content.flags & STATE),
        "length": content.length,
        "data": content.data.hex().upper(),
    }


def columns(names: Mapping[str, str], bus: str) -> dict[str, str]:
    """Return a different name of at most `COLUMN` characters for each host end.

    can-utils have short buffers for a log's interfaces; python-can splits at spaces.

    Args:
        names: containers' names by host end.
        bus: the bus interface, which keeps its name.
    """
    taken = Counter({bus: 1})
    given = {bus: bus}
    for end in sorted(names):
        name = re.sub(r"\s", "_", names[end]) or end
        if len(name) > COLUMN:
            # Keep the end of the name: compose puts the project's name first.
            name = f"~{name[1 - COLUMN :]}"
        while taken[name]:
            taken[name] += 1
            tail = f"~{taken[name]}"
            name = f"{name[: COLUMN - len(tail)]}{tail}"
        taken[name] += 1
        given[end] = name
    return given


@dataclass(frozen=True)
class Filter:
    """Selects ids that equal ``can_id`` in the bits of ``mask``; if ``inverted``, all others."""

    can_id: int
    mask: int
    inverted: bool = False

    def passes(self, can_id: int) -> bool:
        """Return whether the filter lets an id through."""
        return ((can_id & self.mask) == (self.can_id & self.mask)) is not self.inverted


def parse_filter(text: str) -> Filter:
    """Parse ``ID:MASK``, ``ID~MASK`` or ``ID``.

    Raises:
        CliError: it is none of these.
    """
    found = _FILTER.fullmatch(text)
    if found is None:
        raise CliError(
            f"--filter {text} is neither ID:MASK nor ID~MASK in hexadecimal digits",
            "write, for example, 100:700 for 100 to 1FF",
        )
    number, how, mask = found.groups()
    return Filter(int(number, 16), int(mask, 16) if mask else 0x1FFFFFFF, how == "~")


def passes(filters: Iterable[Filter], can_id: int) -> bool:
    """Return whether any filter lets an id through; without filters, every id passes."""
    filters = list(filters)
    return not filters or any(wanted.passes(can_id) for wanted in filters)
