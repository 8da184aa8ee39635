"""Observes without changing anything: for ``/health``, ``/status``, metrics and lost frames."""

from __future__ import annotations

import time
from collections.abc import Mapping

from evercan.intent.observation import after_observation
from evercan.kernel.port import Kernel
from evercan.model.controller import Controller
from evercan.model.declared import NONE, Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem
from evercan.model.rule_counts import RuleCounts
from evercan.model.state import State
from evercan.planning.plan import Plan
from evercan.reconcile.comparison import compare
from evercan.reconcile.observer import Observe
from evercan.reconcile.reconciler import Reconciler
from evercan.tracking.bus_loads import BusLoads, BusTime
from evercan.tracking.denied_frames import Denied, DeniedFrames
from evercan.tracking.failures import problems_of_failures
from evercan.tracking.frame_counters import FrameCounters, Frames
from evercan.tracking.lost_frames import LostFrames, controllers_of, has_controllers
from evercan.tracking.recoveries import LastRecovery, Tally
from evercan.tracking.repair_limits import limited
from evercan.values import NamedTuple


class Snapshot(NamedTuple):
    """Everything that an operator may ask for, observed at one moment.

    Attributes:
        state: an observation, and what a pass would find as problems.
        frames: what the rules have counted.
        denied: what the filters of members with limits have denied, by endpoint id.
        tally: what has happened so far.
        recoveries: the last recovery of each bus.
        controllers: each controller that is a bus, with its statistics, by bus interface.
        times: how long the wire of each bus with a bitrate was busy, by bus interface.
        at: when it was observed, in seconds since the epoch.
    """

    state: State
    frames: Frames = Frames()
    denied: Mapping[str, Denied] = NONE
    tally: Tally = Tally()
    recoveries: Mapping[str, LastRecovery] = NONE
    controllers: Mapping[str, Controller] = NONE
    times: Mapping[str, BusTime] = NONE
    at: float = 0.0


class Inspector:
    """Answers what a pass would find; runs between two passes, in the reconciler's thread."""

    def __init__(self, kernel: Kernel, reconciler: Reconciler) -> None:
        """Take the kernel and whoever changes it."""
        self._kernel = kernel
        self._reconciler = reconciler
        self._lost_frames = LostFrames()
        self._frame_counters = FrameCounters()
        self._denied_frames = DeniedFrames()
        self._bus_loads = BusLoads()

    def start(self) -> None:
        """Take the frames that were lost before this process as reported.

        Raises:
            KernelError: the kernel cannot be observed.
        """
        if self._has_controllers():
            state, counts = self._inspect(self._reconciler.observer.observe_with_counts)
            self._lost_frames.start(state.declared, state.observed, counts)

    def inspect(self) -> State:
        """Observe, and return what a pass would find.

        Raises:
            KernelError: the kernel cannot be observed.
        """
        observer = self._reconciler.observer
        counted = bool(self._reconciler.replaced_pairs)
        return self._inspect(observer.observe_with_counts if counted else observer.observe)[0]

    def snapshot(self) -> Snapshot:
        """Inspect, and read all counters.

        Raises:
            KernelError: the kernel cannot be observed.
        """
        state, counts = self._inspect(self._reconciler.observer.observe_with_counts)
        declared, observed = state.declared, state.observed
        recoveries = self._reconciler.recoveries
        denied = self._denied_frames.add(declared, observed)
        taken_off = self._denied_frames.unattributed
        controllers = self._controllers(declared, observed)
        return Snapshot(
            state=state,
            frames=self._frame_counters.add(declared, observed, counts, taken_off),
            denied=denied,
            controllers=controllers,
            times=self._bus_loads.add(declared, observed, controllers),
            tally=Tally(
                steps=dict(self._reconciler.applier.steps_taken),
                writes=self._reconciler.saved.writes,
                drift=dict(recoveries.drift),
                recoveries=dict(recoveries.recoveries),
            ),
            recoveries=dict(recoveries.last),
            at=time.time(),
        )

    def report_lost_frames(self) -> None:
        """Log the frames that controllers could not take, and those that filters have denied.

        The counters that this needs also show which replaced pairs are used.

        Raises:
            KernelError: the kernel cannot be observed.
        """
        observer = self._reconciler.observer
        if self._has_controllers() or self._reconciler.replaced_pairs:
            state, counts = self._inspect(observer.observe_with_counts)
            self._lost_frames.report(state.declared, state.observed, counts)
        elif self._reconciler.state.observed.filters:
            state, _ = self._inspect(observer.observe)
        else:
            return
        self._denied_frames.report(state.declared, state.observed)

    def _has_controllers(self) -> bool:
        state = self._reconciler.state
        return has_controllers(state.declared, state.observed)

    def _inspect(self, observe: Observe) -> tuple[State, RuleCounts]:
        """Return what a pass would find, and what the rules have counted if that was observed."""
        former = self._reconciler.state.declared
        observed = observe(former)
        declared = after_observation(former, observed)
        observed, whole = compare(declared, declared, observed, observe)
        problems = self._problems(whole, declared, observed)
        self._reconciler.replaced_pairs.forget_used(declared, observed, observed.counts)
        state = self._reconciler.described(declared, observed, problems)
        lost = self._lost_frames.warnings(declared, observed)
        state = state._replace(warnings=(*state.warnings, *lost))
        return state, observed.counts

    def _problems(self, whole: Plan, declared: Declared, observed: Observed) -> tuple[Problem, ...]:
        reconciler, full = self._reconciler, self._reconciler.full
        plan, withheld = full.allowed(whole, full.failed, declared, observed)
        failed = [step for step in plan.steps if step in full.failed]
        due = set(plan.steps).difference(failed) if whole.drift else set()
        error = reconciler.recoveries.failed_pass
        return (
            *plan.problems,
            *problems_of_failures(failed, full.failed, observed),
            *(item.problem() for item in whole.drift if item.step in due),
            *limited(withheld),
            *(reconciler.saved.problems if error is None else (Problem.of_error(error),)),
        )

    def _controllers(self, declared: Declared, observed: Observed) -> dict[str, Controller]:
        """Read each controller that is a bus, with its statistics."""
        read = {
            bus: self._kernel.controller(link.index)
            for bus, link in controllers_of(declared, observed).values()
        }
        return {bus: controller for bus, controller in read.items() if controller is not None}
