"""Makes the kernel as declared: observe, change the declared state, save, plan, apply, verify.

Every engine call, the start after a reboot, a kernel event and the periodic check are one
*reconcile pass*. A pass takes any number of changes: calls that arrive during a pass share
the next one, so that thirty containers that start at once cost a few observations, not
thirty.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from evercan.errors import EvercanError, InternalFault
from evercan.intent.changes import Change, NoChange, endpoint_of
from evercan.intent.observation import after_observation, after_start
from evercan.kernel.port import Checkpoint, Kernel, go_on
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.model.state import State
from evercan.planning.scope import Scope
from evercan.planning.warnings import find_warnings
from evercan.reconcile.applier import Applier
from evercan.reconcile.full_pass import FullPass, Remembered, Restrain, repair_drift
from evercan.reconcile.observer import Observer
from evercan.reconcile.outcome import GivenUp, Outcome
from evercan.reconcile.retries import Retries
from evercan.reconcile.saved_intent import SavedIntent
from evercan.reconcile.scoped_pass import ScopedPass
from evercan.reconcile.state_file import StateFile
from evercan.tracking.failures import Failures
from evercan.tracking.meshes import Meshes
from evercan.tracking.recoveries import Recoveries
from evercan.tracking.repair_limits import RepairLimits
from evercan.tracking.replaced_pairs import ReplacedPairs
from evercan.tracking.swapped_controllers import SwappedControllers

_log = logging.getLogger(__name__)


class Reconciler:
    """Owns the declared state and makes the kernel so.

    Not thread safe: one pass at a time, in whatever thread.

    Attributes:
        state: what the last pass left behind.
        observer: observes the kernel.
        saved: the declared state on disk.
        recoveries: what was found and repaired.
        replaced_pairs: the containers whose pair was replaced while they ran.
        swapped_controllers: the controllers that have swapped their names.
        applier: applies steps.
        full: makes everything on the host as declared.
    """

    def __init__(
        self,
        kernel: Kernel,
        state_file: StateFile,
        *,
        restrain: Restrain = repair_drift,
        limits: RepairLimits | None = None,
    ) -> None:
        """Take what outlives a process, and what a pass may do.

        Args:
            kernel: the host's kernel.
            state_file: keeps the declared state.
            restrain: what is done about drift.
            limits: how often the same thing is repaired.
        """
        self._kernel = kernel
        self._rebooted = False
        self._restored = False
        self._retries = Retries()
        self.state = State()
        self.observer = Observer(kernel)
        self.applier = Applier(kernel)
        self.saved = SavedIntent(state_file)
        self.recoveries = Recoveries()
        self.replaced_pairs = ReplacedPairs()
        self.swapped_controllers = SwappedControllers()
        self._meshes = Meshes()
        self._scoped = ScopedPass(self._meshes, self.observer, self.applier)
        self.full = FullPass(
            self.observer,
            self.applier,
            Remembered(self._meshes, self.recoveries, self.replaced_pairs),
            restrain=restrain,
            limits=RepairLimits() if limits is None else limits,
        )

    @property
    def retry_at(self) -> float | None:
        """When a pass should follow without an event, in seconds of the monotonic clock."""
        return self._retries.at

    @property
    def verifies_soon(self) -> bool:
        """Whether a full pass follows soon because passes for calls were limited to these."""
        return self._retries.verifies_soon

    def start(self) -> None:
        """Load the declared state that the last process left, and run the first pass.

        A pass that fails is repeated like any other.

        Raises:
            StateError: the state file cannot be used.
            KernelError: the boot's id cannot be read.
        """
        saved = self.saved.load()
        boot = self._kernel.boot_id()
        self._rebooted = bool(saved.boot) and saved.boot != boot
        if self._rebooted and saved.networks:
            _log.info("The host was rebooted: restoring %d networks", len(saved.networks))
        self.state = self.state._replace(declared=after_start(saved, boot))
        self.run([])

    def run(self, changes: Sequence[Change], checkpoint: Checkpoint = go_on) -> list[Outcome]:
        """Run one pass: apply changes and make the kernel as declared.

        Args:
            changes: what calls ask for.
            checkpoint: may raise ``GivenUp`` while a pass that no call asked for observes.

        Returns:
            An outcome for each change. Whether the kernel could be made as declared is in
            ``Outcome.state.problems``. If the pass failed after the changes were saved,
            they stay declared, and a later pass makes the kernel so.

        Raises:
            GivenUp: the pass has done nothing, and is to be repeated.
        """
        kept = self._retries.take_removals()
        everything = [*kept, *changes]
        entries: list[Outcome] = []
        error: EvercanError | None = None
        if any(not isinstance(change, NoChange) for change in everything):
            checkpoint = go_on
        try:
            self._run(everything, entries, checkpoint)
        except GivenUp:
            raise
        except EvercanError as failed:
            error = failed
        except Exception as failed:  # noqa: BLE001 - whoever waits gets an answer in any case
            error = InternalFault(failed)
        if error is not None:
            self._meshes.forget()
            self.recoveries.pass_failed(error)
        # A change that the pass did not reach has not been applied.
        entries += [Outcome(self.state, error=error)] * (len(everything) - len(entries))
        done = zip(everything, entries, strict=True)
        self._retries.keep_removals(change for change, entry in done if entry.before is None)
        persistent = any(
            not Failures.is_permanent(failure) for failure in self.full.failed.values()
        )
        self._retries.schedule(
            failed=error is not None or persistent or bool(self.saved.problems),
            module_missing=bool(self.state.declared.networks) and not self.state.observed.can_gw,
            moments=(self.full.repairs_at, self.full.restart_at, *self._fault_ends()),
        )
        return [
            entry._replace(state=self.state, error=entry.error or error)
            for entry in entries[len(kept) :]
        ]

    def _run(
        self, changes: Sequence[Change], entries: list[Outcome], checkpoint: Checkpoint
    ) -> None:
        scope = self._scope_of(changes)
        if scope is None:
            with self.observer.interruptible(checkpoint):
                observed = self._observe(self.state.declared)
        else:
            observed = self.observer.refresh(self.state.observed, scope.names)
        current = after_observation(self.state.declared, observed)
        declared = self._apply_changes(changes, entries, current, observed)
        if scope is not None:
            converged = self._scoped.converge(
                current, declared, observed, scope, since_reboot=self._rebooted
            )
            if converged is not None:
                self._completed_scope(*converged)
                self._retries.verify_soon()
                return
            observed = self._observe(declared)
        rebooted = self._rebooted and not self._restored
        self._converge(current, declared, observed, rebooted=rebooted)
        self._restored = True

    def _observe(self, declared: Declared) -> Observed:
        """Observe for a full pass; if it fails, it is repeated for that reason."""
        self._retries.verifying()
        return self.observer.observe(declared)

    def _fault_ends(self) -> Iterator[float | None]:
        """Yield when faults end, each time with a pass."""
        return (fault.until for fault in self.state.declared.faults)

    def _scope_of(self, changes: Sequence[Change]) -> Scope | None:
        """Return what a pass for these changes may be limited to; None for a full pass."""
        if self.state.declared.faults or self.state.declared.fault_queues:
            return None  # a member that joins or leaves changes the faults of others
        endpoints = [endpoint_of(change) for change in changes]
        known = [endpoint for endpoint in endpoints if endpoint is not None]
        if len(known) < len(endpoints) or not known:
            return None
        scope = self._meshes.scope(self.state.declared, self.state.observed, known)
        if scope is None or any(problem.bus in scope.ends for problem in self.state.problems):
            return None
        return scope

    def _completed_scope(self, declared: Declared, observed: Observed) -> None:
        """Keep what a pass with a scope has found; the next full pass judges the rest."""
        self._save_derived(declared)
        self.replaced_pairs.forget_absent(declared)
        former = self.state
        members = {end.id for end in declared.endpoints.values() if end.is_member}
        self.state = former._replace(
            declared=declared,
            observed=observed,
            warnings=tuple(
                warning for warning in former.warnings if warning.endpoint in {None, *members}
            ),
        )
        self.recoveries.completed(self.state, former)

    def _apply_changes(
        self,
        changes: Sequence[Change],
        entries: list[Outcome],
        current: Declared,
        observed: Observed,
    ) -> Declared:
        """Apply changes to the declared state and save it; return what is declared now."""
        declared = current
        applied: list[Outcome] = []
        for change in changes:
            try:
                after = change.apply(declared, observed)
            except EvercanError as error:
                applied.append(Outcome(self.state, observed, error=error))
            else:
                applied.append(Outcome(self.state, observed, before=declared))
                declared = after
        if declared == current:
            self._save_derived(current)
        else:
            try:
                self._save(declared)
            except EvercanError as error:
                # Nothing of the calls is on disk, so none of it may be done. Repairs go on.
                entries += [
                    entry._replace(before=None, error=entry.error or error) for entry in applied
                ]
                self._save_derived(current)
                return current
        entries += applied
        return declared

    def _save(self, declared: Declared) -> None:
        """Save what is wanted from now on, whatever becomes of the pass."""
        self.saved.save(declared)
        self.state = self.state._replace(declared=declared)

    def _save_derived(self, declared: Declared) -> None:
        """Save what an observation has shown; a disk that cannot be written delays no repair."""
        self.saved.save_derived(declared)
        self.state = self.state._replace(declared=declared)

    def _converge(
        self, before: Declared, declared: Declared, observed: Observed, *, rebooted: bool
    ) -> None:
        """Make everything as declared; parameters as of ``FullPass.converge``."""
        declared, observed, problems = self.full.converge(
            before,
            declared,
            observed,
            self._save_derived,
            rebooted=rebooted,
            since_reboot=self._rebooted,
        )
        self.replaced_pairs.forget_absent(declared)
        self.swapped_controllers.follow(observed)
        problems = (*problems, *self.saved.problems)
        former, self.state = self.state, self.described(declared, observed, problems)
        self.recoveries.completed(self.state, former)

    def described(
        self, declared: Declared, observed: Observed, problems: tuple[Problem, ...]
    ) -> State:
        """Return what is known after an observation, with its warnings."""
        return State(
            declared=declared,
            observed=observed.without_rules(),
            problems=problems,
            warnings=(
                *find_warnings(declared, observed),
                *self.replaced_pairs.warnings(declared),
                *self.swapped_controllers.warnings(declared, observed),
            ),
        )
