"""Measure the buses that have a bitrate, from the frames on their interfaces.

Every frame on such a bus appears on its interface: what others sent, and what the controller has
sent itself. So the interface alone shows how full the bus is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from evercan.cli.access.feed import RETRY, Feed
from evercan.cli.errors import CliError
from evercan.cli.views.bus_state import BusState, LastError, bitrates_of
from evercan.cli.views.load import LoadMeter
from evercan.cli.views.overview import NetworkView, Overview
from evercan.cli.views.traffic import parse


@dataclass
class _Wire:
    """What was seen on one interface."""

    meter: LoadMeter = field(default_factory=LoadMeter)
    peak: float | None = None
    last_error: LastError | None = None


class Wires:
    """The buses with a bitrate; reads frames in the background as soon as there is one."""

    def __init__(self, feed: Feed) -> None:
        """Take what is connected to the host."""
        self._feed = feed
        self._wires: dict[str, _Wire] = {}
        self._reading = False
        self._left = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def follow(self, overviews: Sequence[Overview]) -> None:
        """Measure the buses of these networks."""
        buses = {
            network.bus
            for overview in overviews
            for network in overview.networks
            if bitrates_of(network).nominal
        }
        with self._lock:
            self._wires = {bus: self._wires.get(bus) or _Wire() for bus in buses}
        if buses and self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Read no further frames."""
        self._left.set()

    def _run(self) -> None:
        while not self._left.is_set():
            try:
                for line in self._feed.lines():
                    if self._left.is_set():
                        return
                    self._reading = True
                    self._take(line)
            except CliError:
                pass  # the screen says what does not answer
            self._reading = False
            self._left.wait(RETRY)

    def _take(self, line: str) -> None:
        # Other interfaces may have many times as many frames.
        interface = line.split(" ", 2)[1:2]
        wire = self._wires.get(interface[0]) if interface else None
        captured = parse(line) if wire else None
        if wire is None or captured is None:
            return
        frame = captured.frame
        with self._lock:
            if frame is not None and frame.error:
                wire.last_error = LastError.after(wire.last_error, captured.stamp, frame)
            else:
                wire.meter.add(captured.text, time.monotonic())

    def state(self, network: NetworkView) -> BusState:
        """Return what is known of a network's bus."""
        wire, bitrates = self._wires.get(network.bus), bitrates_of(network)
        stamp = int(time.time() * 1_000_000)
        if wire is None:
            return BusState(network.bus, network, bitrates, now=stamp)
        with self._lock:
            load = None
            if self._reading:
                load = wire.meter.share(time.monotonic(), bitrates)
            if load is not None:
                wire.peak = max(load, wire.peak or 0.0)
            return BusState(
                network.bus,
                network,
                bitrates,
                load=load,
                peak=wire.peak,
                last_error=wire.last_error,
                now=stamp,
            )
