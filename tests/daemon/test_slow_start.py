"""While the state is loaded, every call and page is answered within its time limit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from evercan import daemon
from evercan.libnetwork import server
from evercan.reconcile.state_file import StateFile
from tests.support.engine import Container, Engine, engine_id
from tests.support.http import Answer
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

NETWORK, DASHBOARD, GATEWAY = map(engine_id, ("powertrain", "dashboard", "gateway"))
BOUND = 0.3


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that answers only when the event is set."""
    answers = threading.Event()
    answers.set()
    load = StateFile.load

    def wait_and_load(file: StateFile) -> object:
        assert answers.wait(timeout=30)
        return load(file)

    monkeypatch.setattr(StateFile, "load", wait_and_load)
    monkeypatch.setattr(server, "BOUND", BOUND)
    monkeypatch.setattr(daemon, "HEALTH_BOUND", BOUND)
    monkeypatch.setattr("evercan.libnetwork.transaction._ROLLBACK_WAIT", 0.1)
    yield answers
    answers.set()


async def restart_slowly(plugin: Plugin, disk: threading.Event) -> None:
    await plugin.stop()
    disk.clear()
    await plugin.start()


async def timed(call: asyncio.Future[Answer] | asyncio.Task[Answer]) -> tuple[Answer, float]:
    begun = time.monotonic()
    answer = await call
    return answer, time.monotonic() - begun


@pytest.fixture
async def container(engine: Engine) -> Container:
    await engine.create_network(NETWORK)
    return await engine.start(NETWORK, DASHBOARD)


VERBS = ("CreateNetwork", "DeleteNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint")


@pytest.mark.usefixtures("container")
async def test_every_call_and_page_is_answered_in_time(
    engine: Engine, plugin: Plugin, disk: threading.Event
) -> None:
    await restart_slowly(plugin, disk)
    fields = {"NetworkID": NETWORK, "EndpointID": DASHBOARD, "Options": {}, "Interface": {}}
    calls = [asyncio.create_task(engine.post(verb, **fields)) for verb in VERBS]
    pages = [asyncio.create_task(engine.get(page)) for page in ("health", "status", "metrics")]
    for answer, seconds in await asyncio.gather(*map(timed, calls)):
        assert answer.status == 500
        assert "try again" in answer.err
        assert seconds < BOUND + 1
    for answer, seconds in await asyncio.gather(*map(timed, pages)):
        assert answer.status == 503
        assert seconds < BOUND + 1
    await engine.activate()
    assert (await engine.post("EndpointOperInfo", **fields)).ok


async def test_calls_that_wait_are_answered_as_soon_as_the_state_is_loaded(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    disk: threading.Event,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await restart_slowly(plugin, disk)
    monkeypatch.setattr(server, "BOUND", 9.0)
    starting = asyncio.create_task(engine.start(NETWORK, GATEWAY))
    await asyncio.sleep(0.1)
    assert not starting.done()
    disk.set()
    comes = await starting
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end, comes.host_end)


async def test_a_removal_during_the_start_is_done_although_its_call_was_ended(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    disk: threading.Event,
    container: Container,
) -> None:
    await restart_slowly(plugin, disk)
    for verb in ("Leave", "DeleteEndpoint"):
        fields = {"NetworkID": NETWORK, "EndpointID": container.endpoint}
        assert (await engine.post(verb, **fields)).status == 500
    disk.set()
    assert (await engine.get("health")).status == 200
    assert set(kernel.snapshot().links) == {"vcan0"}
    assert not plugin.declared.endpoints


async def test_a_creation_during_the_start_that_was_ended_leaves_nothing_behind(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, disk: threading.Event
) -> None:
    await restart_slowly(plugin, disk)
    assert (await engine.post("CreateNetwork", NetworkID=NETWORK, Options={})).status == 500
    disk.set()
    await engine.enable()
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


@pytest.mark.usefixtures("container")
async def test_a_plugin_that_is_stopped_during_the_start_ends(
    plugin: Plugin, disk: threading.Event
) -> None:
    await restart_slowly(plugin, disk)
    stopping = asyncio.create_task(plugin.stop())
    await asyncio.sleep(0.1)
    disk.set()
    await asyncio.wait_for(stopping, timeout=10)
