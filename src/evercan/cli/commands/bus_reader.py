"""Read the frames and the state of a bus in the background, and connect again after an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from evercan.cli.access.reach import Target
from evercan.cli.access.source import OverviewSource
from evercan.cli.access.wiring import OpenBus, read_wiring
from evercan.cli.commands.capture import Capture, Selection, check_senders
from evercan.cli.errors import CliError, NoAccess, NoAnswer
from evercan.cli.pages.watch_app import RETRY, lost
from evercan.cli.views.bus_state import BusState, LastError, bitrates_of, network_on
from evercan.cli.views.error_frame import error_words
from evercan.cli.views.ids import IdTable, IdView
from evercan.cli.views.load import NO_BITRATES, Bitrates, LoadMeter, share
from evercan.cli.views.overview import NetworkView
from evercan.cli.views.traffic import BusFrame, parse_filter, passes

_REFRESH = 1.0
"""Seconds from one reading of the plugin's status to the next."""

_CLOSE_TIMEOUT = 2.0


class BusReader:
    """The ids, the load and the errors of one network's bus.

    Attributes:
        network: the network's name, as it was given.
        bus: the bus interface.
        broken: why frames cannot be read now; None if they can.
        error: an unexpected error, after which nothing is read.
    """

    def __init__(
        self,
        target: Target,
        network: str,
        filters: Sequence[str] = (),
        senders: Sequence[str] = (),
        bitrates: Bitrates = NO_BITRATES,
    ) -> None:
        """Take the bus, and what is shown of it; all frames count for the load."""
        self._target, self.network = target, network
        self._filters = [parse_filter(text) for text in filters]
        self._senders, self._given = senders, bitrates
        self._table, self._meter = IdTable(), LoadMeter()
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._view: NetworkView | None = None
        self._peak: float | None = None
        self._last_error: LastError | None = None
        self._status_failed = ""
        self._lost_before = 0
        self._source: OverviewSource | None = None
        self._capture: Capture | None = None
        self.bus = ""
        self._until: float | None = None
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._refresher: threading.Thread | None = None
        self.broken: CliError | None = None
        self.error: Exception | None = None

    def start(self) -> None:
        """Connect, and read in the background.

        Raises:
            CliError: there is no such network or sender, or the host cannot be reached.
        """
        check_senders(self._open(), self._senders)
        self._thread.start()

    def _open(self) -> Capture:
        source = OverviewSource(self._target)
        try:
            wiring = read_wiring(source.engine, self._target, source.host, self.network)
            with suppress(NoAccess, NoAnswer):
                self._read_status(source, wiring.bus)
            bus = OpenBus(source.engine, source.host, wiring)
            capture = Capture(bus, self._target, self.network, Selection(errors=True))
        except BaseException:
            source.close()
            raise
        self.bus, self._source, self._capture = wiring.bus, source, capture
        if self._left.is_set():  # it was closed meanwhile
            self._drop()
        return capture

    def _run(self) -> None:
        while not self._left.is_set():
            try:
                if self._source is None:
                    self._open()
                self._read()
            except CliError as error:
                self.broken = error
                self._drop()
                self._left.wait(RETRY)
            except Exception as error:  # noqa: BLE001 - any error ends the application
                self.error = error
                return

    def _read(self) -> None:
        """Read frames until an error, or until this is closed."""
        capture, source = self._capture, self._source
        if capture is None or source is None:
            return
        over = threading.Event()
        self._refresher = threading.Thread(target=self._refresh, args=(source, over), daemon=True)
        self._refresher.start()
        try:
            for frames in capture.batches():
                self._take(capture, frames)
                self.broken = None
                if self._since is None and capture.begun:
                    self._since = time.monotonic()
                if self._left.is_set():
                    self._take(capture, capture.rest())
                    return
        finally:
            over.set()
            capture.close()
            self._lost_before, self._capture = self.lost, None

    def _take(self, capture: Capture, frames: Sequence[BusFrame]) -> None:
        now = time.monotonic()
        with self._lock:
            for frame in frames:
                if frame.is_error:
                    count = self._last_error.count + 1 if self._last_error else 1
                    self._last_error = LastError(frame.stamp, error_words(frame.content), count)
                    continue
                self._meter.add(frame.text, now)
                sender = capture.name_of(frame)
                if self._senders and sender not in self._senders:
                    continue
                if passes(self._filters, frame.can_id):
                    self._table.add(frame, sender)

    def _refresh(self, source: OverviewSource, over: threading.Event) -> None:
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
        if self.broken is not None:
            return f"no frames ({self.broken}), retrying"
        return self._status_failed

    @property
    def frames(self) -> int:
        """Frames so far, with those that the filters leave out."""
        return self._meter.frames

    @property
    def lost(self) -> int:
        """Frames that were lost because reading was too slow."""
        return self._lost_before + (self._capture.lost if self._capture else 0)

    @property
    def seconds(self) -> float:
        """Seconds for which frames have been read."""
        return 0.0 if self._since is None else (self._until or time.monotonic()) - self._since

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

    def finish(self) -> None:
        """Stop reading, and wait for the frames that were held back."""
        self._left.set()
        self._thread.join()
        self._until = time.monotonic()

    def close(self) -> None:
        """Close the connections, also while one of them waits."""
        self._left.set()
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT)

    def _close(self) -> None:
        self._drop()
        for thread in (self._thread, self._refresher):
            if thread is not None and thread.ident is not None:
                thread.join()
        self._drop()  # what one of them has opened meanwhile

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
