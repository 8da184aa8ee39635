"""A pass that fails is repeated, and what a call of the engine removes is never lost."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evercan.model.declared import Phase
from evercan.tracking import backoff
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.failing_kernel import FailingKernel
from tests.support.invariants import assert_exactly_once, assert_nothing_left_over
from tests.support.plugin import Plugin
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, GATEWAY = map(engine_id, ("dashboard", "gateway"))
FIRST = 0.02
"""Seconds of the first pause in these tests."""


@pytest.fixture
def kernel() -> FailingKernel:
    return FailingKernel()


@pytest.fixture
async def plugin(
    tmp_path: Path, kernel: FailingKernel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Plugin]:
    monkeypatch.setattr(backoff, "FIRST", FIRST)
    monkeypatch.setattr("evercan.reconcile.watcher.PAUSE", FIRST)
    served = Plugin(tmp_path, kernel)
    await served.start()
    yield served
    await served.uninstall()


@pytest.fixture
def engine(plugin: Plugin, kernel: FailingKernel) -> Engine:
    return Engine(plugin.socket, kernel)


async def start_container(engine: Engine, endpoint: str = DASHBOARD) -> Container:
    if endpoint == DASHBOARD:
        await engine.create_network(NETWORK)
    return await engine.start(NETWORK, endpoint)


@contextmanager
def full_disk() -> Iterator[None]:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


# --- passes are repeated --------------------------------------------------------------


@pytest.mark.parametrize("interval", [0.0, 60.0])
@pytest.mark.parametrize("failures", [1, 2, 4])
async def test_a_failed_pass_is_repeated_without_an_event_and_before_the_interval(
    engine: Engine, kernel: FailingKernel, plugin: Plugin, interval: float, failures: int
) -> None:
    container = await start_container(engine)
    await plugin.stop()
    plugin.health_interval = interval
    await plugin.start()
    await engine.enable()
    kernel.delete("vcan0")
    kernel.failures = failures
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    assert (await engine.get("health")).status == 200


async def test_a_healthy_plugin_observes_nothing_without_a_reason(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    await start_container(engine)
    kernel.failures = 1
    plugin.link_events.announce()
    await wait_until(lambda: kernel.failures == 0)
    await asyncio.sleep(FIRST * 8)
    before = kernel.calls["observe"]
    await asyncio.sleep(FIRST * 16)
    assert kernel.calls["observe"] == before


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_first_pass_that_fails_is_repeated_and_calls_are_answered(
    engine: Engine, kernel: FailingKernel, plugin: Plugin, failures: int
) -> None:
    await start_container(engine)
    await plugin.stop()
    kernel.reboot("boot-2")
    kernel.failures = failures
    await plugin.start()
    await engine.activate()
    await wait_until(lambda: "vcan0" in kernel.snapshot().links)
    assert (await engine.get("health")).status == 200
    await engine.start(NETWORK, GATEWAY)


async def test_health_reports_a_first_pass_that_fails(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    await start_container(engine)
    await plugin.stop()
    kernel.failures = 10_000
    await plugin.start()
    failing = await engine.get("health")
    assert failing.status == 503
    assert "No buffer space" in failing.document["reasons"][0]["text"]
    kernel.failures = 0
    for _ in range(200):
        if (await engine.get("health")).status == 200:
            return
        await asyncio.sleep(FIRST)
    raise AssertionError("a plugin whose kernel answers again is not healthy")


# --- removals are kept ----------------------------------------------------------------


VERBS = ("DeleteNetwork", "Leave", "DeleteEndpoint")
FAULTS = ("observation", "disk")


def is_done(plugin: Plugin, kernel: FailingKernel, verb: str) -> bool:
    """Whether a removal is on disk and in the kernel."""
    declared, links = plugin.declared, kernel.snapshot().links
    if verb == "DeleteNetwork":
        return not declared.networks and not links
    if verb == "DeleteEndpoint":
        return not declared.endpoints and set(links) == {"vcan0"}
    left = declared.endpoints[DASHBOARD].phase in (Phase.LEFT, Phase.DORMANT)
    return left and not kernel.live_rules()


@contextmanager
def failing(kernel: FailingKernel, fault: str, failures: int) -> Iterator[None]:
    """Let the next passes fail, for one of two reasons."""
    if fault == "observation":
        kernel.failures = failures
        yield
    else:
        with full_disk():
            yield


@pytest.mark.parametrize("failures", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_removal_whose_pass_fails_is_done_later(
    engine: Engine, kernel: FailingKernel, plugin: Plugin, verb: str, fault: str, failures: int
) -> None:
    await start_container(engine)
    endpoint = {} if verb == "DeleteNetwork" else {"EndpointID": DASHBOARD}
    with failing(kernel, fault, failures):
        assert (await engine.post(verb, NetworkID=NETWORK, **endpoint)).status == 500
        await asyncio.sleep(FIRST * 2**failures)
    await wait_until(lambda: is_done(plugin, kernel, verb))
    assert_nothing_left_over(plugin.declared, kernel.snapshot())
    for _ in range(100):
        if (await engine.get("health")).status == 200:
            break
        await asyncio.sleep(FIRST)
    assert (await engine.get("health")).status == 200


async def test_several_removals_are_kept_in_their_order(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    await start_container(engine)
    await start_container(engine, GATEWAY)
    kernel.failures = 1_000
    for endpoint in (DASHBOARD, GATEWAY):
        for verb in ("Leave", "DeleteEndpoint"):
            assert not (await engine.post(verb, NetworkID=NETWORK, EndpointID=endpoint)).ok
    assert not (await engine.post("DeleteNetwork", NetworkID=NETWORK)).ok
    kernel.failures = 0
    await wait_until(lambda: is_done(plugin, kernel, "DeleteNetwork"))


async def test_a_join_after_a_leave_that_failed_makes_the_endpoint_a_member(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    container = await start_container(engine)
    kernel.failures = 1
    assert not (await engine.post("Leave", NetworkID=NETWORK, EndpointID=DASHBOARD)).ok
    kernel.move_out(container.nsid, container.inside, container.source)
    again = engine.move_inside(NETWORK, DASHBOARD, await engine.join(NETWORK, DASHBOARD))
    await asyncio.sleep(FIRST * 8)
    assert plugin.declared.endpoints[DASHBOARD].is_member
    assert_exactly_once(kernel.snapshot(), "vcan0", again.host_end)


async def test_a_join_of_a_deleted_endpoint_whose_deletion_failed_creates_it_again(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    container = await start_container(engine)
    await engine.leave(container)
    kernel.failures = 1
    assert not (await engine.post("DeleteEndpoint", NetworkID=NETWORK, EndpointID=DASHBOARD)).ok
    again = engine.move_inside(NETWORK, DASHBOARD, await engine.join(NETWORK, DASHBOARD))
    await asyncio.sleep(FIRST * 8)
    assert plugin.declared.endpoints[DASHBOARD].is_member
    assert_exactly_once(kernel.snapshot(), "vcan0", again.host_end)


async def test_a_network_whose_deletion_failed_does_not_keep_its_bus(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    kernel.failures = 1
    assert not (await engine.post("DeleteNetwork", NetworkID=NETWORK)).ok
    await engine.create_network(OTHER, peer="can")
    await asyncio.sleep(FIRST * 8)
    assert set(plugin.declared.networks) == {OTHER}
    await engine.delete_network(OTHER)
    assert not kernel.snapshot().links


async def test_a_creation_whose_pass_fails_is_not_kept(
    engine: Engine, kernel: FailingKernel, plugin: Plugin
) -> None:
    await engine.enable()
    kernel.failures = 1
    with pytest.raises(EngineError, match="No buffer space"):
        await engine.call("CreateNetwork", NetworkID=NETWORK, Options={})
    await asyncio.sleep(FIRST * 8)
    assert not plugin.declared.networks
    assert not kernel.snapshot().links
