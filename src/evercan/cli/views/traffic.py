"""Frames of a bus from what is seen on the host's interfaces: each once, with its sender; pure.

A frame that a container sends arrives at its host end, and nowhere else before
that; can-gw then hands copies to the other host ends, where nothing is seen of
them, and to the bus interface, where its echo is seen like any frame. So:

- what arrives at a host end is a frame of that container,
- what a program of the host sends is marked so by the kernel (``MSG_DONTROUTE``),
- what else is seen on the bus interface is an echo if a container sent just that
  shortly before, and otherwise came over the wire.

One sending excuses one echo: with equal frames the number is right, whoever is
named first.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from evercan.cli.errors import CliError

HOLD = 0.1
"""Seconds that a frame waits for those that were sent before it and are read after it."""

ECHO_WITHIN = 1_000_000
"""Microseconds within which a bus interface shows the echo of what a container sent."""

COLUMN = 15
"""Characters that a sender may have in the place of an interface: IFNAMSIZ less its end."""

_LINE = re.compile(
    r"\((?P<seconds>\d+)\.(?P<micro>\d{6})\) +(?P<interface>\S+) +"
    r"(?P<text>(?P<id>[0-9A-F]{3}|[0-9A-F]{8})##?\S*)(?: +(?P<mark>[A-Z ]+))?",
    re.ASCII,
)
_FILTER = re.compile(r"([0-9A-Fa-f]{1,8})(?:([:~])([0-9A-Fa-f]{1,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame on one interface of the host.

    Attributes:
        stamp: microseconds since 1970.
        interface: where it was seen.
        text: id and payload as candump's log format has them: ``123#C0FFEE``.
        local: a program of the host sent it.
    """

    stamp: int
    interface: str
    text: str
    local: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the bus.

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
        """Its CAN id, 11 or 29 bits."""
        return int(self.text.partition("#")[0], 16)


def parse(line: str) -> Seen | None:
    """Read a line of ``candump -L -x``; None for whatever else is said."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    stamp = int(found["seconds"]) * 1_000_000 + int(found["micro"])
    return Seen(stamp, found["interface"], found["text"], "T" in (found["mark"] or ""))


def write(frame: Frame, name: str) -> str:
    """Write a frame in candump's log format, with a name in the interface's place."""
    seconds, micro = divmod(frame.stamp, 1_000_000)
    return f"({seconds:010d}.{micro:06d}) {name} {frame.text}"


@dataclass
class Merger:
    """Puts what is seen in order, and tells frames from their echoes.

    Attributes:
        bus: the bus interface.
        ends: the host ends of its members.
    """

    bus: str
    ends: set[str]
    _waiting: list[tuple[int, bool, int, float, Seen]] = field(default_factory=list)
    _number: int = 0
    _sent: dict[str, deque[int]] = field(default_factory=dict)
    _newest: int = 0

    def push(self, seen: Seen, arrived: float) -> None:
        """Take a frame of whatever interface; ``arrived`` is in seconds of any steady clock."""
        self._number += 1
        # With equal stamps the sending comes before its echo.
        entry = (seen.stamp, seen.interface == self.bus, self._number, arrived, seen)
        heapq.heappush(self._waiting, entry)

    def ready(self, now: float) -> Iterator[Frame]:
        """Yield, in order, what has waited long enough."""
        while self._waiting and self._waiting[0][3] <= now - HOLD:
            frame = self._judge(heapq.heappop(self._waiting)[4])
            if frame is not None:
                yield frame

    def rest(self) -> Iterator[Frame]:
        """Yield, in order, all that waits."""
        return self.ready(float("inf"))

    def _judge(self, seen: Seen) -> Frame | None:
        if seen.interface in self.ends:
            self._sent.setdefault(seen.text, deque()).append(seen.stamp)
            self._forget(seen.stamp)
            return Frame(seen.stamp, self.bus if seen.local else seen.interface, seen.text)
        if seen.interface != self.bus:
            return None
        if not seen.local and self._is_echo(seen):
            return None
        return Frame(seen.stamp, self.bus, seen.text)

    def _is_echo(self, seen: Seen) -> bool:
        sent = self._sent.get(seen.text)
        while sent:
            if seen.stamp - sent.popleft() <= ECHO_WITHIN:
                return True
        return False

    def _forget(self, stamp: int) -> None:
        """Drop, once a second, sendings that no echo followed: a bus that is down has none."""
        if stamp - self._newest < ECHO_WITHIN:
            return
        self._newest = stamp
        for text, sent in list(self._sent.items()):
            while sent and stamp - sent[0] > ECHO_WITHIN:
                sent.popleft()
            if not sent:
                del self._sent[text]


def columns(names: Mapping[str, str], bus: str) -> dict[str, str]:
    """Give each host end a name of at most `COLUMN` characters, all different.

    can-utils keep a log's interfaces in short buffers; python-can splits at blanks.

    Args:
        names: containers' names by host end.
        bus: the bus interface, whose name is its own.
    """
    taken = Counter({bus: 1})
    given = {bus: bus}
    for end in sorted(names):
        name = re.sub(r"\s", "_", names[end]) or end
        if len(name) > COLUMN:
            # The end tells more: compose puts the project's name first.
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
    """Ids that agree with ``can_id`` in the bits of ``mask``; or, ``inverted``, the others."""

    can_id: int
    mask: int
    inverted: bool = False

    def passes(self, can_id: int) -> bool:
        """Whether an id is let through."""
        return ((can_id & self.mask) == (self.can_id & self.mask)) is not self.inverted


def parse_filter(text: str) -> Filter:
    """Read ``ID:MASK``, ``ID~MASK``, or ``ID`` alone.

    Raises:
        CliError: it is none of these.
    """
    found = _FILTER.fullmatch(text)
    if found is None:
        raise CliError(
            f"--filter {text} is neither ID:MASK nor ID~MASK in hexadecimal digits; for example "
            "100:700 for 100 to 1FF"
        )
    number, how, mask = found.groups()
    return Filter(int(number, 16), int(mask, 16) if mask else 0x1FFFFFFF, how == "~")


def passes(filters: Iterable[Filter], can_id: int) -> bool:
    """Whether any filter lets an id through; without filters all are."""
    filters = list(filters)
    return not filters or any(each.passes(can_id) for each in filters)
