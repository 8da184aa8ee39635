"""What a reconcile pass returns to those who wait for it."""

from __future__ import annotations

from evercan.errors import EvercanError
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.state import State
from evercan.values import NamedTuple


class GivenUp(Exception):  # noqa: N818 - nothing is wrong
    """An observation was given up, because a call waits (``reconcile.waiting``)."""


class Outcome(NamedTuple):
    """What became of a change.

    Attributes:
        state: what the pass left behind.
        observed: the observation that the change was applied to.
        before: the declared state that it was applied to; None if it was not applied.
        error: why it was rejected, or why the pass failed; None if neither.
    """

    state: State
    observed: Observed = Observed()
    before: Declared | None = None
    error: EvercanError | None = None
