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

from evercan import narration
from evercan.controller import Controller
from evercan.drift import OF_RULES, Drift, drifted
from evercan.errors import EvercanError, InternalFault
from evercan.frames import Ledger
from evercan.intent import settle, wake
from evercan.kernel.port import Kernel
from evercan.looks import Look, Looks
from evercan.losses import Losses, buses
from evercan.model import Counts, Declared, Observed
from evercan.plan import Plan, make_plan
from evercan.record import Record
from evercan.recoveries import Recoveries
from evercan.refusals import Declined, explain
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

_LOOKS = 4
"""Looks at rules that seem to be wrong, at the most, until two in a row agree."""

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
        self._looks = Looks(kernel)
        self._record = Record(store)
        self._planner = planner
        self.state = State()
        self._declined = Declined()
        self._losses = Losses()
        self._recoveries = Recoveries()
        self._ledger = Ledger()
        self._refused: dict[Step, Failure] = {}
        self.steps_taken: Counter[tuple[str, str]] = Counter()

    def start(self) -> None:
        """Take up the record where it was left, and make it true.

        Raises:
            StateError: the record cannot be used.
            KernelError: the kernel cannot be looked at.
        """
        recorded = self._record.load()
        boot = self._kernel.boot_id()
        rebooted = bool(recorded.boot) and recorded.boot != boot
        if rebooted and recorded.networks:
            _log.info("The host was rebooted: bringing back %d networks", len(recorded.networks))
        self.state = self.state._replace(declared=wake(recorded, boot))
        self._turn([], rebooted=rebooted)
        if buses(self.state.declared, self.state.observed):
            state, counts = self._inspect(self._looks.look_closely)
            self._losses.take_up(state.declared, state.observed, counts)

    def turn(self, edits: Sequence[Edit]) -> list[EvercanError | None]:
        """Carry out edits and make the kernel as declared.

        Returns:
            For each edit, why it was refused, or None. Whether the kernel could be
            brought to what is declared is in ``state.problems``.

        Raises:
            KernelError: the kernel cannot be looked at. If it could before the edits, they
                are on record, and the next turn makes them true.
            StateError: the intent cannot be written; nothing was changed.
            InternalFault: something that nobody had thought of.
        """
        try:
            return self._turn(edits)
        except EvercanError as error:
            self._recoveries.failed(error)
            raise
        except Exception as error:
            fault = InternalFault(error)
            self._recoveries.failed(fault)
            raise fault from error

    def _turn(self, edits: Sequence[Edit], *, rebooted: bool = False) -> list[EvercanError | None]:
        before = self.state.declared
        observed = self._looks.look(before)
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
        return self._inspect(self._looks.look)[0]

    def snapshot(self) -> Snapshot:
        """Inspect, and read all that counts.

        Raises:
            KernelError: the kernel cannot be looked at.
        """
        state, counts = self._inspect(self._looks.look_closely)
        declared, observed = state.declared, state.observed
        return Snapshot(
            state=state,
            frames=self._ledger.look(declared, observed, counts),
            controllers=self._controllers(declared, observed),
            tally=Tally(
                steps=dict(self.steps_taken),
                writes=self._record.writes,
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
        if buses(self.state.declared, self.state.observed):
            state, counts = self._inspect(self._looks.look_closely)
            self._losses.look(state.declared, state.observed, counts)

    def _inspect(self, look: Look) -> tuple[State, Counts]:
        """Say what a turn would find, and what the rules have counted if that was looked at."""
        before = self.state.declared
        observed = look(before)
        declared = settle(before, observed)
        observed, plan, _ = self._find(declared, declared, observed, look)
        found = drifted(declared, declared, observed, plan.steps)
        standing = plan._replace(steps=tuple(each for each in plan.steps if each in self._refused))
        problems = (
            *plan.problems,
            *explain(standing, self._refused, observed),
            *(each.problem() for each in found if each.step not in self._refused),
        )
        if (ailment := self._recoveries.ailment) is not None:
            problems = (*problems, Problem(kind=Trouble.REFUSED, bus="", text=ailment))
        else:
            problems = (*problems, *self._record.problems)
        state = State(declared=declared, observed=observed.without_rules(), problems=problems)
        return state, observed.counts

    def _controllers(self, declared: Declared, observed: Observed) -> dict[str, Controller]:
        """Look at each bus that is a controller, closely."""
        looked = {
            bus: self._kernel.controller(link.index)
            for bus, link in buses(declared, observed).values()
        }
        return {bus: each for bus, each in looked.items() if each is not None}

    def _save(self, declared: Declared) -> None:
        """Write the intent down: from now on it is what is wanted, whatever becomes of the turn."""
        self._record.save(declared)
        self.state = self.state._replace(declared=declared)

    def _converge(
        self, before: Declared, declared: Declared, observed: Observed, *, rebooted: bool
    ) -> None:
        """Apply plans until one is empty, or nothing more can be done."""
        refused = self._declined.standing(time.monotonic())
        observed, plan, found = self._find(before, declared, observed, self._looks.look)
        self._recoveries.found(declared, found, plan.steps, rebooted=rebooted)
        for _ in range(_PASSES):
            steps = [step for step in plan.steps if step not in refused]
            if not steps:
                break
            refused |= self._apply(before, declared, steps)
            observed = self._looks.look(declared)
            settled = settle(declared, observed)
            if settled != declared:
                self._save(settled)
                declared = settled
            plan = self._planner(before, declared, observed)
        self._declined = self._declined.after(refused, plan.steps, time.monotonic())
        still = self._drift(plan, before, declared, observed) if found else ()
        self._recoveries.ended(found, still, refused, rebooted=rebooted)
        problems = (*plan.problems, *explain(plan, refused, observed), *self._record.problems)
        known, self.state = (
            self.state,
            State(declared=declared, observed=observed.without_rules(), problems=problems),
        )
        self._refused = refused
        self._recoveries.judge(self.state, known)

    def _find(
        self, before: Declared, declared: Declared, observed: Observed, look: Look
    ) -> tuple[Observed, Plan, list[Drift]]:
        """Plan, and tell what has drifted; of rules only what two looks in a row agree on.

        A dump of rules is no snapshot: between two of its datagrams it goes on by position
        (``cgw_dump_jobs``), so that a rule laid meanwhile makes another seem double, and
        one removed makes another seem gone.
        """
        doubted: list[Drift] = []
        for _ in range(_LOOKS):
            plan = self._planner(before, declared, observed)
            found = list(self._drift(plan, before, declared, observed))
            of_rules = [each for each in found if each.fault in OF_RULES]
            if of_rules == doubted:
                break
            doubted = of_rules
            observed = look(declared)
        return observed, plan, found

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
