"""Read the frames of a bus in the background, and connect again after an error."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from evercan.cli.access.feed import CLOSE_TIMEOUT, RETRY
from evercan.cli.access.reach import Target
from evercan.cli.access.source import OverviewSource
from evercan.cli.access.wiring import OpenBus, read_wiring
from evercan.cli.commands.capture import Capture, Selection
from evercan.cli.errors import CliError
from evercan.cli.views.traffic import BusFrame


class FrameReader(ABC):
    """Reads the frames of one network's bus; a subclass says what becomes of them.

    Attributes:
        network: the network's name, as it was given.
        bus: the bus interface; empty until it is known.
        broken: why frames cannot be read now; None if they can.
        error: an unexpected error, after which nothing is read.
    """

    def __init__(self, target: Target, network: str) -> None:
        """Take the bus; `start` connects."""
        self._target, self.network = target, network
        self._left = threading.Event()
        self._lost_before = 0
        self._source: OverviewSource | None = None
        self._capture: Capture | None = None
        self.bus = ""
        self._until: float | None = None
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._companion: threading.Thread | None = None
        self.broken: CliError | None = None
        self.error: Exception | None = None

    @abstractmethod
    def _take(self, capture: Capture, frames: Sequence[BusFrame]) -> None:
        """Take frames that have passed, error frames too."""

    def _opened(self, source: OverviewSource, bus: str) -> None:  # noqa: ARG002 - for subclasses
        """Take note of a connection before it is used."""
        self.bus = bus

    def _accompany(
        self,
        source: OverviewSource,  # noqa: ARG002 - for subclasses
        over: threading.Event,
    ) -> None:
        """Run, in a thread of its own, beside the reading from a connection until it is over."""
        over.wait()

    def start(self) -> None:
        """Connect, and read, in the background."""
        self._thread.start()

    def _open(self) -> Capture:
        source = OverviewSource(self._target)
        try:
            wiring = read_wiring(source.engine, self._target, source.host, self.network)
            self._opened(source, wiring.bus)
            bus = OpenBus(source.engine, source.host, wiring)
            capture = Capture(bus, self._target, self.network, Selection(errors=True))
        except BaseException:
            source.close()
            raise
        self._source, self._capture = source, capture
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
        self._companion = threading.Thread(target=self._accompany, args=(source, over), daemon=True)
        self._companion.start()
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

    @property
    def failed(self) -> str:
        """What does not answer; empty if all do."""
        return "" if self.broken is None else f"no frames ({self.broken}), retrying"

    @property
    def begun(self) -> bool:
        """Whether frames have been read, or the first one is waited for."""
        return self._since is not None

    @property
    def lost(self) -> int:
        """Frames that were lost because reading was too slow."""
        return self._lost_before + (self._capture.lost if self._capture else 0)

    @property
    def seconds(self) -> float:
        """Seconds for which frames have been read."""
        return 0.0 if self._since is None else (self._until or time.monotonic()) - self._since

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
        closing.join(CLOSE_TIMEOUT)

    def _close(self) -> None:
        self._drop()
        for thread in (self._thread, self._companion):
            if thread is not None and thread.ident is not None:
                thread.join()
        self._drop()  # what one of them has opened meanwhile

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
