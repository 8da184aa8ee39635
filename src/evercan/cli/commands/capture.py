"""Capture the frames of a bus: each once, in order, with its sender."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from evercan.cli.access.joins import Joins
from evercan.cli.access.reach import Target
from evercan.cli.access.wiring import OpenBus, Wiring, open_bus, read_wiring
from evercan.cli.errors import CliError
from evercan.cli.views.traffic import (
    HOLD,
    BusFrame,
    Filter,
    Merger,
    lost_frames,
    parse,
    parse_filter,
    passes,
)

_TICK = 0.02
"""Seconds after which what has arrived is passed on."""

_TOGETHER = HOLD / 2
"""Seconds within which one reading of the wiring serves all interfaces that are new."""


@dataclass(frozen=True)
class Selection:
    """Which frames are wanted, and how many.

    Attributes:
        filters: filters of CAN ids; a frame passes if any of them lets it pass.
        senders: names of containers, or of the bus interface.
        count: frames that pass, without those that are lost; None for no limit.
        duration: seconds; None for no limit.
        errors: error frames too, whatever the filters of ids are.
        hold: seconds that a frame is held back, for frames that were sent earlier.
    """

    filters: Sequence[str] = ()
    senders: Sequence[str] = ()
    count: int | None = None
    duration: float | None = None
    errors: bool = False
    hold: float = HOLD


class Capture:
    """The frames of one network's bus.

    Attributes:
        names: the sender's name for each interface: a container, or the bus interface itself;
            containers that have left are among them.
        bus: the bus interface.
        network: the network, as it was named.
        passed: frames that were wanted and have passed so far.
        lost: frames that were lost so far because reading was too slow. The kernel counts them
            on all CAN interfaces of the host together.
    """

    def __init__(self, bus: OpenBus, target: Target, network: str, wanted: Selection) -> None:
        """Check the selection; `batches` starts to read frames.

        Raises:
            CliError: there is no such sender, or a filter is not valid.
        """
        self._engine, self._host = bus.engine, bus.host
        self._target, self.network = target, network
        self._wanted = wanted
        self._filters: list[Filter] = [parse_filter(text) for text in wanted.filters]
        self._lines: queue.SimpleQueue[str | CliError] = queue.SimpleQueue()
        self._other_interfaces: set[str] = set()
        self._new_interfaces: set[str] = set()
        self._noticed = 0.0
        self._closed = False
        self._begun: float | None = None
        self._stopped = False
        self.passed = self.lost = 0
        self._joins = Joins(bus.engine, self._read_wiring)
        self.names: dict[str, str] = {}
        wiring = bus.wiring
        self.bus = wiring.bus
        self._merger = Merger(wiring.bus, set(), wanted.hold)
        self._use(wiring)
        check_senders(self, wanted.senders)

    def batches(self) -> Iterator[list[BusFrame]]:
        """Yield the frames that have passed since the last batch, many times a second.

        Ends when the selection's count or duration is reached, or after `stop`.

        Raises:
            CliError: the frames cannot be read any more; those that were read have been yielded.
        """
        threading.Thread(target=self._read, daemon=True).start()
        self._joins.start()
        try:
            while not self._is_over():
                try:
                    self._gather()
                    now = time.monotonic()
                    if now - self._noticed >= _TOGETHER:
                        self._find_new()
                    self._use_joined()
                except CliError:
                    yield list(self._select(self._merger.rest()))
                    raise
                yield list(self._select(self._merger.ready(now)))
                if self.passed == self._wanted.count:
                    return
            yield self.rest()
        finally:
            self.close()

    def _is_over(self) -> bool:
        """Whether it was stopped, or the duration has passed since the reading has begun."""
        if self._begun is None or self._wanted.duration is None:
            return self._stopped
        return self._stopped or self.seconds >= self._wanted.duration

    @property
    def seconds(self) -> float:
        """The seconds since the reading has begun, which a helper container delays."""
        return 0.0 if self._begun is None else time.monotonic() - self._begun

    def stop(self) -> None:
        """Let `batches` end with the frames that were sent until now."""
        self._stopped = True

    def rest(self) -> list[BusFrame]:
        """Return, at the end, the frames that were sent until now and that were held back."""
        time.sleep(HOLD)
        self.close()
        with suppress(queue.Empty):
            while True:
                line = self._lines.get_nowait()
                if not isinstance(line, CliError):  # nothing more is to be read anyway
                    self._take(line)
        self._find_new()
        self._use_joined()
        return list(self._select(self._merger.rest()))

    def _select(self, frames: Iterator[BusFrame]) -> Iterator[BusFrame]:
        wanted = self._wanted
        for frame in frames:
            if not frame.is_error and not passes(self._filters, frame.can_id):
                continue
            if wanted.senders and self.name_of(frame) not in wanted.senders:
                continue
            self.passed += 1
            yield frame
            if self.passed == wanted.count:
                return

    def name_of(self, frame: BusFrame) -> str:
        """Return the sender's name."""
        return self.names.get(frame.sender, frame.sender)

    def _read(self) -> None:
        try:
            for line in self._host.frames(errors=self._wanted.errors):
                if self._closed:
                    return
                self._lines.put(line)
        except CliError as error:
            self._lines.put(error)

    @property
    def begun(self) -> bool:
        """Whether frames are being read."""
        return self._begun is not None

    def close(self) -> None:
        """Read no further frames."""
        self._closed = True
        self._joins.close()

    def _gather(self) -> None:
        """Take the lines that have arrived; wait a moment if there are none.

        If more lines arrive than can be taken, this still ends after a moment.
        """
        until = time.monotonic() + _TICK
        with suppress(queue.Empty):
            line = self._lines.get(timeout=_TICK)
            self._begun = self._begun or time.monotonic()
            self._take(line)
            while time.monotonic() < until:
                self._take(self._lines.get_nowait())

    def _take(self, line: str | CliError) -> None:
        if isinstance(line, CliError):
            raise line
        captured = parse(line)
        if captured is not None:
            self._notice(captured.interface)
            self._merger.push(captured, time.monotonic())
        else:
            self.lost += lost_frames(line)

    def _notice(self, interface: str) -> None:
        """Take note of a new interface."""
        known = self._merger.ends, self._other_interfaces, self._new_interfaces
        if interface == self.bus or any(interface in names for names in known):
            return
        if not self._new_interfaces:
            self._noticed = time.monotonic()
        self._new_interfaces.add(interface)

    def _find_new(self) -> None:
        """Read the wiring again if there are new interfaces: containers may have joined.

        Their frames are held back until then. Other buses may have many interfaces, and to read
        the wiring through a helper container takes a program there.
        """
        if self._new_interfaces:
            self._other_interfaces |= self._new_interfaces
            self._new_interfaces = set()
            self._use(self._read_wiring())

    def _use_joined(self) -> None:
        """Use what was read when containers joined: some may have left since."""
        for wiring in self._joins.take():
            self._use(wiring)

    def _read_wiring(self) -> Wiring:
        return read_wiring(self._engine, self._target, self._host, self.network)

    def _use(self, wiring: Wiring) -> None:
        self.names = self.names | wiring.ends | {wiring.bus: wiring.bus}
        self._merger.ends |= set(wiring.ends)


def check_senders(captured: Capture, senders: Sequence[str]) -> None:
    """Check that senders are on the bus.

    Raises:
        CliError: one is not.
    """
    for sender in senders:
        if sender not in captured.names.values():
            others = sorted(set(captured.names.values()) - {captured.bus})
            known = ", ".join([captured.bus, *others])
            raise CliError(
                f"--from {sender} is not on network {captured.network}", f"senders: {known}"
            )


@contextmanager
def capture(target: Target, network: str, wanted: Selection) -> Iterator[Capture]:
    """Connect to the engine and its host, and provide the capture.

    Raises:
        CliError: there is no such network, or the host cannot be reached.
    """
    for text in wanted.filters:
        parse_filter(text)  # before anything is opened
    with open_bus(target, network) as bus:
        yield Capture(bus, target, network, wanted)
