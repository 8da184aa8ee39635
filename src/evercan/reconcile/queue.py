"""Runs one reconcile pass at a time in a thread, and gives its result to every waiting call."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from copy import copy
from functools import partial
from typing import ParamSpec, TypeVar

from evercan.errors import EvercanError, InternalFault, KernelError, StateUnreadable
from evercan.intent.changes import Change, NoChange, Removal
from evercan.log.writer import call_id
from evercan.model.state import State
from evercan.reconcile.inspector import Inspector, Snapshot
from evercan.reconcile.outcome import GivenUp, Outcome
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.waiting import PATIENCE, Precedence, Ticket, Waiting
from evercan.tracking.backoff import Backoff

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep the garbage collector from visiting the rules of a pass.

    There may be tens of thousands, and reference counting frees all of them at the end of
    the pass; while the collector visits them nothing else runs.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class PassQueue:
    """Carries changes from the event loop to the reconciler.

    Netlink and fsync block, so a pass runs in a thread of its own; changes that arrive
    during a pass all go into the next one. Checks that wait together with calls have a pass
    of their own (``reconcile.waiting``).
    """

    def __init__(self, reconciler: Reconciler, inspector: Inspector) -> None:
        """Take both, which from now on are used from the queue's thread only."""
        self._reconciler = reconciler
        self._inspector = inspector
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self._waiting = Waiting(self._go_on)
        self._running: asyncio.Task[None] | None = None
        self._snapshot: asyncio.Task[Snapshot] | None = None
        self._started = asyncio.Event()
        self._pass_ended = asyncio.Event()
        self._attempted = asyncio.Event()
        self._start_error: EvercanError | None = None

    @property
    def state(self) -> State:
        """What the last pass left behind."""
        return self._reconciler.state

    @property
    def is_busy(self) -> bool:
        """Whether a pass runs, or a full one is about to."""
        return (
            self._running is not None or self._waiting.has_put_off or self._reconciler.verifies_soon
        )

    @property
    def retry_at(self) -> float | None:
        """When a pass should follow without an event, in seconds of the monotonic clock."""
        return self._reconciler.retry_at

    async def wait_for_retry(self) -> None:
        """Return when a pass is due without an event, whoever asked for the pass before it."""
        while True:
            self._pass_ended.clear()
            retry_at = self.retry_at
            left = None if retry_at is None else max(retry_at - time.monotonic(), 0.0)
            try:
                async with asyncio.timeout(left):
                    await self._pass_ended.wait()
            except TimeoutError:
                return

    async def start(self) -> None:
        """Load what is declared and restore it; calls that arrive meanwhile wait.

        While the disk does not give the state file, this tries again; calls and pages are
        answered with the reason.

        Raises:
            StateError: the state file cannot be used.
        """
        backoff = Backoff()
        while True:
            try:
                await self._in_thread(self._reconciler.start)
                break
            except (StateUnreadable, KernelError) as error:
                if str(error) != str(self._start_error):
                    _log.error("Cannot load what is declared: %s", error)
                self._start_error = error
                self._attempted.set()
            await asyncio.sleep(backoff.next())
        self._start_error = None
        self._started.set()  # first: passes that wait come before pages that wait
        self._attempted.set()
        with suppress(EvercanError):  # logged; lost frames are then counted from 0
            await self._inspect(self._inspector.start)

    async def current(self) -> State:
        """Return what the last pass left behind, once there was one."""
        await self._started.wait()
        return self.state

    async def run(self, change: Change) -> Outcome:
        """Put a change into the next pass, and return what became of it when that is over."""
        return await self.submit(change).done

    def submit(self, change: Change) -> Ticket:
        """Put a change into the next pass."""
        return self._put(change)

    def undo(self, ticket: Ticket) -> Ticket:
        """Undo a change in the next pass, or take it out of the queue if it had no pass yet."""
        if self._waiting.remove(ticket):
            ticket.done.set_result(Outcome(self.state))
            return ticket
        return self._put(ticket)

    def _put(self, change: Change | Ticket) -> Ticket:
        ticket = Ticket(change, call_id.get(), asyncio.get_running_loop().create_future())
        if self._start_error is not None and not isinstance(change, Removal | Ticket):
            # What removes waits, since the engine does not repeat it.
            ticket.done.set_result(Outcome(self.state, error=self._start_error))
            return ticket
        self._waiting.add(ticket)
        self._go_on()
        return ticket

    def _go_on(self) -> None:
        if self._waiting and self._running is None:
            self._running = asyncio.create_task(self._run_passes())

    async def check(self) -> Outcome:
        """Run a pass that no call asked for: it repairs what has drifted."""
        return await self.run(NoChange())

    async def check_since(self, since: float) -> Outcome | None:
        """Run a pass for an event, unless a later observation has covered it already.

        evercan's own changes cause events too, and the pass that made them has observed
        their result, or another one is going to.

        Args:
            since: when the event happened, in seconds of the monotonic clock.

        Returns:
            None if no pass was needed.
        """
        while self._running is not None:
            await asyncio.wait([self._running])
        if self.state.observed.at > since or self._reconciler.verifies_soon:
            return None
        return await self.check()

    async def report_lost_frames(self) -> None:
        """Log frames that controllers could not take; errors as of ``Inspector``."""
        await self._inspect(self._inspector.report_lost_frames)

    async def inspect(self) -> State:
        """Observe between two passes what is wrong; errors as of ``Inspector``."""
        return await self._inspect(self._inspector.inspect)

    async def snapshot(self) -> Snapshot:
        """Observe between two passes, with all counters; errors as of ``Inspector``.

        Whoever asks before an observation has begun shares it, so that many readers delay
        a pass by one observation at the most.
        """
        if self._snapshot is None:
            loop = asyncio.get_running_loop()
            self._snapshot = asyncio.create_task(self._inspect(partial(self._begin_snapshot, loop)))
        return await asyncio.shield(self._snapshot)

    def _begin_snapshot(self, loop: asyncio.AbstractEventLoop) -> Snapshot:
        loop.call_soon_threadsafe(self._forget_snapshot)
        return self._inspector.snapshot()

    def _forget_snapshot(self) -> None:
        self._snapshot = None

    async def close(self) -> None:
        """Let the pass that is running end; nothing is undone."""
        self._waiting.close()
        if self._running is not None:
            if not self._started.is_set():
                self._running.cancel()  # calls that wait for a state that was never loaded
            await asyncio.wait([self._running])
        self._thread.shutdown()

    async def _run_passes(self) -> None:
        """Run passes until nobody waits."""
        try:
            await self._started.wait()
            while self._waiting:
                batch = self._waiting.take_batch()
                # A pass serves everybody who waits: its log lines are about all those calls.
                calls = dict.fromkeys(ticket.call for ticket in batch if ticket.call is not None)
                call_id.set(",".join(calls) or None)
                try:
                    outcomes = await self._run_pass(batch)
                except GivenUp:
                    self._waiting.put_off(batch)
                    continue
                for ticket, outcome in zip(batch, outcomes, strict=True):
                    if not ticket.done.done():
                        ticket.done.set_result(outcome)
        finally:
            self._running = None

    async def _inspect(self, function: Callable[[], _T]) -> _T:
        """Observe in the thread.

        Raises:
            EvercanError: the observation failed, for whatever reason.
        """
        # Before the state is loaded an observation would find everything in order.
        await self._attempted.wait()
        if self._start_error is not None:
            raise copy(self._start_error)
        precedence = Precedence(self._waiting.calls_since)

        def observe() -> _T:
            with self._reconciler.observer.interruptible(precedence.check):
                return function()

        while True:
            try:
                return await self._in_thread(observe)
            except GivenUp:
                await asyncio.sleep(PATIENCE)  # a container's start or stop is two calls
            except EvercanError:
                raise
            except Exception as error:
                _log.exception("An observation failed; report it with the lines that follow")
                raise InternalFault(error) from error

    async def _run_pass(self, batch: list[Ticket]) -> list[Outcome]:
        changes = [ticket.resolve() for ticket in batch]
        precedence = self._waiting.precedence

        def run() -> list[Outcome]:
            self._waiting.begun()
            if not batch[0].is_check:
                return self._reconciler.run(changes)
            outcomes = self._reconciler.run(changes, precedence.check)
            precedence.completed()
            return outcomes

        try:
            return await self._in_thread(run)
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits gets an answer in any case
            _log.exception("A reconcile pass could not run; report it with the lines that follow")
            return [Outcome(self.state, error=InternalFault(error))] * len(changes)
        finally:
            self._pass_ended.set()

    async def _in_thread(
        self, function: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs
    ) -> _T:
        context = copy_context()  # an executor does not know which call is being answered

        def run() -> _T:
            with without_garbage_collection():
                return context.run(function, *arguments, **keywords)

        # run_in_executor would do the same, and load the module inspect for it.
        return await asyncio.wrap_future(self._thread.submit(run))
