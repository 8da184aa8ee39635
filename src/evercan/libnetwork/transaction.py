"""One call of the engine, all or nothing: record it, let it come true, or take it back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from evercan.errors import EvercanError
from evercan.model import Declared, Observed
from evercan.reconciler import Edit
from evercan.troubles import Problem, Trouble
from evercan.turns import Turns

_UNDO_PATIENCE = 1.0
"""Seconds that a failed call waits for its undoing."""

_log = logging.getLogger(__name__)


class Unserved(EvercanError):  # noqa: N818 - reads as the fact that it states
    """The kernel could not be brought to what was asked."""

    def __init__(self, problems: list[Problem]) -> None:
        """Join the problems' texts, each of which has its remedy."""
        super().__init__("; ".join(dict.fromkeys(each.text for each in problems)))


class Undertakings:
    """Carries out what calls ask for, so that one that fails leaves nothing half done."""

    def __init__(self, turns: Turns, *, patient: bool) -> None:
        """Take the way to the reconciler.

        Args:
            turns: carries edits there.
            patient: some troubles may be waited out.
        """
        self._turns = turns
        self._patient = patient
        self._undoing: set[asyncio.Task[None]] = set()

    async def carry_out(
        self,
        record: Edit,
        undo: Edit,
        demand: Callable[[], None],
        wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Record what was asked, let it be made true, and take it back if that fails.

        Args:
            record: puts it into the intent.
            undo: takes out of the intent what ``record`` has put there, and no more.
            demand: raises if it is not there.
            wait: for what is in its way and will go.
        """
        recorded = False

        def noting(declared: Declared, observed: Observed) -> Declared:
            nonlocal recorded
            after = record(declared, observed)
            recorded = True
            return after

        try:
            await self._turns.change(noting)
            if wait is not None:
                await wait()
            demand()
        except BaseException as error:
            # Of a call that is given up while it waits the undoing comes after it.
            if recorded or not isinstance(error, EvercanError):
                await self._take_back(undo)
            raise

    def demand(
        self, bus: str, waitable: Collection[Trouble], endpoint_id: str | None = None
    ) -> None:
        """Raise ``Unserved`` unless what was asked is there, or may be waited for."""
        troubles = self._turns.state.troubles(bus, endpoint_id)
        blocking = [each for each in troubles if not self._patient or each.kind not in waitable]
        if blocking:
            raise Unserved(blocking)

    async def _take_back(self, edit: Edit) -> None:
        """Undo an intent whose call fails; the call's own error is the one to report.

        Waits a second at the most: the call may fail because turns take too long,
        and then the undoing comes with a later one.
        """
        undoing = asyncio.create_task(self._turns.change(edit))
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undone)
        await asyncio.wait([undoing], timeout=_UNDO_PATIENCE)

    def _undone(self, undoing: asyncio.Task[None]) -> None:
        self._undoing.discard(undoing)
        if not undoing.cancelled() and (error := undoing.exception()) is not None:
            _log.error(
                "Could not take back a failed call: %s; remove what it was for "
                "(docker rm, docker network rm)",
                error,
            )
