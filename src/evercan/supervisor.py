"""Keeps the daemon's background tasks running: one that ends is logged, reported and restarted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from evercan.errors import InternalFault
from evercan.model.problems import Problem, ProblemKind
from evercan.tracking.backoff import Backoff

STABLE = 30.0
"""Seconds that a restarted task has to run until it counts as working again."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs tasks that have no end of their own."""

    def __init__(self) -> None:
        """Start with no task."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[str, InternalFault] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """A problem for each task that has ended and does not count as working again."""
        return tuple(
            Problem(
                kind=ProblemKind.INTERNAL_ERROR,
                bus="",
                text=f"the task '{name}' ended and was restarted: {error.text}",
                remedy="report it with the plugin's log, which has the traceback",
            )
            for name, error in self._failures.items()
        )

    def run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a task from now on, and again whenever it ends.

        Args:
            name: for the log and ``/health``.
            work: runs until it is cancelled.
        """
        self._tasks.add(asyncio.create_task(self._keep(name, work)))

    async def close(self) -> None:
        """Cancel all tasks and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff()
        while True:
            task = asyncio.ensure_future(work())
            try:
                done, _ = await asyncio.wait([task], timeout=STABLE)
                if not done:
                    self._failures.pop(name, None)
                    backoff.reset()
                    await asyncio.wait([task])
            finally:
                task.cancel()
            error = _why_ended(task)
            self._failures[name] = InternalFault(error)
            _log.error("The task '%s' ended and is restarted: %r", name, error, exc_info=error)
            await asyncio.sleep(backoff.next())


def _why_ended(task: asyncio.Future[None]) -> BaseException:
    """Return what ended a task; one that was not cancelled by ``close`` must not end at all."""
    if task.cancelled():
        return RuntimeError("it was cancelled")
    return task.exception() or RuntimeError("it returned")
