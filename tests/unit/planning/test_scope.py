"""A plan that is limited to some endpoints ends where the plan of the whole host does."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from evercan.intent.changes import Change, endpoint_of
from evercan.intent.endpoint_changes import DeleteEndpoint, Join, Leave
from evercan.model.declared import Declared, Phase
from evercan.model.steps import AddRules, BringDown, DeleteLink, MakePair, Step
from evercan.planning.plan import make_plan
from evercan.planning.scope import plan_scope
from evercan.tracking.meshes import Meshes
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel
from tests.support.healthy_host import healthy_kernel
from tests.support.invariants import assert_healthy

BUSES = declare([network("net"), network("other", "vcan1")])
OLD = ["a1", "a2", "a3", "b1"]
NEW = ["cc" * 8, "dd" * 8]


def host(names: Sequence[str]) -> Declared:
    """Return two buses with endpoints; those whose name has a b are on the second."""
    networks = ["other" if name.startswith("b") else "net" for name in names]
    return declare(BUSES.networks.values(), map(endpoint, names, networks))


def run(
    kernel: FakeKernel, meshes: Meshes, before: Declared, changes: Sequence[Change]
) -> tuple[Declared, list[Step]] | None:
    """Apply the changes in a scope; return what is declared and the steps, or None."""
    observed = kernel.observe().without_rules()
    scope = meshes.scope(before, observed, [endpoint_of(change) or ("", "") for change in changes])
    if scope is None:
        return None
    declared = before
    for change in changes:
        declared = change.apply(declared, observed)
    steps: list[Step] = []
    for _ in range(3):
        named = scope._replace(names=scope.names | declared.pair_names())
        plan = plan_scope(before, declared, observed, meshes.current(named))
        if plan is None:
            return None
        steps += plan.steps
        assert kernel.apply(plan.steps) == []
        meshes.applied(plan)
        observed = kernel.observe().without_rules()
        meshes.created(plan.steps, observed)
    return declared, steps


def verified(kernel: FakeKernel, declared: Declared) -> Meshes:
    """Return what a full pass knows at its end."""
    observed = kernel.observe()
    meshes = Meshes()
    meshes.verified(declared, observed, make_plan(declared, observed))
    return meshes


@given(
    old=st.lists(st.sampled_from(OLD), unique=True),
    joining=st.lists(st.sampled_from(NEW), unique=True),
    leaving=st.lists(st.sampled_from(OLD), unique=True),
    deleted=st.booleans(),
)
def test_the_host_is_as_a_full_plan_wants_it(
    old: list[str], joining: list[str], leaving: list[str], deleted: bool
) -> None:
    before = host(old)
    kernel = healthy_kernel(before)
    changes: list[Change] = [Join("net", name) for name in joining]
    gone = [name for name in leaving if name in old]
    changes += map(Leave, gone)
    changes += map(DeleteEndpoint, gone if deleted else [])
    result = run(kernel, verified(kernel, before), before, changes)
    assert result is not None
    declared, _ = result
    assert make_plan(declared, kernel.observe()).steps == ()
    assert_healthy(declared, kernel.observe())


def only_steps(names: Sequence[str], *changes: Change) -> list[Step]:
    before = host(names)
    kernel = healthy_kernel(before)
    result = run(kernel, verified(kernel, before), before, changes)
    assert result is not None
    return result[1]


def test_a_join_creates_its_pair_and_adds_its_own_rules() -> None:
    pair, rules = only_steps(["a1", "a2", "a3"], Join("net", NEW[0]))
    assert isinstance(pair, MakePair)
    assert isinstance(rules, AddRules)
    assert len(rules.rules) == 4 * 4  # the bus interface and three members, both ways, two kinds


def test_a_leave_is_one_step() -> None:
    (step,) = only_steps(["a1", "a2", "a3"], Leave("a2"))
    assert isinstance(step, BringDown)


def test_a_pair_is_deleted_in_one_step_and_the_kernel_removes_its_rules() -> None:
    (step,) = only_steps(["a1", "a2", "a3"], DeleteEndpoint("a2"))
    assert isinstance(step, DeleteLink)


# --- what takes a full plan -------------------------------------------------------------


def needs_full_plan(kernel: FakeKernel, meshes: Meshes, before: Declared, change: Change) -> bool:
    return run(kernel, meshes, before, [change]) is None


def test_a_call_that_changes_nothing() -> None:
    before = host(["a1"])
    kernel = healthy_kernel(before)
    assert needs_full_plan(kernel, verified(kernel, before), before, Join("net", "a1"))


def test_a_bus_that_was_not_found_healthy() -> None:
    before = host(["a1"])
    kernel = healthy_kernel(before)
    kernel.flush_rules()
    assert needs_full_plan(kernel, verified(kernel, before), before, Join("net", NEW[0]))
    assert not needs_full_plan(kernel, verified(kernel, before), before, Join("other", NEW[0]))


def test_a_bus_interface_that_is_down_or_gone() -> None:
    before = host(["a1"])
    kernel = healthy_kernel(before)
    meshes = verified(kernel, before)
    kernel.set_flag("vcan0", up=False)
    assert needs_full_plan(kernel, meshes, before, Join("net", NEW[0]))
    kernel.delete("vcan0")
    assert needs_full_plan(kernel, meshes, before, Join("net", NEW[0]))


def test_an_endpoint_that_left_and_joins_again() -> None:
    before = host(["a1", "a2"])
    kernel = healthy_kernel(before)
    meshes = verified(kernel, before)
    result = run(kernel, meshes, before, [Leave("a1")])
    assert result is not None
    assert needs_full_plan(kernel, meshes, result[0], Join("net", "a1"))


def test_a_pair_that_exists_and_may_have_rules() -> None:
    before = host(["a1"])
    kernel = healthy_kernel(before)
    meshes = verified(kernel, before)
    created = endpoint("a2", phase=Phase.CREATED)
    kernel.apply([MakePair("vcan0", created.id, created.host_end, created.container_end)])
    before = before.with_endpoint(created)
    assert needs_full_plan(kernel, meshes, before, Join("net", "a2"))
    meshes = verified(kernel, before)
    assert not needs_full_plan(kernel, meshes, before, Join("net", "a2"))


def test_nothing_is_known_after_something_unexpected() -> None:
    before = host(["a1"])
    kernel = healthy_kernel(before)
    meshes = verified(kernel, before)
    meshes.forget()
    assert needs_full_plan(kernel, meshes, before, Join("net", NEW[0]))
