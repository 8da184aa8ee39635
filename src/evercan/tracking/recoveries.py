"""The story of what broke and came back: counted, remembered, and told in order.

A check that finds something says ``Health check FAILED`` before anything is
mended, and ``Health check OK`` once all is whole again; nothing in between says
so twice, and a day on which nothing breaks says nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from evercan import narration
from evercan.drift import Drift
from evercan.errors import EvercanError, InternalFault
from evercan.model import Declared
from evercan.state import LastRecovery, State
from evercan.steps import Step

AFTER_REBOOT = "reboot"
"""The fault under which it counts that a bus was made again because the host was rebooted."""

_log = logging.getLogger(__name__)


class Recoveries:
    """What one daemon has found and mended.

    Attributes:
        drift: things found not to be as they were wanted, by bus and fault.
        recoveries: what came of them, by bus, fault and outcome: ``mended``,
            ``refused`` by the kernel, ``left`` because the settings say so.
        last: the last recovery of each bus.
        ailment: why the last turn came to nothing, None if it did not.
    """

    def __init__(self) -> None:
        """Start with nothing told."""
        self.drift: Counter[tuple[str, str]] = Counter()
        self.recoveries: Counter[tuple[str, str, str]] = Counter()
        self.last: dict[str, LastRecovery] = {}
        self.ailment: str | None = None
        self._healthy: bool | None = None
        self._standing: frozenset[object] = frozenset()

    def found(
        self,
        declared: Declared,
        found: Sequence[Drift],
        planned: Collection[Step],
        *,
        rebooted: bool,
    ) -> None:
        """Take what a look has found, before any of it is mended.

        Args:
            declared: what is wanted.
            found: what is not so.
            planned: the steps that will be taken; the rest is told as a problem.
            rebooted: it went with the power, so nothing failed.
        """
        if rebooted:
            return
        for each in found:
            if each.key in self._standing:
                continue
            self.drift[each.bus, each.fault.value] += 1
            if each.step in planned:
                self._healthy = False
                _log.warning(
                    "Health check FAILED: %s; mending it",
                    each.text,
                    extra=narration.concerning(declared, each.bus, each.endpoint, fault=each.fault),
                )

    def ended(
        self,
        found: Sequence[Drift],
        still: Iterable[Drift],
        refused: Collection[Step],
        *,
        rebooted: bool,
    ) -> None:
        """Take what came of it: what still is not so, and what the kernel refused."""
        remaining = {each.key: each for each in still}
        mended: dict[str, list[str]] = {}
        for each in found:
            outcome = "mended"
            if each.key in remaining:
                if each.key in self._standing:
                    continue
                outcome = "refused" if remaining[each.key].step in refused else "left"
            else:
                mended.setdefault(each.bus, []).append(each.text)
            fault = AFTER_REBOOT if rebooted else each.fault.value
            self.recoveries[each.bus, fault, outcome] += 1
        for bus, texts in mended.items():
            what = "the host was rebooted" if rebooted else ", ".join(texts)
            self.last[bus] = LastRecovery(at=time.time(), what=f"{what}; all was put back")
        self._standing = frozenset(remaining)

    def judge(self, state: State, known: State) -> None:
        """Tell what a turn has left: what is wrong and was not before, or that all is well."""
        told, self.ailment = self.ailment, None
        for problem in state.problems:
            if problem not in known.problems and problem.text != told:
                narration.tell(state.declared, problem)
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

    def failed(self, error: EvercanError) -> None:
        """Take that a turn came to nothing: the kernel or the disk does not serve, or a fault."""
        if self.ailment != str(error):
            fault = error.__cause__ if isinstance(error, InternalFault) else None
            _log.error("Health check FAILED: %s", error, exc_info=fault)
        self.ailment = str(error)
        self._healthy = False
