"""A pass that fails halfway: what is declared is restored later, a failed call leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from evercan.errors import KernelError
from evercan.libnetwork.driver import Driver
from evercan.model.declared import Phase
from evercan.model.steps import Failure, RepairPair, Step
from evercan.reconcile.watcher import PAUSE
from tests.support.changes import queue_of
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, ONE, TWO = map(engine_id, ("powertrain", "dashboard", "gateway"))


OBSERVATIONS = ("observe", "links_named")


def fail_to_observe(*_: object) -> NoReturn:
    raise KernelError("observe the kernel", errno.ENOBUFS, "evercan tries again")


def fail_after_next_change(kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the first observation after the next change fail, as if the kernel had no buffers."""
    originals = {name: getattr(kernel, name) for name in (*OBSERVATIONS, "apply")}
    apply = kernel.apply

    def apply_and_arm(steps: Sequence[Step]) -> list[Failure]:
        failures = apply(steps)
        for name in OBSERVATIONS:
            monkeypatch.setattr(kernel, name, fail_one_time)
        return failures

    def fail_one_time(*arguments: object) -> NoReturn:
        for name, original in originals.items():
            monkeypatch.setattr(kernel, name, original)
        fail_to_observe(*arguments)

    monkeypatch.setattr(kernel, "apply", apply_and_arm)


async def test_a_network_that_could_not_be_created_leaves_no_interface(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.enable()
    fail_after_next_change(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_network(NETWORK)
    assert not kernel.snapshot().links
    assert not plugin.declared.networks


async def test_an_endpoint_that_could_not_be_created_leaves_no_pair(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    fail_after_next_change(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_endpoint(NETWORK, ONE)
    assert set(kernel.snapshot().links) == {"vcan0"}
    assert not plugin.declared.endpoints


async def test_a_network_that_was_deleted_does_not_come_back(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    fail_after_next_change(kernel, monkeypatch)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.delete_network(NETWORK)  # the engine logs it and forgets the network
    await engine.call("DeleteEndpoint", NetworkID=NETWORK, EndpointID=ONE)
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


async def test_a_call_that_was_not_applied_is_not_rolled_back(
    engine: Engine,
    kernel: SharedKernel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await engine.enable()
    monkeypatch.setattr(kernel, "observe", fail_to_observe)
    with pytest.raises(EngineError, match="ENOBUFS"):
        await engine.create_network(NETWORK)
    assert "could not roll back" not in caplog.text.lower()


async def test_calls_that_share_a_pass_that_fails_are_all_answered(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    for name in OBSERVATIONS:
        monkeypatch.setattr(kernel, name, fail_to_observe)
    endpoints = [engine_id(f"node {number}") for number in range(30)]
    joins = (engine.post("Join", NetworkID=NETWORK, EndpointID=node) for node in endpoints)
    answers = await asyncio.gather(*joins)
    assert {answer.status for answer in answers} == {500}
    assert all("ENOBUFS" in answer.err for answer in answers)


async def test_calls_that_share_a_pass_that_fails_raise_separate_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = SharedKernel()
    queue = queue_of(kernel, tmp_path)
    driver = Driver(queue)
    await queue.start()
    await driver.create_network(NETWORK, {})
    passes: Counter[str] = Counter()

    def fail(*arguments: object) -> NoReturn:
        passes["failed"] += 1
        fail_to_observe(*arguments)

    joins = (driver.join(NETWORK, engine_id(f"node {number}")) for number in range(30))
    with monkeypatch.context() as patch:
        for name in OBSERVATIONS:
            patch.setattr(kernel, name, fail)
        errors = await asyncio.gather(*joins, return_exceptions=True)
    assert passes["failed"] < 30, "the calls did not share a pass"
    assert all(isinstance(error, KernelError) for error in errors)
    assert len({id(error) for error in errors}) == 30
    for error in errors:
        assert isinstance(error, KernelError)
        assert (error.code, error.remedy) == (errno.ENOBUFS, "evercan tries again")
        # An object that is raised again and again collects the frames of every call.
        assert len(traceback.extract_tb(error.__traceback__)) < 10
    await queue.close()


async def test_a_bug_in_evercan_is_logged_one_time_and_tried_again_with_pauses(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await engine.create_network(NETWORK)
    lost = await engine.start(NETWORK, ONE)
    other = await engine.start(NETWORK, TWO)
    await wait_until(
        lambda: all(end.phase is Phase.JOINED for end in plugin.declared.endpoints.values())
    )
    tried: Counter[str] = Counter()
    apply = kernel.apply

    def apply_with_bug(steps: Sequence[Step]) -> list[Failure]:
        if any(isinstance(step, RepairPair) for step in steps):
            tried["times"] += 1
            plugin.link_events.announce()  # interfaces are created and deleted
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "an unexpected error")
        return apply(steps)

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "apply", apply_with_bug)
        kernel.delete(lost.host_end)
        plugin.link_events.announce()
        await asyncio.sleep(2.5 * PAUSE)
        assert 1 <= tried["times"] <= 4
        answer = await engine.get("health")
        assert answer.status == 503
        assert any("internal fault" in reason["text"] for reason in answer.document["reasons"])
        (logged,) = (line for line in caplog.records if "internal fault" in line.getMessage())
        assert logged.exc_info is not None
        assert isinstance(logged.exc_info[1], UnicodeEncodeError)
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 12)
    assert_exactly_once(kernel.snapshot(), "vcan0", lost.host_end, other.host_end)
