"""Decides when a pass follows without an event or a call, and keeps removals for it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from evercan.intent.changes import Change, Removal
from evercan.tracking.backoff import Backoff

MODULE_INTERVAL = 1.0
"""Seconds between two checks for can-gw while it is not loaded: a module causes no event."""

VERIFY_AFTER = 1.0
"""Seconds from the last pass with a scope to the full pass that finds what it could not see."""

VERIFY_WITHIN = 2.0
"""The same from the first one on, while calls keep coming."""


class Retries:
    """What has to be tried again, or looked at as a whole.

    Attributes:
        at: when a pass should follow, in seconds of the monotonic clock; None if none should.
    """

    def __init__(self) -> None:
        """Start with nothing to try again."""
        self.at: float | None = None
        self._removals: list[Change] = []
        self._backoff = Backoff()
        self._unverified_since: float | None = None
        self._verify_at: float | None = None

    @property
    def verifies_soon(self) -> bool:
        """Whether a full pass is going to follow passes with a scope."""
        return self._verify_at is not None and self._verify_at > time.monotonic()

    def verify_soon(self) -> None:
        """Let a full pass follow: after the last call, but not endlessly later than the first."""
        now = time.monotonic()
        if self._unverified_since is None:
            self._unverified_since = now
        self._verify_at = min(now + VERIFY_AFTER, self._unverified_since + VERIFY_WITHIN)

    def verifying(self) -> None:
        """Take note that a full pass begins."""
        self._unverified_since = self._verify_at = None

    def take_removals(self) -> list[Change]:
        """Return the removals that were not done, for the next pass."""
        removals, self._removals = self._removals, []
        return removals

    def keep_removals(self, not_applied: Iterable[Change]) -> None:
        """Keep the removals among changes that were not applied: the engine forgets them."""
        self._removals = [change for change in not_applied if isinstance(change, Removal)]

    def schedule(
        self, *, failed: bool, module_missing: bool, moments: Iterable[float | None] = ()
    ) -> None:
        """Decide when the next pass is due.

        Args:
            failed: the pass, a step or a write failed, and may succeed later.
            module_missing: can-gw is not loaded, and there are networks.
            moments: when a withheld repair may be made, and when a controller is to be
                restarted; None where there is nothing to wait for.
        """
        due = [at for at in (*moments, self._verify_at) if at is not None]
        if module_missing:
            due.append(time.monotonic() + MODULE_INTERVAL)
        if failed or self._removals:
            due.append(time.monotonic() + self._backoff.next())
        else:
            self._backoff.reset()
        self.at = min(due, default=None)
