"""The traffic of a bus so far: its ids, its load and its last error; no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from evercan.cli.views.bus_state import LastError
from evercan.cli.views.ids import IdTable, IdView
from evercan.cli.views.load import NO_BITRATES, Bitrates, SampledBits, share
from evercan.cli.views.traffic import BusFrame, CapturedFrame, Merger

IDS = 1000
"""Ids of a bus that are kept, at most; those that are silent for longest are forgotten."""

SECONDS = 600
"""Seconds that the history of a bus goes back."""

_PAGES = 16
"""Different frames of a multiplexed message that are kept until they are taken."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A second of a bus.

    Attributes:
        time: seconds since 1970.
        rate: frames a second.
        load: the part of the time that frames took; None without a bitrate.
    """

    time: float
    rate: float
    load: float | None


@dataclass
class BusTraffic:
    """What was seen on one bus interface and on the interfaces of its members.

    Attributes:
        bus: the bus interface.
        in_parts: whether a frame has only a part of its message's signals.
        bitrates: those to compute the load with.
        last_error: the last error frame.
        peak: the highest load so far.
        history: the last `SECONDS`.
    """

    bus: str
    in_parts: Callable[[BusFrame], bool]
    bitrates: Bitrates = NO_BITRATES
    last_error: LastError | None = None
    peak: float | None = None
    history: deque[Moment] = field(default_factory=lambda: deque(maxlen=SECONDS))
    _names: dict[str, str] = field(default_factory=dict)
    _table: IdTable = field(default_factory=IdTable)
    _known_parts: dict[str, bool] = field(default_factory=dict)
    _parts: dict[tuple[str, str], dict[str, BusFrame]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin without frames."""
        self._merger = Merger(self.bus, set())
        self._bits = SampledBits()
        self._frames = self._nominal = self._data = 0
        self._since: float | None = None

    def follow(self, names: Mapping[str, str], bitrates: Bitrates) -> None:
        """Take the containers' names by the interfaces that their frames arrive at."""
        # A container that has left may have frames that are not taken yet.
        self._names |= names
        self._merger.ends |= set(names)
        self.bitrates = bitrates

    def push(self, captured: CapturedFrame, arrived: float) -> None:
        """Take a frame; ``arrived`` is in seconds of a monotonic clock."""
        if captured.text[8:9] == "#" and captured.text[0] in "23":
            frame = captured.frame
            if frame is not None and frame.error:
                if captured.interface == self.bus:
                    self.last_error = LastError.after(self.last_error, captured.stamp, frame)
                return
        self._merger.push(captured, arrived)

    def settle(self, now: float) -> None:
        """Count the frames that were held back long enough, at a time of the same clock."""
        names, table, known = self._names, self._table, self._known_parts
        measured = bool(self.bitrates.nominal)
        for frame in self._merger.ready(now):
            sender = names.get(frame.sender, frame.sender)
            table.add(frame, sender)
            self._frames += 1
            if measured:
                bits = self._bits.of(frame.text)
                self._nominal += bits.nominal
                self._data += bits.data
            number = frame.text.partition("#")[0]
            parts = known.get(number)
            if parts is None:
                parts = known[number] = self.in_parts(frame)
            if parts:
                seen = self._parts.setdefault((sender, number), {})
                if len(seen) < _PAGES:
                    seen[frame.text] = frame
        if len(table) > IDS:
            table.keep(IDS)
            known.clear()

    def take_parts(self) -> dict[tuple[str, str], list[BusFrame]]:
        """Return the different frames of multiplexed messages since the last call.

        The keys are the sender and the id in hexadecimal digits.
        """
        taken, self._parts = self._parts, {}
        return {key: list(frames.values()) for key, frames in taken.items()}

    def remember(self, now: float, time: float) -> None:
        """Add what came since the last call to the history.

        Args:
            now: of the monotonic clock.
            time: seconds since 1970.
        """
        if self._since is not None and now > self._since:
            seconds = now - self._since
            load = share(self._nominal, self._data, seconds, self.bitrates)
            if load is not None:
                self.peak = max(load, self.peak or 0.0)
            self.history.append(Moment(time, self._frames / seconds, load))
        self._since = now
        self._frames = self._nominal = self._data = 0

    def ids(self) -> Iterator[IdView]:
        """Yield the ids."""
        yield from self._table.views()
