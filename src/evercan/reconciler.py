"""Observe, edit the intent, write it down, plan, apply, verify: the one way to change.

Every engine call, the start after a reboot, a kernel event and the periodic
check all are a *turn*. A turn carries any number of edits: calls that arrive
while one is under way share the next one, so that thirty containers starting
at once cost a few looks at the kernel and not thirty.
"""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evercan import narration
from evercan.controller import Controller
from evercan.errors import EvercanError
from evercan.intent import settle, wake
from evercan.kernel.port import Kernel
from evercan.losses import Losses, buses
from evercan.model import Declared, Observed, Rule, RuleCount
from evercan.plan import Plan, Problem, make_plan
from evercan.refusals import Declined, explain
from evercan.sandboxes import Sandboxes
from evercan.steps import (
    AddRules,
    ConfigureBus,
    DeleteLink,
    DropRules,
    Failure,
    MakeBus,
    NameEnd,
    SetUp,
    Step,
)
from evercan.store import Store

Edit = Callable[[Declared, Observed], Declared]
"""A change of the intent; refuses by raising ``EvercanError``."""

Planner = Callable[[Declared, Declared, Observed], Plan]
"""Plans from what was wanted before the turn, what is wanted now, and what is there."""

_PASSES = 6
"""Plans applied in one turn at the most: links, rules, and room for things that move."""

_GONE = frozenset({errno.ENOENT, errno.ENODEV})

_MAY_BE_GONE = (DropRules, DeleteLink, AddRules, SetUp, ConfigureBus, NameEnd)
"""Steps whose interface may have gone meanwhile: the next plan has it or not."""

_log = logging.getLogger(__name__)


def mend_everything(_: Declared, declared: Declared, observed: Observed) -> Plan:
    """Plan all that is wanted, whoever asked for it and whenever."""
    return make_plan(declared, observed)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a turn left behind; replaced whole, so that anyone may read it."""

    declared: Declared = field(default_factory=Declared)
    observed: Observed = field(default_factory=Observed)
    problems: tuple[Problem, ...] = ()

    def troubles(self, bus: str, endpoint: str | None = None) -> list[Problem]:
        """List the problems of a bus as a whole and, if named, of one endpoint on it."""
        return [
            each for each in self.problems if each.bus == bus and each.endpoint in (None, endpoint)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that can be counted, at one moment.

    Attributes:
        state: what the last turn left behind.
        counts: every rule of the host with its counters.
        controllers: each controller that is a bus, with its statistics, by bus interface.
        steps: how often each kind of step was taken, by kind and outcome.
        writes: how often the state file was written.
    """

    state: State
    counts: Iterable[tuple[Rule, RuleCount]]
    controllers: Mapping[str, Controller]
    steps: Mapping[tuple[str, str], int]
    writes: int


class Reconciler:
    """Owns the intent; the only caller of ``kernel`` for change.

    Not thread safe: one turn at a time, in whatever thread.

    Attributes:
        state: what the last turn left behind.
        steps_taken: how often each kind of step was taken, by kind and outcome.
    """

    def __init__(self, kernel: Kernel, store: Store, planner: Planner = mend_everything) -> None:
        """Take the two things that outlive it, and how much a turn may do."""
        self._kernel = kernel
        self._store = store
        self._planner = planner
        self.state = State()
        self._saved = Declared()
        self._sandboxes = Sandboxes()
        self._declined = Declined()
        self._losses = Losses()
        self.steps_taken: Counter[tuple[str, str]] = Counter()

    def start(self) -> None:
        """Take up the record where it was left, and make it true.

        Raises:
            StateError: the record cannot be used.
            KernelError: the kernel cannot be looked at.
        """
        recorded = self._store.load()
        self._saved = recorded
        boot = self._kernel.boot_id()
        if recorded.boot and recorded.boot != boot and recorded.networks:
            _log.info("The host was rebooted: bringing back %d networks", len(recorded.networks))
        self.state = replace(self.state, declared=wake(recorded, boot))
        self.turn([])

    def turn(self, edits: Sequence[Edit]) -> list[EvercanError | None]:
        """Carry out edits and make the kernel as declared.

        Returns:
            For each edit, why it was refused, or None. Whether the kernel could be
            brought to what is declared is in ``state.problems``.

        Raises:
            KernelError: the kernel cannot be looked at; nothing was changed.
            StateError: the intent cannot be written; nothing was changed.
        """
        before = self.state.declared
        observed = self._look(before)
        settled = declared = settle(before, observed)
        refusals: list[EvercanError | None] = []
        for edit in edits:
            try:
                declared = edit(declared, observed)
            except EvercanError as error:
                refusals.append(error)
            else:
                refusals.append(None)
        self._save(declared)
        self._converge(settled, declared, observed)
        return refusals

    def snapshot(self) -> Snapshot:
        """Read the kernel's counters beside what is known.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        return Snapshot(
            state=self.state,
            counts=self._kernel.rule_counts(),
            controllers=self._controllers(),
            steps=dict(self.steps_taken),
            writes=self._store.writes,
        )

    def look_for_losses(self) -> None:
        """Tell of frames that controllers could not take, if any bus is one.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        declared, observed = self.state.declared, self.state.observed
        if buses(declared, observed):
            self._losses.look(declared, observed, self._kernel.rule_counts())

    def _controllers(self) -> dict[str, Controller]:
        """Look at each bus that is a controller, closely."""
        found: dict[str, Controller] = {}
        for bus in self.state.declared.networks_by_bus():
            link = self.state.observed.find(bus)
            if link is not None and link.controller is not None:
                controller = self._kernel.controller(link.index)
                if controller is not None:
                    found[bus] = controller
        return found

    def _look(self, declared: Declared) -> Observed:
        """Observe, and learn where the container ends are."""
        observed = self._kernel.observe()
        # Asked after the look: what ended before it or during it is not learned.
        ended = self._kernel.ended_namespaces()
        self._sandboxes = self._sandboxes.learn(declared, observed, ended, self._kernel.name_inside)
        return replace(observed, sandboxes=self._sandboxes.trusted, ended=self._sandboxes.ended)

    def _save(self, declared: Declared) -> None:
        # A retired name that is gone is harmless on disk: it is not worth a write.
        if replace(declared, retired=self._saved.retired) == self._saved and (
            declared.retired <= self._saved.retired
        ):
            return
        self._store.save(declared)
        self._saved = declared

    def _converge(self, before: Declared, declared: Declared, observed: Observed) -> None:
        """Apply plans until one is empty, or nothing more can be done."""
        refused = self._declined.standing(time.monotonic())
        plan = self._planner(before, declared, observed)
        for _ in range(_PASSES):
            steps = [step for step in plan.steps if step not in refused]
            if not steps:
                break
            refused |= self._apply(before, declared, steps)
            observed = self._look(declared)
            settled = settle(declared, observed)
            if settled != declared:
                self._save(settled)
                declared = settled
            plan = self._planner(before, declared, observed)
        self._declined = self._declined.after(refused, plan.steps, time.monotonic())
        problems = plan.problems + explain(plan, refused, observed)
        narration.tell(problems, self.state.problems)
        self.state = State(declared=declared, observed=observed, problems=problems)

    def _apply(
        self, before: Declared, declared: Declared, steps: Sequence[Step]
    ) -> dict[Step, Failure]:
        """Apply steps; return those that the kernel refused for good."""
        for step in steps:
            narration.announce(before, declared, step)
        failures = {failure.step: failure for failure in self._kernel.apply(steps)}
        for step in steps:
            outcome = "refused" if step in failures else "done"
            self.steps_taken[type(step).__name__, outcome] += 1
            if step not in failures:
                narration.report(before, declared, step)
        return {step: failure for step, failure in failures.items() if not self._passing(failure)}

    @staticmethod
    def _passing(failure: Failure) -> bool:
        """Whether a failure only says that somebody else was faster."""
        step = failure.step
        if isinstance(step, MakeBus) and failure.code == errno.EEXIST:
            narration.overtaken(step)
            return True
        if isinstance(step, DropRules) and failure.code == errno.EINVAL:
            return True  # cgw_remove_job's word for a rule that is not there
        if isinstance(step, NameEnd) and failure.code == errno.EEXIST:
            return True  # another end of that name came first: the next plan tells of it
        return failure.code in _GONE and isinstance(step, _MAY_BE_GONE)
