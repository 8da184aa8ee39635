"""Runs a pass when the kernel announces a change, and at an interval.

Link events cause a pass at once, debounced; those that follow calls of the engine are left
to the full pass that verifies these calls (``reconcile.retries``). The rule table sends no
events, so it is compared at an interval. Between the two the watcher sleeps.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from evercan.errors import EvercanError
from evercan.reconcile.queue import PassQueue

DEBOUNCE = 0.05
"""Seconds between the first event and the pass: one change seldom comes alone."""

DEBOUNCE_LIMITED = 0.5
"""The same while another pass is due: repairs are withheld, or calls keep causing events."""

PAUSE = 1.0
"""Seconds without a pass after one that failed."""


class LinkEventSource(Protocol):
    """``kernel.events.LinkEvents``, or a fake of it."""

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        ...

    def drain(self) -> bool:
        """Read what is there; return whether it concerns CAN interfaces."""
        ...


class Watcher:
    """Keeps the kernel as declared while nobody calls."""

    def __init__(self, queue: PassQueue, events: LinkEventSource, interval: float) -> None:
        """Take the seconds between two checks; 0 checks at events only."""
        self._queue = queue
        self._events = events
        self._interval = interval

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        happened = asyncio.Event()
        last = 0.0
        unreadable: Exception | None = None

        def readable() -> None:
            nonlocal last, unreadable
            try:
                concerned = self._events.drain()
            except Exception as error:  # noqa: BLE001 - raised below, where the supervisor sees it
                # The descriptor stays readable, so that this would be called without end.
                loop.remove_reader(self._events.fileno())
                unreadable, concerned = error, True
            if concerned:
                last = time.monotonic()
                happened.set()

        loop.add_reader(self._events.fileno(), readable)
        try:
            while True:
                await self._wait(happened)
                if happened.is_set():
                    slow = self._queue.retry_at is not None and unreadable is None
                    await asyncio.sleep(DEBOUNCE_LIMITED if slow else DEBOUNCE)
                else:
                    last = time.monotonic()  # no event until now: compare the rules
                happened.clear()
                await self._check(last)
                if unreadable is not None:
                    raise unreadable
        finally:
            loop.remove_reader(self._events.fileno())

    async def _wait(self, happened: asyncio.Event) -> None:
        """Wait for an event, or until a pass is due without one."""
        waiting = [
            asyncio.create_task(happened.wait()),
            asyncio.create_task(self._queue.wait_for_retry()),
        ]
        try:
            await asyncio.wait(
                waiting, timeout=self._interval or None, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waiting:
                task.cancel()

    async def _check(self, since: float) -> None:
        try:
            outcome = await self._queue.check_since(since)
            if outcome is None:
                return
            if outcome.error is not None:
                # It is logged already. What it left half done causes events too.
                await asyncio.sleep(PAUSE)
                return
            await self._queue.report_lost_frames()
        except EvercanError:
            await asyncio.sleep(PAUSE)
