"""What waits for a reconcile pass, and what of it comes next.

A dump of all rules takes seconds on a large bus and a slow host, and calls of the engine
have a limit. So calls go ahead of checks, which no call asked for: the two do not share a
pass, and a check is given up while it only observes, if a call has waited for it. It begins
again when calls pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from evercan.intent.changes import Change, NoChange, Undo
from evercan.reconcile.outcome import GivenUp, Outcome

PATIENCE = 0.25
"""Seconds that a call waits for an observation that is under way."""

LONGEST_PATIENCE = 4.0
"""The same after the observation was given up some times: calls may come without end."""

PAUSE = 1.0
"""Seconds without a call after which a check begins again that was given up."""

_SHARE = 4
"""A check begins again, though calls come, after so many times what they have waited for it."""


class Ticket:
    """A change that waits for a pass, or had one.

    Attributes:
        change: the change, or the ticket whose change is to be undone.
        call: the id of the engine call that it is of.
        done: gets the outcome when the pass is over.
        since: when it began to wait, in seconds of the monotonic clock.
    """

    def __init__(
        self, change: Change | Ticket, call: str | None, done: asyncio.Future[Outcome]
    ) -> None:
        """Take what waits, and for whom."""
        self.change = change
        self.call = call
        self.done = done
        self.since = time.monotonic()

    @property
    def is_check(self) -> bool:
        """Whether no call waits for it."""
        return isinstance(self.change, NoChange) and self.call is None

    def resolve(self) -> Change:
        """Return the change; an undo is known once the pass of what it undoes is over."""
        if not isinstance(self.change, Ticket):
            return self.change
        undone, outcome = self.change.change, self.change.done.result()
        if isinstance(undone, Ticket) or outcome.before is None:
            return NoChange()
        return Undo(undone, outcome.before)


class Precedence:
    """Gives an observation up for calls, again and again, but not as often as they come."""

    def __init__(self, waiting: Callable[[], Iterable[float]]) -> None:
        """Take what returns since when calls wait, in seconds of the monotonic clock."""
        self._waiting = waiting
        self._patience = PATIENCE
        self._not_later = 0.0

    def check(self) -> None:
        """Give the observation up if a call has waited for long enough.

        Raises:
            GivenUp: it has.
        """
        since = min(self._waiting(), default=None)
        if since is not None and time.monotonic() - since > self._patience:
            self._not_later = time.monotonic() + _SHARE * self._patience
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
            raise GivenUp

    def completed(self) -> None:
        """Take note that the observation was completed."""
        self._patience = PATIENCE

    def pause(self) -> float:
        """Return the seconds after which a check may begin again, unless calls come."""
        return min(PAUSE, max(self._not_later - time.monotonic(), 0.0))


class Waiting:
    """The tickets that had no pass yet.

    Attributes:
        precedence: gives checks up.
    """

    def __init__(self, run: Callable[[], None]) -> None:
        """Take what runs passes when checks that were put off are due."""
        self._run = run
        self._tickets: list[Ticket] = []
        self._next: list[Ticket] = []
        self._checks_come_next = False
        self._put_off: list[Ticket] = []
        self._timer: asyncio.TimerHandle | None = None
        self.precedence = Precedence(self.calls_since)

    def __bool__(self) -> bool:
        """Whether a pass is due."""
        return bool(self._tickets)

    @property
    def has_put_off(self) -> bool:
        """Whether checks wait for a pause of the calls."""
        return bool(self._put_off)

    def add(self, ticket: Ticket) -> None:
        """Let a ticket wait for its pass."""
        if ticket.is_check and self._put_off:
            self._put_off.append(ticket)
            return
        self._tickets.append(ticket)
        self._set_timer()

    def remove(self, ticket: Ticket) -> bool:
        """Take a ticket out again; return whether it was waiting."""
        waits = ticket in self._tickets
        if waits:
            self._tickets.remove(ticket)
        return waits

    def take_batch(self) -> list[Ticket]:
        """Take the calls that wait, or the checks; if both do, one after the other.

        Its calls count as waiting until ``begun``.
        """
        calls = [ticket for ticket in self._tickets if not ticket.is_check]
        checks = [ticket for ticket in self._tickets if ticket.is_check]
        if checks and (self._checks_come_next or not calls):
            self._next, self._tickets = checks, calls
            self._checks_come_next = False
        else:
            self._next, self._tickets = calls, checks
            self._checks_come_next = bool(checks)
        return self._next

    def begun(self) -> None:
        """Take note that the pass of the last batch begins; any thread may call this."""
        self._next = []

    def calls_since(self) -> list[float]:
        """Return since when calls wait; any thread may call this while others are added."""
        tickets = [*self._next, *self._tickets]
        return [ticket.since for ticket in tickets if not ticket.is_check]

    def put_off(self, checks: list[Ticket]) -> None:
        """Let checks that were given up wait until calls pause."""
        self._put_off += checks
        self._set_timer()

    def close(self) -> None:
        """Forget the checks that were put off."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._put_off:
            self.close()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.precedence.pause(), self._resume)

    def _resume(self) -> None:
        self._tickets += self._put_off
        self._put_off = []
        self._run()
