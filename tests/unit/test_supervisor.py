"""A background task that ends is logged, reported, and restarted with growing pauses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from evercan import supervisor as module
from evercan.errors import KernelError
from evercan.model.problems import ProblemKind
from evercan.supervisor import Supervisor
from evercan.tracking import backoff
from tests.support.waiting import wait_until

FIRST, STABLE = 0.02, 0.2


@pytest.fixture
async def supervisor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(backoff, "FIRST", FIRST)
    monkeypatch.setattr(module, "STABLE", STABLE)
    supervisor = Supervisor()
    yield supervisor
    await supervisor.close()


class Work:
    """A task that ends with each of some errors in turn, and then runs until it is cancelled.

    Attributes:
        began: when it was started, in seconds of the loop's clock.
        cancelled: it was cancelled while it ran.
    """

    def __init__(self, *errors: BaseException | None) -> None:
        self.began: list[float] = []
        self.cancelled = False
        self._errors = list(errors)

    async def __call__(self) -> None:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        if not self._errors:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if (error := self._errors.pop(0)) is not None:
            raise error


ENDS: dict[str, BaseException | None] = {
    "a bug": ValueError("cannot be decoded"),
    "an error of evercan's own": KernelError("read events", 105, "wait"),
    "it returns": None,
    "it is cancelled": asyncio.CancelledError(),
}


@pytest.mark.parametrize("error", ENDS.values(), ids=ENDS)
async def test_a_task_that_ends_in_any_way_is_logged_reported_and_restarted(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture, error: BaseException | None
) -> None:
    work = Work(error)
    supervisor.run("watcher", work)
    await wait_until(lambda: bool(supervisor.problems))
    (problem,) = supervisor.problems
    assert (problem.kind, problem.bus) == (ProblemKind.INTERNAL_ERROR, "")
    assert "the task 'watcher' ended" in problem.text
    assert "report it" in problem.remedy
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "The task 'watcher' ended and is restarted" in record.message
    await wait_until(lambda: len(work.began) == 2)


async def test_a_restarted_task_counts_as_working_once_it_has_run_for_a_while(
    supervisor: Supervisor,
) -> None:
    work = Work(ValueError("once"))
    supervisor.run("watcher", work)
    await wait_until(lambda: len(work.began) == 2)
    assert supervisor.problems, "it has only just been restarted"
    await wait_until(lambda: not supervisor.problems)
    assert asyncio.get_running_loop().time() - work.began[1] >= STABLE * 0.9
    assert len(work.began) == 2


async def test_the_pauses_grow_while_a_task_ends_again_and_again(supervisor: Supervisor) -> None:
    work = Work(*(ValueError(str(number)) for number in range(4)))
    supervisor.run("watcher", work)
    await wait_until(lambda: len(work.began) == 5)
    pauses = [later - earlier for earlier, later in zip(work.began, work.began[1:], strict=False)]
    for number, pause in enumerate(pauses):
        assert pause >= FIRST * 2**number * 0.9
    assert len(supervisor.problems) == 1


async def test_the_pauses_begin_again_after_a_task_has_worked(supervisor: Supervisor) -> None:
    fails = asyncio.Event()
    began: list[float] = []

    async def work() -> None:
        began.append(asyncio.get_running_loop().time())
        if len(began) <= 3:
            raise ValueError
        await fails.wait()
        fails.clear()
        raise ValueError

    supervisor.run("watcher", work)
    await wait_until(lambda: len(began) == 4)
    await wait_until(lambda: not supervisor.problems)
    before = asyncio.get_running_loop().time()
    fails.set()
    await wait_until(lambda: len(began) == 5)
    assert began[4] - before < FIRST * 2**3


async def test_one_task_that_ends_does_not_disturb_another(supervisor: Supervisor) -> None:
    steady, failing = Work(), Work(ValueError("one"), ValueError("two"))
    supervisor.run("steady", steady)
    supervisor.run("failing", failing)
    await wait_until(lambda: len(failing.began) == 3)
    assert len(steady.began) == 1
    (problem,) = supervisor.problems
    assert "'failing'" in problem.text


@pytest.mark.parametrize("after", [0.0, 0.05, STABLE * 1.5], ids=["new", "running", "stable"])
async def test_closing_cancels_all_tasks_without_a_word(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture, after: float
) -> None:
    tasks = [Work(), Work()]
    for number, work in enumerate(tasks):
        supervisor.run(str(number), work)
    await asyncio.sleep(after)
    await asyncio.wait_for(supervisor.close(), timeout=2)
    assert [work.cancelled for work in tasks] == [bool(after)] * 2 or after == 0.0
    assert (supervisor.problems, caplog.records) == ((), [])


async def test_closing_does_not_wait_for_a_pause(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST", 60.0)
    work: Callable[[], Awaitable[None]] = Work(ValueError("once"))
    supervisor.run("watcher", work)
    await wait_until(lambda: bool(supervisor.problems))
    await asyncio.wait_for(supervisor.close(), timeout=2)
