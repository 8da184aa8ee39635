"""Follow all buses of a host in the background: their state, their ids and their signals."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from evercan.cli.access.databases import Databases
from evercan.cli.access.feed import RETRY, Feed
from evercan.cli.errors import CliError
from evercan.cli.views import web_document
from evercan.cli.views.bus_traffic import BusTraffic
from evercan.cli.views.decoding import Decoded, SignalValue
from evercan.cli.views.ids import IdView, sort_views
from evercan.cli.views.load import NO_BITRATES, Bitrates
from evercan.cli.views.scene import Scene
from evercan.cli.views.signal_history import SignalHistory
from evercan.cli.views.traffic import BusFrame, lost_frames, parse

TICK = 0.25
"""Seconds from one snapshot to the next."""

_REFRESH = 1.0
"""Seconds from one reading of the plugins' status to the next."""

_PATIENCE = 3.0
"""Seconds that lines wait for a status with their interface."""

_WAITING = 400_000
"""Lines that wait to be counted, at most: many seconds of a host's buses. More are lost."""


_SPARE = 500
"""Ids that are remembered after they were forgotten elsewhere."""

_Key = tuple[str, str, str]
"""Bus interface, sender, and id in hexadecimal digits."""


@dataclass(slots=True)
class _Id:
    """What an id means.

    Attributes:
        count: frames when it was decoded last.
        decoded: what the last frame means.
        values: the last values of all signals of its message.
    """

    count: int = 0
    decoded: Decoded | None = None
    values: dict[str, SignalValue] = field(default_factory=dict)


class Live:
    """The buses of a host.

    Attributes:
        error: an unexpected error, after which nothing is read.
        on_snapshot: is called from a thread with each snapshot.
    """

    def __init__(self, feed: Feed, databases: Databases, bitrates: Bitrates = NO_BITRATES) -> None:
        """Take the connection, and the bitrates of buses without a controller."""
        self._feed, self._databases, self._given = feed, databases, bitrates
        self.on_snapshot: Callable[[dict[str, Any]], None] = lambda _: None
        self.error: Exception | None = None
        self._scene = Scene()
        self._read_at = 0.0
        self._status_failed = self._frames_failed = ""
        self._lost = 0
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._traffic: dict[str, BusTraffic] = {}
        self._interfaces: dict[str, BusTraffic] = {}
        self._others: set[str] = set()
        self._unknown: dict[str, float] = {}
        self._wake = threading.Event()
        self._signals = SignalHistory()
        self._known: dict[_Key, _Id] = {}
        self._remembered = 0.0
        self._lock = threading.Lock()
        self._left = threading.Event()

    def start(self) -> None:
        """Read the status once, then everything in the background.

        Raises:
            CliError: it cannot be read, or there is no such network.
        """
        self._refresh()
        for work in (self._refresh_loop, self._read_loop, self._tick_loop):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()

    def close(self) -> None:
        """Stop, and close the connection."""
        self._left.set()
        self._wake.set()
        self._feed.close()

    def history(self) -> dict[str, Any]:
        """Return rate and load of each bus over the last minutes."""
        with self._lock:
            return web_document.history(self._traffic)

    def signals(self, keys: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
        """Return the values of signals over the last minutes."""
        with self._lock:
            return self._signals.points(keys)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - any error ends the command
            if not self._left.is_set():
                self.error = error
                self._left.set()

    def _refresh_loop(self) -> None:
        while not self._left.is_set():
            self._wake.wait(RETRY if self._status_failed else _REFRESH)
            self._wake.clear()
            try:
                self._refresh()
                self._status_failed = ""
            except CliError as error:
                self._status_failed = str(error)

    def _refresh(self) -> None:
        begun = time.monotonic()
        found, at = self._feed.read(), time.monotonic()
        interfaces = web_document.bus_interfaces(found, self._given)
        with self._lock:
            self._scene = self._scene.after(found, at, {})
            self._traffic = {
                bus: self._traffic.get(bus) or BusTraffic(bus, self._in_parts) for bus in interfaces
            }
            self._interfaces = {}
            for bus, (names, bitrates) in interfaces.items():
                self._traffic[bus].follow(names, bitrates)
                self._interfaces |= dict.fromkeys((bus, *names), self._traffic[bus])
            self._read_at = begun

    def _in_parts(self, frame: BusFrame) -> bool:
        return self._databases.in_parts(frame.content)

    def _read_loop(self) -> None:
        lines, add = self._lines, self._lines.append
        while not self._left.is_set():
            try:
                for line in self._feed.lines():
                    self._frames_failed = ""
                    if len(lines) < _WAITING:
                        add(line)
                    else:
                        self._left_out += 1
                    if self._left.is_set():
                        return
            except CliError as error:
                self._frames_failed = str(error)
            self._left.wait(RETRY)

    def _tick_loop(self) -> None:
        while not self._left.wait(TICK):
            with self._lock:
                snapshot = self._tick(time.monotonic(), time.time())
            self.on_snapshot(snapshot)

    def _tick(self, now: float, at: float) -> dict[str, Any]:
        """Count the lines that have come, and return a snapshot."""
        self._take_lines(now)
        for seen in self._traffic.values():
            seen.settle(now)
        if now - self._remembered >= 1.0 - TICK / 2:
            self._remembered = now
            for seen in self._traffic.values():
                seen.remember(now, at)
        return self._snapshot(at)

    def _take_lines(self, now: float) -> None:
        """Give the lines to their buses.

        Lines wait while it is not known whose interface one of them is: a container has joined,
        and the plugin's status with it has not been read yet.
        """
        lines, buses = self._lines, self._interfaces
        while lines:
            captured = parse(lines[0])
            if captured is None:
                self._lost += lost_frames(lines[0])
            elif (seen := buses.get(captured.interface)) is not None:
                seen.push(captured, now)
            elif captured.interface not in self._others and self._awaits(captured.interface, now):
                return
            lines.popleft()

    def _awaits(self, interface: str, now: float) -> bool:
        """Whether the plugin's status is still to be read for an interface that is new."""
        since = self._unknown.setdefault(interface, now)
        self._wake.set()
        if self._read_at > since or now - since > _PATIENCE:
            self._others.add(interface)
            del self._unknown[interface]
            return False
        return True

    def _snapshot(self, at: float) -> dict[str, Any]:
        stamp, overviews = int(at * 1_000_000), self._scene.overviews
        return {
            "time": at,
            "status_failed": self._status_failed,
            "frames_failed": self._frames_failed,
            "lost": self._lost + self._left_out,
            "databases": bool(self._databases),
            "plugins": web_document.plugins(overviews),
            "problems": web_document.problems(overviews),
            "buses": web_document.bus_documents(
                overviews, self._scene.measured.rates, self._traffic, stamp
            ),
            "ids": self._id_documents(at),
        }

    def _id_documents(self, at: float) -> list[dict[str, Any]]:
        documents = [
            document for bus, seen in self._traffic.items() for document in self._ids(bus, seen, at)
        ]
        if len(self._known) > _SPARE + 2 * len(documents):
            kept = {(one["bus"], one["sender"], one["id"]) for one in documents}
            self._known = {key: id_ for key, id_ in self._known.items() if key in kept}
        return documents

    def _ids(self, bus: str, seen: BusTraffic, at: float) -> Iterable[dict[str, Any]]:
        parts, stamp = seen.take_parts(), int(at * 1_000_000)
        for view in sort_views(seen.ids(), "id"):
            key = bus, view.sender, view.id_text
            known = self._known.setdefault(key, _Id())
            if known.count != view.count:
                known.count = view.count
                self._decode(key, known, view, parts.get(key[1:], ()), at)
            yield web_document.id_document(bus, view, known.decoded, known.values.values(), stamp)

    def _decode(
        self, key: _Key, known: _Id, view: IdView, parts: Sequence[BusFrame], at: float
    ) -> None:
        """Decode the last frame of an id, and those that have its message's other parts."""
        known.decoded = self._databases.decode(view.frame)
        if known.decoded is None:
            return
        others = [self._databases.decode(frame.content) for frame in parts]
        fresh = {
            signal.name: signal
            for decoded in (*others, known.decoded)
            if decoded is not None
            for signal in decoded.signals
        }
        known.values |= fresh
        for signal in fresh.values():
            number = web_document.number_of(signal)
            if number is not None:
                self._signals.add(web_document.signal_key(*key, signal.name), at, number)
