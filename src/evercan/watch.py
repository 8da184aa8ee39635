"""Takes a turn when the kernel says that something changed, and now and then anyway.

Link events wake it at once, debounced; the rule table sends no events, so it
is compared at an interval. Between the two it sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from evercan.errors import EvercanError
from evercan.turns import Turns

DEBOUNCE = 0.05
"""Seconds between the first event and the turn: one change seldom comes alone."""

_log = logging.getLogger(__name__)


class LinkEventSource(Protocol):
    """``kernel.events.LinkEvents``, or a fake of it."""

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        ...

    def drain(self) -> bool:
        """Read what is there; return whether it concerns CAN interfaces."""
        ...


class Watch:
    """Keeps the kernel as declared while nobody calls."""

    def __init__(self, turns: Turns, events: LinkEventSource, interval: float) -> None:
        """Take the seconds between two checks; 0 leaves it to the events."""
        self._turns = turns
        self._events = events
        self._interval = interval
        self._healthy: bool | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        happened = asyncio.Event()

        def readable() -> None:
            if self._events.drain():
                happened.set()

        loop.add_reader(self._events.fileno(), readable)
        try:
            self._tell_health()
            while True:
                try:
                    async with asyncio.timeout(self._interval or None):
                        await happened.wait()
                        await asyncio.sleep(DEBOUNCE)
                except TimeoutError:
                    pass  # no event for a whole interval: look at the rules
                happened.clear()
                await self._look()
        finally:
            loop.remove_reader(self._events.fileno())

    async def _look(self) -> None:
        try:
            await self._turns.check()
            await self._turns.look_for_losses()
        except EvercanError as error:
            _log.error("Health check FAILED: %s", error)
            self._healthy = False
        else:
            self._tell_health()

    def _tell_health(self) -> None:
        """Say how things stand, when that has changed."""
        state = self._turns.state
        healthy = not state.problems
        if healthy and self._healthy is not True:
            _log.info(
                "Health check OK: %d networks, %d endpoints",
                len(state.declared.networks),
                len(state.declared.endpoints),
            )
        if not healthy and self._healthy is not False:
            texts = "; ".join(dict.fromkeys(problem.text for problem in state.problems))
            _log.error("Health check FAILED: %s", texts)
        self._healthy = healthy
