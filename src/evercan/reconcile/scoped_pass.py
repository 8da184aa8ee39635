"""Does what calls ask for without an observation of the whole host."""

from __future__ import annotations

from evercan.intent.observation import after_observation
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.steps import AddRules
from evercan.planning.scope import Scope, plan_scope
from evercan.reconcile.applier import Applier
from evercan.reconcile.observer import Observer
from evercan.tracking.meshes import Meshes

_ROUNDS = 4
"""Plans at the most: create the pair, set its filters, and two for what changes meanwhile."""


class ScopedPass:
    """Applies plans that are limited to the endpoints of calls (``planning.scope``)."""

    def __init__(self, meshes: Meshes, observer: Observer, applier: Applier) -> None:
        """Take what is known of the buses, and the ways to the kernel."""
        self._meshes = meshes
        self._observer = observer
        self._applier = applier

    def converge(
        self,
        before: Declared,
        declared: Declared,
        observed: Observed,
        scope: Scope,
        *,
        since_reboot: bool,
    ) -> tuple[Declared, Observed] | None:
        """Apply plans until one is empty.

        Args:
            before: what was wanted when the pass began.
            declared: what is wanted now, and saved.
            observed: the last observation, in which the links of the scope were read again.
            scope: what the calls are about.
            since_reboot: as of ``Applier.apply``.

        Returns:
            What is declared and observed at the end; None if it takes a full pass.

        Raises:
            KernelError: the kernel cannot be asked.
        """
        endpoints = map(declared.endpoints.get, scope.endpoints)
        ends = {
            name
            for endpoint in endpoints
            if endpoint is not None
            for name in (*endpoint.host_interfaces, endpoint.container_end)
        }
        scope = scope._replace(names=scope.names | ends)
        for _ in range(_ROUNDS):
            plan = plan_scope(before, declared, observed, self._meshes.current(scope))
            if plan is None:
                break
            if plan.steps and self._applier.apply(
                before, declared, plan.steps, rebooted=False, since_reboot=since_reboot
            ):
                break
            self._meshes.applied(plan)
            if all(isinstance(step, AddRules) for step in plan.steps):
                return declared, observed
            observed = self._observer.refresh(observed, scope.names)
            self._meshes.created(plan.steps, observed)
            declared = after_observation(declared, observed)
        self._meshes.forget()
        return None
