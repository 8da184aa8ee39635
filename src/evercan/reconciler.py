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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from evercan import narration
from evercan.controller import Controller
from evercan.drift import Drift, drifted
from evercan.errors import EvercanError, StateError
from evercan.frames import Ledger
from evercan.intent import settle, wake
from evercan.kernel.port import Kernel
from evercan.losses import Losses, buses
from evercan.model import Declared, Observed
from evercan.plan import Plan, make_plan
from evercan.recoveries import Recoveries
from evercan.refusals import Declined, explain
from evercan.sandboxes import Sandboxes
from evercan.state import Snapshot, State, Tally
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
from evercan.troubles import Problem, Trouble

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
        self._recoveries = Recoveries()
        self._ledger = Ledger()
        self._refused: dict[Step, Failure] = {}
        self._unwritten: Problem | None = None
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
        rebooted = bool(recorded.boot) and recorded.boot != boot
        if rebooted and recorded.networks:
            _log.info("The host was rebooted: bringing back %d networks", len(recorded.networks))
        self.state = self.state._replace(declared=wake(recorded, boot))
        self._turn([], rebooted=rebooted)

    def turn(self, edits: Sequence[Edit]) -> list[EvercanError | None]:
        """Carry out edits and make the kernel as declared.

        Returns:
            For each edit, why it was refused, or None. Whether the kernel could be
            brought to what is declared is in ``state.problems``.

        Raises:
            KernelError: the kernel cannot be looked at; nothing was changed.
            StateError: the intent cannot be written; nothing was changed.
        """
        try:
            return self._turn(edits)
        except EvercanError as error:
            self._recoveries.failed(error)
            raise

    def _turn(self, edits: Sequence[Edit], *, rebooted: bool = False) -> list[EvercanError | None]:
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
        self._converge(settled, declared, observed, rebooted=rebooted)
        return refusals

    def inspect(self) -> State:
        """Look, and say what a turn would find; change nothing.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        before = self.state.declared
        observed = self._look(before)
        declared = settle(before, observed)
        plan = self._planner(declared, declared, observed)
        found = drifted(declared, declared, observed, plan.steps)
        standing = plan._replace(steps=tuple(each for each in plan.steps if each in self._refused))
        problems = (
            *plan.problems,
            *explain(standing, self._refused, observed),
            *(each.problem() for each in found if each.step not in self._refused),
        )
        ailment = self._recoveries.ailment
        if ailment is not None:
            problems = (*problems, Problem(kind=Trouble.REFUSED, bus="", text=ailment))
        else:
            problems = (*problems, *self._of_the_record())
        return State(declared=declared, observed=observed.without_rules(), problems=problems)

    def snapshot(self) -> Snapshot:
        """Inspect, and read all that counts.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        state = self.inspect()
        declared, observed = state.declared, state.observed
        return Snapshot(
            state=state,
            frames=self._ledger.look(declared, observed, self._kernel.rule_counts()),
            controllers=self._controllers(declared, observed),
            tally=Tally(
                steps=dict(self.steps_taken),
                writes=self._store.writes,
                drift=dict(self._recoveries.drift),
                recoveries=dict(self._recoveries.recoveries),
            ),
            recoveries=dict(self._recoveries.last),
            at=time.time(),
        )

    def look_for_losses(self) -> None:
        """Tell of frames that controllers could not take, if any bus is one.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        declared, observed = self.state.declared, self.state.observed
        if buses(declared, observed):
            self._losses.look(declared, observed, self._kernel.rule_counts())

    def _controllers(self, declared: Declared, observed: Observed) -> dict[str, Controller]:
        """Look at each bus that is a controller, closely."""
        looked = {
            bus: self._kernel.controller(link.index)
            for bus, link in buses(declared, observed).values()
        }
        return {bus: each for bus, each in looked.items() if each is not None}

    def _look(self, declared: Declared) -> Observed:
        """Observe, and learn where the container ends are."""
        at = time.monotonic()
        observed = self._kernel.observe()
        # Asked after the look: what ended before it or during it is not learned.
        ended = self._kernel.ended_namespaces()
        self._sandboxes = self._sandboxes.learn(declared, observed, ended, self._kernel.name_inside)
        sandboxes = self._sandboxes
        return replace(observed, sandboxes=sandboxes.trusted, ended=sandboxes.ended, at=at)

    def _save(self, declared: Declared) -> None:
        """Write the intent if it has changed, or if it is not sure that it can be written."""
        # A retired name that is gone is harmless on disk: it is not worth a write.
        changed = replace(declared, retired=self._saved.retired) != self._saved or not (
            declared.retired <= self._saved.retired
        )
        if not changed and self._unwritten is None:
            return
        try:
            self._store.save(declared)
        except StateError as error:
            self._unwritten = Problem(kind=Trouble.REFUSED, bus="", text=str(error))
            if changed:
                raise
            return  # what is wanted is on disk: what broke can be mended meanwhile
        self._unwritten = None
        self._saved = declared

    def _converge(
        self, before: Declared, declared: Declared, observed: Observed, *, rebooted: bool
    ) -> None:
        """Apply plans until one is empty, or nothing more can be done."""
        refused = self._declined.standing(time.monotonic())
        plan = self._planner(before, declared, observed)
        found = list(self._drift(plan, before, declared, observed))
        self._recoveries.found(declared, found, plan.steps, rebooted=rebooted)
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
        still = self._drift(plan, before, declared, observed) if found else ()
        self._recoveries.ended(found, still, refused, rebooted=rebooted)
        problems = (*plan.problems, *explain(plan, refused, observed), *self._of_the_record())
        known, self.state = (
            self.state,
            State(declared=declared, observed=observed.without_rules(), problems=problems),
        )
        self._refused = refused
        self._recoveries.judge(self.state, known)

    def _of_the_record(self) -> tuple[Problem, ...]:
        """Say that the record cannot be written, from a failure on until a write succeeds."""
        return () if self._unwritten is None else (self._unwritten,)

    @staticmethod
    def _drift(
        plan: Plan, before: Declared, declared: Declared, observed: Observed
    ) -> Iterator[Drift]:
        """Tell what has drifted, of a plan that may withhold what would mend it."""
        withheld = any(each.kind is Trouble.DRIFT for each in plan.problems)
        steps = make_plan(declared, observed).steps if withheld else plan.steps
        return drifted(before, declared, observed, steps)

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
        return {
            step: failure
            for step, failure in failures.items()
            if not self._passing(declared, failure)
        }

    @staticmethod
    def _passing(declared: Declared, failure: Failure) -> bool:
        """Whether a failure only says that somebody else was faster."""
        step = failure.step
        if isinstance(step, MakeBus) and failure.code == errno.EEXIST:
            narration.overtaken(declared, step)
            return True
        if isinstance(step, DropRules) and failure.code == errno.EINVAL:
            return True  # cgw_remove_job's word for a rule that is not there
        if isinstance(step, NameEnd) and failure.code == errno.EEXIST:
            return True  # another end of that name came first: the next plan tells of it
        return failure.code in _GONE and isinstance(step, _MAY_BE_GONE)
