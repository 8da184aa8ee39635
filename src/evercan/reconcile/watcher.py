"""Takes a turn when the kernel says that something changed, and now and then anyway.

Link events wake it at once, debounced; the rule table sends no events, so it
is compared at an interval. Between the two it sleeps.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from evercan.errors import EvercanError
from evercan.turns import Turns

DEBOUNCE = 0.05
"""Seconds between the first event and the turn: one change seldom comes alone."""

REST = 1.0
"""Seconds without a turn after one that came to nothing."""


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

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        happened = asyncio.Event()
        last = 0.0

        def readable() -> None:
            nonlocal last
            if self._events.drain():
                last = time.monotonic()
                happened.set()

        loop.add_reader(self._events.fileno(), readable)
        try:
            while True:
                try:
                    async with asyncio.timeout(self._interval or None):
                        await happened.wait()
                        await asyncio.sleep(DEBOUNCE)
                except TimeoutError:
                    last = time.monotonic()  # no event for a whole interval: look at the rules
                happened.clear()
                await self._look(last)
        finally:
            loop.remove_reader(self._events.fileno())

    async def _look(self, since: float) -> None:
        try:
            if await self._turns.catch_up(since):
                await self._turns.look_for_losses()
        except EvercanError:
            # It has said so itself, once. What it left half done rings too: not at once again.
            await asyncio.sleep(REST)
