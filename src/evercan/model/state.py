"""What is known at one moment: values that anyone may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from evercan.controller import Controller
from evercan.frames import Frames
from evercan.model import NONE, Declared, Observed
from evercan.troubles import Problem


class State(NamedTuple):
    """What is wanted, what is there, and what is wrong; replaced whole."""

    declared: Declared = Declared()
    observed: Observed = Observed()
    problems: tuple[Problem, ...] = ()

    def troubles(self, bus: str, endpoint: str | None = None) -> list[Problem]:
        """List the problems of a bus as a whole and, if named, of one endpoint on it."""
        return [
            each for each in self.problems if each.bus == bus and each.endpoint in (None, endpoint)
        ]


class LastRecovery(NamedTuple):
    """A bus that was brought back.

    Attributes:
        at: when, in seconds since the epoch.
        what: what had been wrong, in one sentence.
    """

    at: float
    what: str


class Tally(NamedTuple):
    """How often something happened since the daemon started.

    Attributes:
        steps: steps taken in the kernel, by kind and outcome (``done``, ``refused``).
        writes: writes of the state file.
        drift: things that a look found not to be as they were wanted, by bus and fault.
        recoveries: what came of those, by bus, fault and outcome.
    """

    steps: Mapping[tuple[str, str], int] = NONE
    writes: int = 0
    drift: Mapping[tuple[str, str], int] = NONE
    recoveries: Mapping[tuple[str, str, str], int] = NONE


class Snapshot(NamedTuple):
    """All that an operator may ask for, looked at this moment.

    Attributes:
        state: a fresh look, and the plan for it as problems: it was not applied.
        frames: what the rules have counted.
        tally: what has happened so far.
        recoveries: the last recovery of each bus.
        controllers: each controller that is a bus, with its statistics, by bus interface.
        at: when it was looked, in seconds since the epoch.
    """

    state: State
    frames: Frames = Frames()
    tally: Tally = Tally()
    recoveries: Mapping[str, LastRecovery] = NONE
    controllers: Mapping[str, Controller] = NONE
    at: float = 0.0
