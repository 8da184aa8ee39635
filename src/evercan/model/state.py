"""What is known after a reconcile pass: what is wanted, what exists, and what is wrong."""

from __future__ import annotations

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.values import NamedTuple


class State(NamedTuple):
    """The result of one observation; never changed, only replaced.

    Attributes:
        declared: what is wanted.
        observed: what exists, without the rules.
        problems: what no step repairs.
        warnings: what works and is probably not as its user expects.
    """

    declared: Declared = Declared()
    observed: Observed = Observed()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def problems_of(self, bus: str, endpoint: str | None = None) -> list[Problem]:
        """List the problems of a bus as a whole and, if given, of one endpoint on it."""
        return [
            problem
            for problem in self.problems
            if problem.bus == bus and problem.endpoint in (None, endpoint)
        ]
