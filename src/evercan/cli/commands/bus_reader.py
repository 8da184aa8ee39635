"""Read the ids, the load and the errors of a bus in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from evercan.cli.access.reach import Target
from evercan.cli.access.source import OverviewSource
from evercan.cli.commands.capture import Capture, check_senders
from evercan.cli.commands.frame_reader import FrameReader
from evercan.cli.errors import CliError, NoAccess, NoAnswer
from evercan.cli.views.bus_state import BusState, LastError, bitrates_of, network_on
from evercan.cli.views.ids import IdTable, IdView
from evercan.cli.views.load import NO_BITRATES, Bitrates, LoadMeter, share
from evercan.cli.views.overview import NetworkView
from evercan.cli.views.scene import lost
from evercan.cli.views.traffic import BusFrame, parse_filter, passes

_REFRESH = 1.0
"""Seconds from one reading of the plugin's status to the next."""


class BusReader(FrameReader):
    """The ids, the load and the errors of one network's bus."""

    def __init__(
        self,
        target: Target,
        network: str,
        filters: Sequence[str] = (),
        senders: Sequence[str] = (),
        bitrates: Bitrates = NO_BITRATES,
    ) -> None:
        """Take the bus, and what is shown of it; all frames count for the load."""
        super().__init__(target, network)
        self._filters = [parse_filter(text) for text in filters]
        self._senders, self._given = senders, bitrates
        self._table, self._meter = IdTable(), LoadMeter()
        self._lock = threading.Lock()
        self._view: NetworkView | None = None
        self._peak: float | None = None
        self._last_error: LastError | None = None
        self._status_failed = ""

    def start(self) -> None:
        """Connect now, and read in the background.

        Raises:
            CliError: there is no such network or sender, or the host cannot be reached.
        """
        check_senders(self._open(), self._senders)
        super().start()

    def _opened(self, source: OverviewSource, bus: str) -> None:
        super()._opened(source, bus)
        with suppress(NoAccess, NoAnswer):
            self._read_status(source, bus)

    def _take(self, capture: Capture, frames: Sequence[BusFrame]) -> None:
        now = time.monotonic()
        with self._lock:
            for frame in frames:
                if frame.is_error:
                    self._last_error = LastError.after(self._last_error, frame.stamp, frame.content)
                    continue
                self._meter.add(frame.text, now)
                sender = capture.name_of(frame)
                if self._senders and sender not in self._senders:
                    continue
                if passes(self._filters, frame.can_id):
                    self._table.add(frame, sender)

    def _accompany(self, source: OverviewSource, over: threading.Event) -> None:
        """Read the plugin's status again and again."""
        while not over.wait(_REFRESH):
            try:
                self._read_status(source, self.bus)
                self._status_failed = ""
            except CliError as error:
                self._status_failed = f"{lost(error).what}, retrying"
            except Exception as error:  # noqa: BLE001 - any error ends the application
                if not over.is_set():
                    self.error = error
                return

    def _read_status(self, source: OverviewSource, bus: str) -> None:
        self._view = network_on(source.read(), self.network, bus)

    @property
    def failed(self) -> str:
        """What does not answer; empty if all do."""
        return super().failed or self._status_failed

    @property
    def frames(self) -> int:
        """Frames so far, with those that the filters leave out."""
        return self._meter.frames

    def views(self) -> list[IdView]:
        """Return all ids."""
        with self._lock:
            return self._table.views()

    def state(self, seconds: float | None = None) -> BusState:
        """Return the state of the bus.

        Args:
            seconds: compute rate and load for all frames, over this time; else for the last second.
        """
        now = time.monotonic()
        controller = bitrates_of(self._view)
        bitrates = controller if controller.nominal else self._given
        with self._lock:
            meter = self._meter
            if seconds is None:
                rate, load = meter.rate(now), meter.share(now, bitrates)
            else:
                rate = meter.frames / seconds
                load = share(meter.nominal, meter.data, seconds, bitrates)
            if load is not None:
                self._peak = max(load, self._peak or 0.0)
            return BusState(
                self.bus,
                self._view,
                bitrates,
                rate,
                load,
                self._peak,
                self._last_error,
                int(time.time() * 1_000_000),
            )

    def clear(self) -> None:
        """Count from now on."""
        with self._lock:
            self._table.clear()
            self._peak = self._last_error = None
