"""Errors while nobody calls: the watcher goes on, and a disk is waited for at the start."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evercan.errors import KernelError
from evercan.libnetwork import server
from evercan.tracking import backoff
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER, DASHBOARD = map(engine_id, ("powertrain", "body", "dashboard"))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST", 0.02)
    monkeypatch.setattr("evercan.reconcile.watcher.PAUSE", 0.02)


def failing(times: int, error: Exception, works: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises some times, and then works."""
    left = [error] * times

    def function(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return works(*arguments)

    return function


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EBUSY, errno.EINTR, errno.EBADMSG])
async def test_an_event_is_followed_by_a_repair_although_observations_fail(
    code: int,
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    error = KernelError("observe", code, "evercan tries again")
    monkeypatch.setattr(kernel, "observe", failing(3, error, kernel.observe))
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_events_that_cannot_be_read_are_reported_and_the_watcher_goes_on(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    error = KernelError("receive announcements", errno.EIO, "evercan tries again")
    events = plugin.link_events
    monkeypatch.setattr(events, "drain", failing(3, error, events.drain))
    kernel.delete("vcan0")
    events.announce()
    await wait_until(lambda: events.drained > 0)
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    health = await engine.get("health")
    assert health.status == 503
    assert "internal-error" in {reason["kind"] for reason in health.document["reasons"]}
    assert "The task 'watcher' ended and is restarted" in caplog.text


async def test_a_state_file_that_cannot_be_read_is_waited_for(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    await engine.create_network(OTHER, id="1")
    container = await engine.start(NETWORK, DASHBOARD)
    await plugin.stop()
    read, broken = Path.read_bytes, True

    def read_bytes(path: Path) -> bytes:
        if broken and path.parent == plugin.state_folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(server, "BOUND", 0.3)
    kernel.delete("vcan0")
    await plugin.start()
    await engine.enable()
    with pytest.raises(EngineError, match=r"cannot read .*Input/output error"):
        await engine.create_network(engine_id("a new one"), id="2")
    for page in ("health", "status", "metrics"):
        answer = await engine.get(page)
        assert answer.status == 503
    assert not (await engine.post("DeleteNetwork", NetworkID=OTHER)).ok
    broken = False
    await wait_until(lambda: OTHER not in plugin.declared.networks)
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    assert set(plugin.declared.networks) == {NETWORK}


async def test_a_damaged_state_file_on_a_read_only_disk_is_waited_for(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    await plugin.stop()
    kernel.delete("vcan0")
    (plugin.state_folder / "state.json").write_bytes(b"half a sta")
    rename, broken = os.rename, True

    def rename_file(*arguments: Any, **keywords: Any) -> None:
        if broken:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        rename(*arguments, **keywords)

    monkeypatch.setattr(os, "rename", rename_file)
    await plugin.start()
    answer = await engine.get("health")
    assert answer.status == 503
    assert "cannot be set aside" in str(answer.document)
    broken = False
    await wait_until(lambda: "vcan0" in kernel.snapshot().links)
    assert list(plugin.state_folder.glob("state.json.damaged-*"))
    await wait_until(lambda: NETWORK in plugin.declared.networks)
