"""Read the wiring of a bus whenever a container joins a network, in the background.

The engine reports a join (moby, daemon/container_operations.go: ``connectToNetwork``) before it
starts the container's program. So the wiring is known before the first frame, also if the
container has left by the time that somebody would ask for the interface of that frame.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from evercan.cli.access.engine import SDK_ERRORS, DockerEngine
from evercan.cli.access.feed import RETRY
from evercan.cli.access.wiring import Wiring
from evercan.cli.errors import CliError

_FILTERS = {"type": "network", "event": "connect"}

_ENDED = (AttributeError, ValueError, *SDK_ERRORS)
"""What the SDK raises for a stream that the engine, or `Joins.close`, has ended."""


class Joins:
    """The wirings of a bus after each join."""

    def __init__(self, engine: DockerEngine, read: Callable[[], Wiring]) -> None:
        """Take the engine, and what reads the wiring; `start` follows the engine's events."""
        self._engine, self._read = engine, read
        self._wirings: queue.SimpleQueue[Wiring] = queue.SimpleQueue()
        self._events: Any = None
        self._closed = threading.Event()

    def start(self) -> None:
        """Follow the engine's events in the background."""
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> Iterator[Wiring]:
        """Yield the wirings that were read since this was asked last."""
        with suppress(queue.Empty):
            while True:
                yield self._wirings.get_nowait()

    def close(self) -> None:
        """Follow no further events."""
        self._closed.set()
        if self._events is not None:
            with suppress(*_ENDED):
                self._events.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            # Without events the wiring is read when the first frame of a new interface comes.
            with suppress(CliError, *_ENDED):
                self._follow()
            self._closed.wait(RETRY)

    def _follow(self) -> None:
        drivers = {plugin.name for plugin in self._engine.plugins()}
        api = self._engine.api
        self._events = self._engine.ask(api.events, filters=_FILTERS, decode=True)
        if self._closed.is_set():  # meanwhile
            self.close()
            return
        for event in self._events or ():
            if event["Actor"]["Attributes"].get("type") in drivers:
                with suppress(CliError):  # the stream lasts, and the next join may be read
                    self._wirings.put(self._read())
