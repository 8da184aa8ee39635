"""A turn that breaks off in its middle: what is on record comes true, all else leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from evercan.errors import KernelError
from evercan.libnetwork.driver import Driver
from evercan.model.observed import Observed
from evercan.model.steps import Failure, RepairPair, Step
from evercan.reconcile.watcher import PAUSE
from tests.support.changes import queue_of
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, ONE, TWO = map(engine_id, ("powertrain", "dashboard", "gateway"))


def fail_to_observe() -> Observed:
    raise KernelError("hear from the kernel", errno.ENOBUFS, "evercan tries again")


def break_off(kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look after a change fail, as when the kernel is out of buffers."""
    look, apply = kernel.observe, kernel.apply

    def applying(steps: Sequence[Step]) -> list[Failure]:
        failures = apply(steps)
        monkeypatch.setattr(kernel, "observe", looking)
        return failures

    def looking() -> Observed:
        monkeypatch.setattr(kernel, "observe", look)
        monkeypatch.setattr(kernel, "apply", apply)
        return fail_to_observe()

    monkeypatch.setattr(kernel, "apply", applying)


async def test_a_network_that_could_not_be_created_leaves_no_interface(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.enable()
    break_off(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_network(NETWORK)
    assert not kernel.snapshot().links
    assert not plugin.declared.networks


async def test_an_endpoint_that_could_not_be_created_leaves_no_pair(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    break_off(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_endpoint(NETWORK, ONE)
    assert set(kernel.snapshot().links) == {"vcan0"}
    assert not plugin.declared.endpoints


async def test_a_network_that_was_deleted_does_not_come_back(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    break_off(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.delete_network(NETWORK)  # a warning to the engine, which forgets it
    await engine.call("DeleteEndpoint", NetworkID=NETWORK, EndpointID=ONE)
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


async def test_a_call_that_recorded_nothing_is_not_taken_back(
    engine: Engine,
    kernel: SharedKernel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await engine.enable()
    monkeypatch.setattr(kernel, "observe", fail_to_observe)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_network(NETWORK)
    assert "could not take back" not in caplog.text.lower()


async def test_calls_that_wait_for_a_pass_that_fails_are_all_answered(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    monkeypatch.setattr(kernel, "observe", fail_to_observe)
    endpoints = [engine_id(f"node {number}") for number in range(30)]
    joins = (engine.post("Join", NetworkID=NETWORK, EndpointID=node) for node in endpoints)
    answers = await asyncio.gather(*joins)
    assert {answer.status for answer in answers} == {500}
    assert all("ENOBUFS" in answer.err for answer in answers)


async def test_calls_that_wait_for_a_pass_that_fails_raise_an_error_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = SharedKernel()
    queue = queue_of(kernel, tmp_path)
    driver = Driver(queue)
    await queue.start()
    await driver.create_network(NETWORK, {})
    observe = kernel.observe
    passes: Counter[str] = Counter()

    def fail() -> Observed:
        passes["failed"] += 1
        return fail_to_observe()

    monkeypatch.setattr(kernel, "observe", fail)
    joins = (driver.join(NETWORK, engine_id(f"node {number}")) for number in range(30))
    errors = await asyncio.gather(*joins, return_exceptions=True)
    monkeypatch.setattr(kernel, "observe", observe)
    assert passes["failed"] < 30, "the calls did not share a pass"
    assert all(isinstance(error, KernelError) for error in errors)
    assert len({id(error) for error in errors}) == 30
    for error in errors:
        assert isinstance(error, KernelError)
        assert (error.code, error.remedy) == (errno.ENOBUFS, "evercan tries again")
        # An object that is raised again and again collects the frames of every call.
        assert len(traceback.extract_tb(error.__traceback__)) < 10
    await queue.close()


async def test_a_fault_of_evercan_is_told_once_and_not_run_into_again_and_again(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await engine.create_network(NETWORK)
    lost = await engine.start(NETWORK, ONE)
    other = await engine.start(NETWORK, TWO)
    tried: Counter[str] = Counter()
    apply = kernel.apply

    def faulty(steps: Sequence[Step]) -> list[Failure]:
        if any(isinstance(each, RepairPair) for each in steps):
            tried["times"] += 1
            plugin.link_events.announce()  # pairs that come and go
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "nobody had thought of that")
        return apply(steps)

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "apply", faulty)
        kernel.delete(lost.host_end)
        plugin.link_events.announce()
        await asyncio.sleep(2.5 * PAUSE)
        assert 1 <= tried["times"] <= 4
        answer = await engine.get("health")
        assert answer.status == 503
        assert any("internal fault" in each["text"] for each in answer.document["reasons"])
        (told,) = (each for each in caplog.records if "internal fault" in each.getMessage())
        assert told.exc_info is not None
        assert isinstance(told.exc_info[1], UnicodeEncodeError)
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 12)
    assert_exactly_once(kernel.snapshot(), "vcan0", lost.host_end, other.host_end)
