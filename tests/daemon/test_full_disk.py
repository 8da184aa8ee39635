"""A disk that is full, read-only or broken stops no repair, and no plugin that starts."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from evercan.model.declared import Phase
from tests.support.engine import Container, Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, GATEWAY, LOGGER = map(engine_id, ("dashboard", "gateway", "logger"))

Broken = Callable[[], AbstractContextManager[None]]


def _failing(operation: str, code: int) -> Broken:
    @contextmanager
    def broken() -> Iterator[None]:
        def fail(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"{operation}", fail)
            yield

    return broken


DISKS = {
    "full": _failing("os.fsync", errno.ENOSPC),
    "read-only": _failing("os.rename", errno.EROFS),
    "broken": _failing("os.link", errno.EIO),
}

all_disks = pytest.mark.parametrize("disk", DISKS.values(), ids=DISKS)


async def start_two(engine: Engine, plugin: Plugin) -> list[Container]:
    await engine.create_network(NETWORK)
    containers = [await engine.start(NETWORK, endpoint) for endpoint in (DASHBOARD, GATEWAY)]
    plugin.link_events.announce()
    await wait_until(
        lambda: {end.phase for end in plugin.declared.endpoints.values()} == {Phase.JOINED}
    )
    return containers


def break_the_bus(kernel: SharedKernel) -> None:
    kernel.delete("vcan0")
    kernel.flush_rules()


@all_disks
@pytest.mark.parametrize("event", ["nothing", "a container is moved in", "a container ends"])
async def test_what_breaks_is_repaired(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, disk: Broken, event: str
) -> None:
    one, other = await start_two(engine, plugin)
    await engine.create_endpoint(NETWORK, LOGGER)
    joined = await engine.join(NETWORK, LOGGER)
    with disk():
        members = {one.host_end, other.host_end, joined["InterfaceName"]["SrcName"][:-1]}
        if event == "a container is moved in":
            engine.move_inside(NETWORK, LOGGER, joined)
        elif event == "a container ends":
            kernel.end_namespace(other.nsid)
            members.remove(other.host_end)
        break_the_bus(kernel)
        plugin.link_events.announce()
        await wait_until(
            lambda: len(kernel.snapshot().rules) == 2 * len(members) * (len(members) + 1)
        )
        assert_exactly_once(kernel.snapshot(), "vcan0", *members)


@all_disks
async def test_health_reports_it_and_the_engine_gets_the_reason(
    engine: Engine, plugin: Plugin, disk: Broken
) -> None:
    await start_two(engine, plugin)
    with disk():
        answer = await engine.post("CreateNetwork", NetworkID=OTHER, Options={})
        assert answer.status == 500
        assert "cannot write" in answer.err
        assert "free some space or make the folder writable" in answer.err
        failing = await engine.get("health")
        assert failing.status == 503
        assert "cannot write" in failing.document["reasons"][0]["text"]
        assert set(plugin.declared.networks) == {NETWORK}
    plugin.link_events.announce()
    await wait_until(lambda: plugin.link_events.drained >= 2)
    await engine.create_network(OTHER)
    assert (await engine.get("health")).status == 200


@all_disks
@pytest.mark.parametrize("reboots", [False, True])
async def test_a_plugin_that_starts_restores_everything_and_serves(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, disk: Broken, reboots: bool
) -> None:
    containers = await start_two(engine, plugin)
    await plugin.stop()
    if reboots:
        kernel.reboot("boot-2")
        containers = []
    else:
        break_the_bus(kernel)
    with disk():
        await plugin.start()
        await engine.enable()
        await wait_until(lambda: "vcan0" in kernel.snapshot().links)
        assert_exactly_once(kernel.snapshot(), "vcan0", *(item.host_end for item in containers))
        if reboots:
            assert (await engine.get("health")).status == 503
    # The engine removes what a reboot has left, and starts the containers again.
    for endpoint in (DASHBOARD, GATEWAY):
        for verb in ("Leave", "DeleteEndpoint"):
            await engine.call(verb, NetworkID=NETWORK, EndpointID=endpoint)
    back = await engine.start(NETWORK, LOGGER)
    assert_exactly_once(kernel.snapshot(), "vcan0", back.host_end)
    assert (await engine.get("health")).status == 200
    assert set(plugin.declared.endpoints) == {LOGGER}
