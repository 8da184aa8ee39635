"""Notices within a second or so that rules were flushed, which causes no event.

The number of receive list entries (``kernel.receive_lists``) is compared with that of the last
observation. Programs of the host that open and close CAN sockets change it too, so passes
that only a changed number calls for become rarer while they go on. If there are fewer
entries than there were rules, rules are certainly gone, and a pass follows at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from evercan.model.state import State
from evercan.reconcile.queue import PassQueue
from evercan.tracking.backoff import LONGEST, Backoff

_log = logging.getLogger(__name__)


class RuleProbe:
    """Runs a pass when the number of receive list entries has changed since the last one."""

    def __init__(
        self, queue: PassQueue, count_entries: Callable[[], int | None], interval: float
    ) -> None:
        """Take where the number is read, and the seconds between two readings."""
        self._queue = queue
        self._count_entries = count_entries
        self._interval = interval
        self._backoff = Backoff()
        self._not_before = 0.0
        self._reported = False

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            now = time.monotonic()
            # During a pass the number changes with the rules that it adds.
            if not self._queue.is_busy and self._calls_for_pass(self._queue.state, now):
                await self._queue.check_since(now)

    def _calls_for_pass(self, state: State, now: float) -> bool:
        if not state.declared.networks or not state.observed.can_gw:
            return False
        seen, entries = state.observed.receivers, self._count_entries()
        if seen is None or entries is None:
            self._report_unknown()
            return False
        if entries == seen.entries:
            return False
        return entries < seen.rules or self._may_check(now)

    def _may_check(self, now: float) -> bool:
        """Whether a pass may follow that perhaps nothing but a program's socket calls for."""
        if now < self._not_before:
            return False
        if now > self._not_before + LONGEST:
            self._backoff.reset()
        self._not_before = now + self._backoff.next()
        return True

    def _report_unknown(self) -> None:
        if not self._reported:
            self._reported = True
            _log.debug(
                "The kernel does not show /proc/net/can/stats: flushed rules are found at the "
                "interval of EVERCAN_HEALTH_INTERVAL only"
            )
