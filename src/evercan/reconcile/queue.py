"""One turn at a time, in a thread, shared by whoever waits."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import NamedTuple, ParamSpec, TypeVar

from evercan.errors import EvercanError, InternalFault
from evercan.log import call_id
from evercan.reconciler import Edit, Reconciler
from evercan.state import Snapshot, State

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """An edit for the next turn, who waits for it, and the engine call that it is of."""

    edit: Edit
    done: asyncio.Future[EvercanError | None]
    call: str | None


@contextmanager
def unswept() -> Iterator[None]:
    """Keep the garbage collector from walking through a turn's rules.

    There may be tens of thousands, all gone with the turn by their reference counts; and
    while it walks nothing else runs.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Turns:
    """Carries edits from the event loop to the reconciler.

    Netlink and fsync block, so a turn runs in a thread of its own; edits that
    arrive while it does all go into the next one.
    """

    def __init__(self, reconciler: Reconciler) -> None:
        """Take the reconciler, which from now on is used from this thread only."""
        self._reconciler = reconciler
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self._waiting: list[_Waiting] = []
        self._turning: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """What the last turn left behind."""
        return self._reconciler.state

    async def start(self) -> None:
        """Bring everything on record back; errors as of ``Reconciler.start``."""
        await self._in_thread(self._reconciler.start)

    async def change(self, edit: Edit) -> None:
        """Hand an edit to the next turn and wait until it is over.

        Raises:
            EvercanError: the edit was refused, and nothing of it is on record; or the
                turn failed, and it may be: if it is, a later turn makes it true.
        """
        done: asyncio.Future[EvercanError | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(edit, done, call_id.get()))
        if self._turning is None:
            self._turning = asyncio.create_task(self._take())
        refusal = await done
        if refusal is not None:
            raise refusal

    async def check(self) -> None:
        """Take a turn that nobody asked for: mend what has drifted."""
        await self.change(lambda declared, _: declared)

    async def catch_up(self, since: float) -> bool:
        """Take a turn for what happened at a moment, unless one looks after it anyway.

        What evercan itself changes rings too, and is looked at by the turn that changed it.

        Args:
            since: the moment, in seconds of the monotonic clock.

        Returns:
            Whether it took one.
        """
        while self._turning is not None:
            await asyncio.wait([self._turning])
        if self.state.observed.at > since:
            return False
        await self.check()
        return True

    async def look_for_losses(self) -> None:
        """Tell of frames that controllers could not take."""
        await self._in_thread(self._reconciler.look_for_losses)

    async def inspect(self) -> State:
        """Look between two turns at what is wrong."""
        return await self._in_thread(self._reconciler.inspect)

    async def snapshot(self) -> Snapshot:
        """Look at the counters between two turns."""
        return await self._in_thread(self._reconciler.snapshot)

    async def close(self) -> None:
        """Let the turn that is under way end; nothing is undone."""
        if self._turning is not None:
            await asyncio.wait([self._turning])
        self._thread.shutdown()

    async def _take(self) -> None:
        """Take turns until nobody waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                # A turn serves whoever waits: its lines are about all those calls.
                calls = dict.fromkeys(each.call for each in batch if each.call is not None)
                call_id.set(",".join(calls) or None)
                refusals = await self._one([each.edit for each in batch])
                for each, refusal in zip(batch, refusals, strict=True):
                    if not each.done.done():
                        each.done.set_result(refusal)
        finally:
            self._turning = None

    async def _one(self, edits: list[Edit]) -> list[EvercanError | None]:
        try:
            return await self._in_thread(self._reconciler.turn, edits)
        except EvercanError as error:
            return [error] * len(edits)
        except Exception as error:  # noqa: BLE001 - its callers must not wait for ever
            _log.exception("A turn could not be taken; report it with what follows")
            return [InternalFault(error)] * len(edits)

    async def _in_thread(
        self, function: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs
    ) -> _T:
        context = copy_context()  # an executor knows nothing of the call that is answered

        def run() -> _T:
            with unswept():
                return context.run(function, *arguments, **keywords)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)
