"""A pass that no call asked for may be given up while it observes, and has then done nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.intent.changes import Change, NoChange
from evercan.intent.endpoint_changes import DeleteEndpoint, Join, Leave
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.reconcile import waiting
from evercan.reconcile.outcome import GivenUp
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.reconcile.waiting import Precedence, Ticket, Waiting
from tests.support.changes import creating, joining, run_pass, unlimited
from tests.support.fake_kernel import FakeKernel
from tests.support.invariants import assert_exactly_once


class CheckedKernel(FakeKernel):
    """A kernel whose observations have one checkpoint each."""

    def observe(self) -> Observed:
        self.checkpoint()
        return super().observe()


def give_up() -> None:
    raise GivenUp


@pytest.fixture
def kernel() -> CheckedKernel:
    return CheckedKernel()


@pytest.fixture
def reconciler(kernel: CheckedKernel, tmp_path: Path) -> Reconciler:
    """Return one of a bus whose rules somebody has flushed."""
    made = Reconciler(kernel, StateFile(tmp_path))
    made.start()
    run_pass(made, creating(), joining("one"), joining("two"))
    kernel.flush_rules()
    return made


def ends(declared: Declared) -> list[str]:
    return [endpoint.host_end for endpoint in declared.endpoints.values()]


def test_a_check_that_is_given_up_changes_nothing(
    kernel: CheckedKernel, reconciler: Reconciler
) -> None:
    taken, state, retry_at = list(kernel.taken), reconciler.state, reconciler.retry_at
    with pytest.raises(GivenUp):
        reconciler.run([NoChange()], give_up)
    assert (kernel.taken, reconciler.state, reconciler.retry_at) == (taken, state, retry_at)
    run_pass(reconciler)
    assert_exactly_once(kernel.observe(), "vcan0", *ends(reconciler.state.declared))


def test_a_pass_that_a_call_asked_for_is_not_given_up(
    kernel: CheckedKernel, reconciler: Reconciler
) -> None:
    (_, outcome) = reconciler.run([NoChange(), joining("three")], give_up)
    assert outcome.error is None
    assert_exactly_once(kernel.observe(), "vcan0", *ends(reconciler.state.declared))


def test_calls_go_ahead_of_a_check_that_is_given_up(
    kernel: CheckedKernel, reconciler: Reconciler
) -> None:
    with pytest.raises(GivenUp):
        reconciler.run([NoChange()], give_up)
    run_pass(reconciler, joining("three"))  # sees no rules
    run_pass(reconciler)
    assert_exactly_once(kernel.observe(), "vcan0", *ends(reconciler.state.declared))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["check", "given up", "flush"]),
            st.builds(Join, st.just("net"), st.sampled_from("abc")),
            st.builds(Leave, st.sampled_from("abc")),
            st.builds(DeleteEndpoint, st.sampled_from("abc")),
        ),
        max_size=20,
    )
)
def test_wherever_checks_are_given_up_frames_arrive_once_after_the_next(
    events: list[str | Join | Leave | DeleteEndpoint],
) -> None:
    with TemporaryDirectory() as folder:
        kernel = CheckedKernel()
        reconciler = Reconciler(kernel, StateFile(Path(folder)), limits=unlimited())
        reconciler.start()
        run_pass(reconciler, creating(), joining("a"))
        for event in events:
            match event:
                case "check":
                    run_pass(reconciler)
                case "flush":
                    kernel.flush_rules()
                case "given up":
                    with suppress(GivenUp):  # a pass that repeats a removal is not given up
                        reconciler.run([NoChange()], give_up)
                case Join() | Leave() | DeleteEndpoint():
                    run_pass(reconciler, event)
        run_pass(reconciler)
        members = [end for end in reconciler.state.declared.endpoints.values() if end.is_member]
        assert_exactly_once(kernel.observe(), "vcan0", *(end.host_end for end in members))


def test_an_observation_is_given_up_once_a_call_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = 100.0, [100.0]
    monkeypatch.setattr("evercan.reconcile.waiting.time.monotonic", lambda: now)
    precedence = Precedence(lambda: calls)
    given_up = []
    for _ in range(7):
        while True:
            now += 0.125
            try:
                precedence.check()
            except GivenUp:
                given_up.append(now - calls[0])
                calls = [now]
                break
    assert given_up == [0.375, 0.625, 1.125, 2.125, 4.125, 4.125, 4.125]
    assert precedence.pause() == waiting.PAUSE
    precedence.completed()
    calls = []
    precedence.check()


def ticket(change: Change, call: str | None) -> Ticket:
    return Ticket(change, call, asyncio.get_running_loop().create_future())


async def test_calls_and_checks_take_turns() -> None:
    line = Waiting(lambda: None)
    check, *calls = (
        ticket(NoChange(), None),
        ticket(joining("a"), "Join-1"),
        ticket(NoChange(), "Join-1"),  # a Join that waits for a name observes again
        ticket(joining("b"), "Join-2"),
    )
    for one in (check, *calls[:2]):
        line.add(one)
    assert line.take_batch() == calls[:2]
    assert line.calls_since() == [one.since for one in calls[:2]]
    line.begun()
    assert line.calls_since() == []
    line.add(calls[2])
    assert line.take_batch() == [check]
    assert line.calls_since() == [calls[2].since]
    line.put_off([check])
    assert line.take_batch() == calls[2:]
    assert not line


async def test_a_check_that_was_put_off_follows_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    due = asyncio.Event()
    line = Waiting(due.set)
    line.add(call := ticket(joining("a"), "Join-1"))
    await asyncio.sleep(0.02)
    with pytest.raises(GivenUp):
        line.precedence.check()
    assert line.take_batch() == [call]
    line.put_off([first := ticket(NoChange(), None)])
    line.add(second := ticket(NoChange(), None))
    assert not line
    assert line.has_put_off
    await asyncio.wait_for(due.wait(), timeout=5)
    assert line.take_batch() == [first, second]
    assert not line.has_put_off


async def test_a_ticket_that_waits_can_be_taken_out_again() -> None:
    line = Waiting(lambda: None)
    line.add(call := ticket(joining("a"), "Join-1"))
    assert line.remove(call)
    assert not line.remove(call)
