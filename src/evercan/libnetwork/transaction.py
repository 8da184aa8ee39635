"""One call of the engine, all or nothing: commit its change, and roll it back if the call fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy

from evercan.errors import EvercanError
from evercan.intent.changes import Change
from evercan.reconcile.outcome import Outcome
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.waiting import Ticket

_ROLLBACK_WAIT = 1.0
"""Seconds that a failed call waits for its rollback."""

_log = logging.getLogger(__name__)


class Transactions:
    """Commits the changes of calls, so that a call that fails leaves nothing half done."""

    def __init__(self, queue: PassQueue) -> None:
        """Take the queue that runs the passes."""
        self._queue = queue

    @asynccontextmanager
    async def commit(self, change: Change) -> AsyncIterator[Outcome]:
        """Commit a change and yield its outcome; roll it back if the body raises.

        Raises:
            EvercanError: the change was rejected, or the pass failed.
        """
        ticket = self._queue.submit(change)
        try:
            # Shielded: the pass may be running, and goes on even if the call is given up.
            outcome = await asyncio.shield(ticket.done)
            raise_error(outcome)
            yield outcome
        except BaseException:
            if not (ticket.done.done() and ticket.done.result().before is None):
                await self._roll_back(ticket)
            raise

    async def _roll_back(self, ticket: Ticket) -> None:
        """Undo the change of a call that fails; the call's own error is the one to report.

        Waits a second at the most: the call may fail because passes take too long, and
        then the rollback comes with a later one.
        """
        rollback = self._queue.undo(ticket).done
        rollback.add_done_callback(_log_failed_rollback)
        await asyncio.wait([rollback], timeout=_ROLLBACK_WAIT)


def _log_failed_rollback(rollback: asyncio.Future[Outcome]) -> None:
    if not rollback.cancelled() and (error := rollback.result().error) is not None:
        _log.error(
            "Could not roll back a failed call yet: %s; the rollback is tried again",
            error,
        )


def raise_error(outcome: Outcome) -> None:
    """Raise a copy of an outcome's error, if it has one: several calls may share a pass.

    Raises:
        EvercanError: the change was rejected, or the pass failed.
    """
    if outcome.error is not None:
        raised: EvercanError = copy(outcome.error)
        raise raised from outcome.error.__cause__
