"""Every call is answered in time, with many calls at once and with a kernel that hangs."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest

from evercan import daemon
from evercan.libnetwork import server, transaction
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

NETWORK, OTHER, DASHBOARD = map(engine_id, ("powertrain", "diagnosis", "dashboard"))


async def test_fifty_containers_start_at_once_and_stop_at_once(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    containers = await engine.start_many(NETWORK, [engine_id(f"node {n}") for n in range(50)])
    assert_exactly_once(
        kernel.snapshot(), "vcan0", *(container.host_end for container in containers)
    )
    await engine.stop_many(containers)
    assert set(kernel.snapshot().links) == {"vcan0"}
    assert not plugin.declared.endpoints


async def test_fifty_containers_at_once_cost_few_observations(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    before = kernel.calls["observe"]
    await engine.start_many(NETWORK, [engine_id(f"node {n}") for n in range(50)])
    assert kernel.calls["observe"] - before < 100


@pytest.fixture
def hang(kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the kernel hang, and shorten the time limit of a call."""

    def begin() -> None:
        monkeypatch.setattr(server, "BOUND", 0.2)
        monkeypatch.setattr("evercan.libnetwork.transaction._ROLLBACK_WAIT", 0.1)
        kernel.hang()

    return begin


@pytest.mark.parametrize("verb", ["CreateEndpoint", "Join", "Leave", "DeleteEndpoint"])
async def test_a_call_is_ended_when_the_kernel_hangs(
    engine: Engine, hang: Callable[[], None], verb: str
) -> None:
    await engine.create_network(NETWORK)
    hang()
    answer = await engine.post(verb, NetworkID=NETWORK, EndpointID=DASHBOARD)
    assert answer.status == 500
    assert verb in answer.err
    assert "try again" in answer.err


async def test_calls_that_need_no_kernel_are_answered_while_it_hangs(
    engine: Engine, hang: Callable[[], None]
) -> None:
    await engine.create_network(NETWORK)
    hang()
    stuck = asyncio.create_task(engine.post("Join", NetworkID=NETWORK, EndpointID=DASHBOARD))
    await engine.enable()
    assert (await engine.post("EndpointOperInfo", NetworkID=NETWORK, EndpointID=DASHBOARD)).ok
    assert (await stuck).status == 500


def test_a_call_that_is_ended_and_rolled_back_is_answered_within_ten_seconds() -> None:
    assert server.BOUND + transaction._ROLLBACK_WAIT <= 9.5
    assert daemon.HEALTH_BOUND < server.BOUND


@pytest.mark.parametrize("verb", ["CreateNetwork", "CreateEndpoint", "Join", "Leave"])
async def test_a_slow_disk_ends_calls_in_time(
    engine: Engine, plugin: Plugin, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    await engine.create_network(NETWORK)
    await engine.create_endpoint(NETWORK, DASHBOARD)
    writes = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: writes.wait(timeout=30))
    monkeypatch.setattr(server, "BOUND", 0.3)
    monkeypatch.setattr(transaction, "_ROLLBACK_WAIT", 0.1)
    blocking = asyncio.create_task(engine.post("CreateNetwork", NetworkID=OTHER, Options={}))
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    answer = await engine.post(verb, NetworkID=NETWORK, EndpointID=DASHBOARD, Options={})
    assert (answer.status, "try again" in answer.err) == (500, True)
    assert time.monotonic() - begun < 2
    await engine.activate()
    writes.set()
    assert (await blocking).status == 500
    monkeypatch.undo()
    await engine.enable()
    assert set(plugin.declared.networks) == {NETWORK}
    assert (await engine.get("health")).status == 200


async def test_health_does_not_wait_for_a_kernel_that_hangs(
    engine: Engine, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "HEALTH_BOUND", 0.1)
    await engine.enable()
    hang()
    answer = await engine.get("health")
    assert (answer.status, answer.document["healthy"]) == (503, False)
    (reason,) = answer.document["reasons"]
    assert "hangs" in reason["text"]
    for page in ("status", "metrics"):
        shown = await engine.get(page)
        assert shown.status == 503
        assert page in shown.err


async def test_a_network_whose_call_timed_out_is_rolled_back(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    hang: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await engine.enable()
    hang()
    with pytest.raises(EngineError, match="was ended"):
        await engine.create_network(NETWORK)
    monkeypatch.undo()
    kernel.resume()
    assert (await engine.post("DeleteNetwork", NetworkID=engine_id("another"))).ok
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


async def test_a_rollback_is_made_before_the_plugin_stops(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, hang: Callable[[], None]
) -> None:
    await engine.enable()
    hang()
    with pytest.raises(EngineError, match="was ended"):
        await engine.create_network(NETWORK)
    stopping = asyncio.create_task(plugin.stop())
    await asyncio.sleep(0.05)
    kernel.resume()
    await stopping
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


async def test_a_repeated_call_after_one_that_timed_out_is_not_rolled_back(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    hang: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await engine.enable()
    limit = server.BOUND
    hang()
    with pytest.raises(EngineError, match="was ended"):
        await engine.create_network(NETWORK)
    monkeypatch.setattr(server, "BOUND", limit)  # a slow machine must not end the repeated call
    repeated = asyncio.create_task(engine.create_network(NETWORK))
    await asyncio.sleep(0.05)
    kernel.resume()
    await repeated
    await engine.post("DeleteNetwork", NetworkID=engine_id("another"))
    assert set(plugin.declared.networks) == {NETWORK}
    assert set(kernel.snapshot().links) == {"vcan0"}


async def test_a_join_during_a_hang_is_completed_after_it(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    kernel.hang()
    starting = asyncio.create_task(engine.start(NETWORK, DASHBOARD))
    await asyncio.sleep(0.05)
    kernel.resume()
    container = await starting
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
