"""Compares the declared state with observations until they can be believed."""

from __future__ import annotations

from collections.abc import Collection

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.steps import AddRules, RemoveRules, Step
from evercan.planning.drift import changing_ends
from evercan.planning.plan import Plan, make_plan
from evercan.reconcile.observer import Observe
from evercan.values import NamedTuple

_OBSERVATIONS = 4
"""Observations at the most, until two in a row agree about the rules."""


class Comparison(NamedTuple):
    """An observation and the plan for it.

    Attributes:
        observed: what exists.
        plan: everything that leads from there to what is declared.
    """

    observed: Observed
    plan: Plan


def compare(
    before: Declared,
    declared: Declared,
    observed: Observed,
    observe: Observe,
    *,
    after_steps: bool = False,
) -> Comparison:
    """Plan; believe what seems wrong with rules only when two observations in a row agree.

    A dump of a large rule table is not atomic: between two of its datagrams the kernel
    goes on by position (``cgw_dump_jobs``), so that a rule that is added meanwhile makes
    another one seem double, and one that is removed makes another one seem missing.

    Args:
        before: what was wanted when the pass began.
        declared: what is wanted now.
        observed: the first observation.
        observe: makes another one.
        after_steps: the steps of a plan were just taken, so that no rule should be wrong,
            whether it was asked for or not. Before that, the rules of an endpoint whose
            membership changes are believed: those of a new member cannot exist.
    """
    doubted: list[Step] = []
    for _ in range(_OBSERVATIONS):
        plan = make_plan(declared, observed, before)
        changed = () if after_steps else changing_ends(before, declared, observed)
        steps = _doubtful(plan, changed)
        if steps == doubted:
            break
        doubted = steps
        observed = observe(declared)
    return Comparison(observed, plan)


def _doubtful(plan: Plan, changed: Collection[int]) -> list[Step]:
    """Return the steps of rules between ends whose membership does not change."""
    return [
        step
        for step in plan.steps
        if isinstance(step, AddRules | RemoveRules)
        and any(rule.source not in changed and rule.target not in changed for rule in step.rules)
    ]
