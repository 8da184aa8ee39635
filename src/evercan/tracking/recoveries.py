"""Counts, remembers and logs what has changed and what was repaired.

A pass that finds drift logs ``Health check FAILED`` before anything is repaired, and
``Health check OK`` once everything is as declared again. Neither is repeated in between,
and nothing is logged while nothing changes.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from evercan.errors import EvercanError, InternalFault
from evercan.log import lines
from evercan.model.declared import NONE, Declared
from evercan.model.problems import ProblemKind
from evercan.model.state import State
from evercan.model.steps import Step
from evercan.planning.drift import Drift
from evercan.values import NamedTuple

AFTER_REBOOT = "reboot"
"""The ``fault`` under which a bus is counted that was created again after a reboot."""

_log = logging.getLogger(__name__)


class LastRecovery(NamedTuple):
    """The last recovery of a bus.

    Attributes:
        at: when, in seconds since the epoch.
        what: what had been wrong, in one sentence.
    """

    at: float
    what: str


class Tally(NamedTuple):
    """How often something happened since the daemon started.

    Attributes:
        steps: steps, by kind and outcome (``done``, ``refused``).
        writes: writes of the state file.
        drift: drift that was found, by bus and kind.
        recoveries: what came of it, by bus, kind and outcome.
    """

    steps: Mapping[tuple[str, str], int] = NONE
    writes: int = 0
    drift: Mapping[tuple[str, str], int] = NONE
    recoveries: Mapping[tuple[str, str, str], int] = NONE


class Recoveries:
    """What one process has found and repaired.

    Attributes:
        drift: drift that was found, by bus and kind.
        recoveries: what came of it, by bus, kind and outcome: ``mended`` (repaired),
            ``refused`` by the kernel, ``left`` by the settings or by the repair limit.
        last: the last recovery of each bus.
        failed_pass: the error that ended the last pass; None if it was completed.
    """

    def __init__(self) -> None:
        """Start with no drift and no recovery."""
        self.drift: Counter[tuple[str, str]] = Counter()
        self.recoveries: Counter[tuple[str, str, str]] = Counter()
        self.last: dict[str, LastRecovery] = {}
        self.failed_pass: EvercanError | None = None
        self._healthy: bool | None = None
        self._remaining: frozenset[object] = frozenset()

    def found(
        self,
        declared: Declared,
        drift: Sequence[Drift],
        planned: Collection[Step],
        *,
        rebooted: bool,
    ) -> None:
        """Count and log the drift that a pass has found, before any of it is repaired.

        Args:
            declared: what is wanted.
            drift: what was found.
            planned: the steps that will be taken; other drift is reported as a problem.
            rebooted: the host was rebooted, so nothing has drifted.
        """
        if rebooted:
            return
        for item in drift:
            if item.key in self._remaining:
                continue
            self.drift[item.bus, item.kind.value] += 1
            if item.step in planned:
                self._healthy = False
                _log.warning(
                    "Health check FAILED: %s; repairing it",
                    item.text,
                    extra=lines.subject(declared, item.bus, item.endpoint, fault=item.kind),
                )

    def ended(
        self,
        drift: Sequence[Drift],
        remaining: Iterable[Drift],
        failed: Collection[Step],
        *,
        rebooted: bool,
    ) -> None:
        """Count what a pass has repaired.

        Args:
            drift: what it had found.
            remaining: the drift that is still there.
            failed: the steps that the kernel did not take.
            rebooted: as of ``found``.
        """
        still = {item.key: item for item in remaining}
        repaired: dict[str, list[str]] = {}
        for item in drift:
            outcome = "mended"
            if item.key in still:
                if item.key in self._remaining:
                    continue
                outcome = "refused" if still[item.key].step in failed else "left"
            else:
                repaired.setdefault(item.bus, []).append(item.text)
            kind = AFTER_REBOOT if rebooted else item.kind.value
            self.recoveries[item.bus, kind, outcome] += 1
        for bus, texts in repaired.items():
            what = "the host was rebooted" if rebooted else ", ".join(texts)
            self.last[bus] = LastRecovery(at=time.time(), what=f"{what}; all was restored")
        self._remaining = frozenset(still)

    def completed(self, state: State, former: State) -> None:
        """Log problems and warnings that are new after a pass, or that everything is healthy."""
        reported, self.failed_pass = self.failed_pass, None
        for problem in state.problems:
            if problem not in former.problems and str(problem) != str(reported):
                lines.problem(state.declared, problem)
        for warning in state.warnings:
            if warning not in former.warnings:
                lines.warning(state.declared, warning)
        for warning in former.warnings:
            if warning.kind is ProblemKind.FAULT_INJECTED and warning not in state.warnings:
                lines.warning_ended(state.declared, warning)
        healthy = not state.problems
        if healthy and self._healthy is not True:
            _log.info(
                "Health check OK: %d networks, %d endpoints",
                len(state.declared.networks),
                len(state.declared.endpoints),
            )
        self._healthy = healthy
        buses: Mapping[str, object] = state.declared.networks_by_bus()
        self.last = {bus: last for bus, last in self.last.items() if bus in buses}

    def pass_failed(self, error: EvercanError) -> None:
        """Log, one time, that a pass could not be completed."""
        if str(self.failed_pass) != str(error):
            fault = error.__cause__ if isinstance(error, InternalFault) else None
            _log.error("Health check FAILED: %s", error, exc_info=fault)
        self.failed_pass = error
        self._healthy = False
