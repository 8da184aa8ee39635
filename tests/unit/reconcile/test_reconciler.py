"""One turn: the record first, then the kernel, and what went wrong in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from evercan.errors import EvercanError, KernelError, RequestError, StateError
from evercan.intent.changes import NoChange
from evercan.libnetwork.transaction import raise_error
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import ProblemKind
from evercan.model.steps import Failure, MakeBus, Step
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, queue_of, run_pass
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_exactly_once


class Rejected(NoChange):
    """A change that is rejected."""

    def apply(self, _: Declared, __: Observed) -> Declared:
        raise RequestError("no")


class Faulty(NoChange):
    """A change with a bug."""

    def apply(self, _: Declared, __: Observed) -> Declared:
        raise ZeroDivisionError


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def store(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path)


@pytest.fixture
def reconciler(kernel: FakeKernel, store: StateFile) -> Reconciler:
    made = Reconciler(kernel, store)
    made.start()
    return made


def test_the_intent_is_on_disk_before_the_kernel_changes(store: StateFile) -> None:
    seen: list[bool] = []

    class Witness(FakeKernel):
        def apply(self, steps: Sequence[Step]) -> list[Failure]:
            on_disk = StateFile(store.path.parent).load()
            seen.append("net" in on_disk.networks and "aa" in on_disk.endpoints)
            return super().apply(steps)

    reconciler = Reconciler(Witness(), store)
    reconciler.start()
    run_pass(reconciler, creating(), joining("aa"))
    assert len(seen) > 1
    assert all(seen)


def test_a_disk_that_is_full_changes_nothing(
    reconciler: Reconciler, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StateError, match="No space left"):
            run_pass(reconciler, creating())
    assert kernel.taken == []
    assert not reconciler.state.declared.networks
    run_pass(reconciler, creating())
    assert kernel.link("vcan0").up


def test_a_look_that_fails_changes_nothing(
    reconciler: Reconciler, kernel: FakeKernel, store: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind() -> Observed:
        raise KernelError("look", errno.ENOBUFS, "try again")

    writes = store.writes
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "observe", blind)
        with pytest.raises(KernelError):
            run_pass(reconciler, creating())
    assert (kernel.taken, store.writes) == ([], writes)
    assert not reconciler.state.declared.networks


def test_one_refused_edit_does_not_keep_the_others_from_being_done(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    outcomes = run_pass(reconciler, creating(), Rejected(), joining("aa"), joining("bb", "unheard"))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, False]
    assert_exactly_once(kernel.observe(), "vcan0", *_host_ends(reconciler))


def _host_ends(reconciler: Reconciler) -> list[str]:
    return [each.host_end for each in reconciler.state.declared.endpoints.values()]


def test_thirty_joins_in_one_turn_cost_as_many_looks_as_one(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    run_pass(reconciler, creating())
    looks = kernel.calls["observe"]
    run_pass(reconciler, joining("first"))
    one = kernel.calls["observe"] - looks
    run_pass(reconciler, *(joining(f"{number:x}" * 8) for number in range(15)))
    assert kernel.calls["observe"] - looks - one <= one
    assert_exactly_once(kernel.observe(), "vcan0", *_host_ends(reconciler))


def test_a_check_of_a_whole_host_looks_once_and_writes_nothing(
    reconciler: Reconciler, kernel: FakeKernel, store: StateFile
) -> None:
    run_pass(reconciler, creating(), joining("aa"))
    looks, applied, writes = kernel.calls["observe"], kernel.calls["apply"], store.writes
    run_pass(reconciler)
    assert kernel.calls["observe"] == looks + 1
    assert (kernel.calls["apply"], store.writes) == (applied, writes)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.EPERM, ProblemKind.REFUSED, "CAP_NET_ADMIN"),
        (errno.EOPNOTSUPP, ProblemKind.MODULE_MISSING, "modprobe vcan"),
        (errno.ENOMEM, ProblemKind.REFUSED, "could not create bus interface vcan0.*ENOMEM"),
    ],
)
def test_what_the_kernel_refuses_is_told_once_and_in_words(
    store: StateFile, code: int, kind: ProblemKind, words: str
) -> None:
    class Refusing(FakeKernel):
        def apply(self, steps: Sequence[Step]) -> list[Failure]:
            self.calls["apply"] += 1
            return [Failure(step, code) for step in steps if isinstance(step, MakeBus)]

    kernel = Refusing()
    reconciler = Reconciler(kernel, store)
    reconciler.start()
    run_pass(reconciler, creating())
    (problem,) = reconciler.state.problems
    assert problem.kind is kind
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(str(problem))
    assert kernel.calls["apply"] == 1, "what was refused for good is not tried again in a turn"


def test_a_problem_goes_away_with_its_cause(reconciler: Reconciler, kernel: FakeKernel) -> None:
    kernel.modules.discard("vcan")
    run_pass(reconciler, creating())
    assert reconciler.state.problems
    kernel.modules.add("vcan")
    run_pass(reconciler)
    assert not reconciler.state.problems


def test_a_trouble_of_one_bus_is_no_trouble_of_another(
    reconciler: Reconciler, kernel: FakeKernel
) -> None:
    kernel.make("can0", "", up=False)
    run_pass(reconciler, creating("one", "vcan0"), creating("two", "can0"))
    assert reconciler.state.problems_of("can0")
    assert not reconciler.state.problems_of("vcan0")


async def test_a_fault_in_a_turn_reaches_its_callers_and_the_next_turn_works(
    kernel: FakeKernel, store: StateFile
) -> None:
    queue = queue_of(kernel, store.path.parent)
    await queue.start()
    outcome = await queue.run(Faulty())
    with pytest.raises(EvercanError, match=r"internal fault.*traceback"):
        raise_error(outcome)
    raise_error(await queue.run(creating()))
    assert kernel.link("vcan0").up
    await queue.close()
