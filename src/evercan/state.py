"""What is known at one moment: values that anyone may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evercan.controller import Controller
from evercan.frames import Frames
from evercan.model import Declared, Observed
from evercan.troubles import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is wanted, what is there, and what is wrong; replaced whole."""

    declared: Declared = field(default_factory=Declared)
    observed: Observed = field(default_factory=Observed)
    problems: tuple[Problem, ...] = ()

    def troubles(self, bus: str, endpoint: str | None = None) -> list[Problem]:
        """List the problems of a bus as a whole and, if named, of one endpoint on it."""
        return [
            each for each in self.problems if each.bus == bus and each.endpoint in (None, endpoint)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRecovery:
    """A bus that was brought back.

    Attributes:
        at: when, in seconds since the epoch.
        what: what had been wrong, in one sentence.
    """

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often something happened since the daemon started.

    Attributes:
        steps: steps taken in the kernel, by kind and outcome (``done``, ``refused``).
        writes: writes of the state file.
        drift: things that a look found not to be as they were wanted, by bus and fault.
        recoveries: what came of those, by bus, fault and outcome.
    """

    steps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    writes: int = 0
    drift: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recoveries: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
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
    frames: Frames = field(default_factory=Frames)
    tally: Tally = field(default_factory=Tally)
    recoveries: Mapping[str, LastRecovery] = field(default_factory=dict)
    controllers: Mapping[str, Controller] = field(default_factory=dict)
    at: float = 0.0
