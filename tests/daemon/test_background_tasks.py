"""The watcher is supervised: whatever ends it is logged, reported and followed by a restart."""

from __future__ import annotations

import pytest

from evercan import supervisor
from evercan.model.problems import ProblemKind
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.queue import PassQueue
from evercan.tracking import backoff
from tests.support.engine import Engine, engine_id
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.02)
    monkeypatch.setattr(supervisor, "STABLE", 0.3)


async def kinds(engine: Engine) -> list[str]:
    reasons = (await engine.get("health")).document["reasons"]
    return [reason["kind"] for reason in reasons]


async def wait_for_health(engine: Engine, expected: list[str]) -> None:
    for _ in range(500):
        if await kinds(engine) == expected:
            return
    raise AssertionError(f"health has {await kinds(engine)}, not {expected}")


async def test_a_watcher_that_cannot_read_events_is_restarted_and_repairs_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    plugin.link_events.fail(ValueError("cannot be decoded"))
    await wait_for_health(engine, [ProblemKind.INTERNAL_ERROR])
    status = (await engine.get("status")).document
    assert [reason["kind"] for reason in status["reasons"]] == [ProblemKind.INTERNAL_ERROR]
    assert "The task 'watcher' ended and is restarted" in caplog.text
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    await wait_for_health(engine, [])


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyError(7), RecursionError(), MemoryError()]
)
async def test_an_error_of_any_kind_in_an_observation_does_not_end_the_watcher(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """The check for lost frames, which only buses on controllers have, is guarded as passes are."""
    kernel.plug("can0")
    await engine.create_network(NETWORK, dev="can", bitrate="500000")
    await engine.start(NETWORK, DASHBOARD)
    failed: list[Exception] = []

    def fail(_: Inspector) -> None:
        failed.append(error)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Inspector, "report_lost_frames", fail)
        patch.setattr("evercan.reconcile.watcher.PAUSE", 0.02)
        plugin.link_events.announce()
        await wait_until(lambda: bool(failed))
    assert await kinds(engine) == []
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)


async def test_a_watcher_that_is_ended_in_any_other_way_is_restarted(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    failed: list[float] = []

    async def fail(_: PassQueue, since: float) -> None:
        failed.append(since)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(PassQueue, "check_since", fail)
        plugin.link_events.announce()
        await wait_until(lambda: bool(failed))
        await wait_for_health(engine, [ProblemKind.INTERNAL_ERROR])
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    await wait_for_health(engine, [])
