"""Makes everything on the host as declared: plans, applies and observes until nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence

from evercan.intent.observation import after_observation, after_steps, before_steps
from evercan.log import lines
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.model.steps import Failure, Step
from evercan.planning.bus_off import next_restart
from evercan.planning.drift import Drift
from evercan.planning.plan import Plan
from evercan.reconcile.applier import Applier, lasting
from evercan.reconcile.comparison import compare
from evercan.reconcile.observer import Observer
from evercan.tracking.failures import Failures, problems_of_failures
from evercan.tracking.meshes import Meshes
from evercan.tracking.recoveries import Recoveries
from evercan.tracking.repair_limits import RepairLimits, limited
from evercan.tracking.replaced_pairs import ReplacedPairs
from evercan.values import NamedTuple

Restrain = Callable[[Plan, Declared, Observed], Plan]
"""Takes out of a plan what is not to be done, and adds the problems that this leaves."""

_ROUNDS = 6
"""Plans that one pass applies at the most: links, rules, and some for what changes meanwhile."""


def repair_drift(plan: Plan, _: Declared, __: Observed) -> Plan:
    """Leave a plan as it is: ``EVERCAN_RECOVERY=auto``."""
    return plan


class Converged(NamedTuple):
    """What a pass leaves behind.

    Attributes:
        declared: what is declared, with what the observations have shown.
        observed: the last observation.
        problems: what could not be made as declared.
    """

    declared: Declared
    observed: Observed
    problems: tuple[Problem, ...]


class Remembered(NamedTuple):
    """What is remembered from one pass to the next.

    Attributes:
        meshes: what is known of the buses' rules.
        recoveries: what was found and repaired.
        replaced_pairs: the containers whose pair was replaced while they ran.
    """

    meshes: Meshes
    recoveries: Recoveries
    replaced_pairs: ReplacedPairs


class FullPass:
    """Applies plans for the whole host, and knows what is not to be tried now.

    Attributes:
        failed: the steps that the kernel did not take in the last pass.
        repairs_at: when repairs may be made that are withheld now; None if there are none.
        restart_at: when a controller is to be restarted from bus-off; None if none is.
    """

    def __init__(
        self,
        observer: Observer,
        applier: Applier,
        remembered: Remembered,
        *,
        restrain: Restrain,
        limits: RepairLimits,
    ) -> None:
        """Take the ways to the kernel, and what a pass may do.

        Args:
            observer: observes the kernel.
            applier: applies steps.
            remembered: what is remembered from one pass to the next.
            restrain: what is done about drift.
            limits: how often the same thing is repaired.
        """
        self._observer = observer
        self._applier = applier
        self._remembered = remembered
        self._restrain = restrain
        self._limits = limits
        self._failures = Failures()
        self.failed: dict[Step, Failure] = {}
        self.repairs_at: float | None = None
        self.restart_at: float | None = None

    def converge(
        self,
        before: Declared,
        declared: Declared,
        observed: Observed,
        save: Callable[[Declared], None],
        *,
        rebooted: bool,
        since_reboot: bool,
    ) -> Converged:
        """Apply plans until one is empty, or nothing more can be done.

        Args:
            before: what was wanted when the pass began.
            declared: what is wanted now, and saved.
            observed: the observation that the pass began with.
            save: saves what an observation has shown.
            rebooted: this is the first pass after a reboot.
            since_reboot: as of ``Applier.apply``.

        Raises:
            KernelError: the kernel cannot be asked.
        """
        failed = self._failures.not_now(time.monotonic())
        observed, whole = compare(before, declared, observed, self._observer.observe)
        found = whole.drift
        plan, withheld = self.allowed(whole, failed, declared, observed)
        self._remembered.recoveries.found(declared, found, plan.steps, rebooted=rebooted)
        for _ in range(_ROUNDS):
            steps = [step for step in plan.steps if step not in failed]
            if not steps:
                break
            noted = before_steps(declared, steps)
            if noted != declared:
                save(noted)
            failures = self._applier.apply(
                before, noted, steps, rebooted=rebooted, since_reboot=since_reboot
            )
            newly_failed = dict(lasting(noted, failures))
            failed |= newly_failed
            self._applied(whole, steps, newly_failed, rebooted=rebooted)
            observed = self._observer.observe(noted)
            done = [step for step in steps if step not in newly_failed]
            lines.restart_delays(noted, observed, done)
            taken = after_steps(noted, declared, steps, newly_failed)
            after = after_observation(taken, observed)
            if after != noted:
                save(after)
            declared = after
            observed, whole = compare(
                before, declared, observed, self._observer.observe, after_steps=True
            )
            plan, withheld = self.allowed(whole, failed, declared, observed)
        self._failures = self._failures.after(failed, plan.steps, time.monotonic())
        self.failed = failed
        self._remembered.meshes.verified(declared, observed, whole)
        self.repairs_at = self._limits.retry_at(withheld)
        restart_at = next_restart(declared, observed)
        # One that is due and was not made is withheld or has failed.
        self.restart_at = restart_at if (restart_at or 0.0) > observed.at else None
        self._remembered.recoveries.ended(
            found, whole.drift if found else (), failed, rebooted=rebooted
        )
        problems = (
            *plan.problems,
            *problems_of_failures(plan.steps, failed, observed),
            *limited(withheld),
        )
        return Converged(declared, observed, problems)

    def _applied(
        self, whole: Plan, steps: Sequence[Step], failed: Container[Step], *, rebooted: bool
    ) -> None:
        """Take note of steps that the kernel has taken."""
        self._remembered.replaced_pairs.repaired([step for step in steps if step not in failed])
        self._observer.restarted(steps)
        if not rebooted:
            repaired = [item for item in whole.drift if item.step in steps]
            self._limits.spend(item for item in repaired if item.step not in failed)

    def allowed(
        self, whole: Plan, failed: Container[Step], declared: Declared, observed: Observed
    ) -> tuple[Plan, list[Drift]]:
        """Return the part of a plan that may be applied now, and the repairs that may not."""
        plan = self._restrain(whole, declared, observed)
        planned = set(plan.steps) if whole.drift else set()
        repairs = [item for item in whole.drift if item.step in planned and item.step not in failed]
        withheld = self._limits.withheld(repairs)
        skipped = {item.step for item in withheld}
        if skipped:
            plan = plan._replace(steps=tuple(step for step in plan.steps if step not in skipped))
        return plan, withheld
