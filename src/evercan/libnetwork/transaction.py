"""One call of the engine, all or nothing: commit its change, and roll it back if the call fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy

from evercan.errors import EvercanError
from evercan.intent.changes import Change, Undo
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.reconciler import Outcome

_ROLLBACK_WAIT = 1.0
"""Seconds that a failed call waits for its rollback."""

_log = logging.getLogger(__name__)


class Transactions:
    """Commits the changes of calls, so that a call that fails leaves nothing half done."""

    def __init__(self, queue: PassQueue) -> None:
        """Take the queue that runs the passes."""
        self._queue = queue
        self._rollbacks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def commit(self, change: Change) -> AsyncIterator[Outcome]:
        """Commit a change and yield its outcome; roll it back if the body raises.

        Raises:
            EvercanError: the change was rejected, or the pass failed.
        """
        # Shielded, since a call that is given up must still learn what there is to roll back.
        committing = asyncio.create_task(self._queue.run(change))
        try:
            outcome = await asyncio.shield(committing)
            raise_error(outcome)
            yield outcome
        except BaseException:
            await self._roll_back(change, committing)
            raise

    async def _roll_back(self, change: Change, committing: asyncio.Task[Outcome]) -> None:
        """Undo the change of a call that fails; the call's own error is the one to report.

        Waits a second at the most: the call may fail because passes take too long, and
        then the rollback comes with a later one.
        """
        rollback = asyncio.create_task(self._undo(change, committing))
        self._rollbacks.add(rollback)
        rollback.add_done_callback(self._rollbacks.discard)
        await asyncio.wait([rollback], timeout=_ROLLBACK_WAIT)

    async def _undo(self, change: Change, committing: asyncio.Task[Outcome]) -> None:
        committed = await committing
        if committed.before is None:
            return  # it was rejected, so there is nothing to undo
        undone = await self._queue.run(Undo(change, committed.before))
        if undone.error is not None:
            _log.error(
                "Could not roll back a failed call: %s; remove what it was for "
                "(docker rm, docker network rm)",
                undone.error,
            )


def raise_error(outcome: Outcome) -> None:
    """Raise a copy of an outcome's error, if it has one: several calls may share a pass.

    Raises:
        EvercanError: the change was rejected, or the pass failed.
    """
    if outcome.error is not None:
        raised: EvercanError = copy(outcome.error)
        raise raised from outcome.error.__cause__
