"""A plugin that hangs delays the engine; afterwards nothing is lost, doubled or left behind.

SIGSTOP makes it hang: its socket accepts the engine's calls, and nothing answers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems

if TYPE_CHECKING:
    from docker.models.containers import Container


@contextmanager
def hung(plugin: PluginProcess) -> Iterator[None]:
    """Let the plugin hang for the duration of a block, or until the block has ended it."""
    before = plugin.pid()
    plugin.signal("STOP")
    try:
        yield
    finally:
        if plugin.pid() == before:
            plugin.signal("CONT")


def assert_exactly_once_without(bus: Bus, leaving: Container) -> None:
    """Assert that frames of all containers but one arrive exactly once."""
    containers = bus.containers
    bus.containers = [container for container in containers if container.id != leaving.id]
    verdict = bus.judge()
    bus.containers = containers
    assert verdict.exactly_once, str(verdict)


def assert_complete(bus: Bus, plugin: PluginProcess) -> None:
    """Assert that the bus is healthy, and that no interface of a former container is left."""
    bus.wait_healthy(90)
    bus.assert_healthy()
    assert_no_problems(plugin)
    bus.wait(lambda: bus.leftovers() == [bus.interface], "orphans to be deleted")


def test_a_start_and_a_removal_wait_for_a_plugin_that_hangs_and_frames_do_not(
    lasting_trio: Bus, plugin: PluginProcess
) -> None:
    [leaving] = lasting_trio.start(1)
    with ThreadPoolExecutor(2) as pool:
        with hung(plugin):
            removal = pool.submit(lasting_trio.discard, leaving)
            start = pool.submit(lasting_trio.start, 1)
            assert_exactly_once_without(lasting_trio, leaving)
            assert not removal.done()
            assert not start.done()
        removal.result(60)
        [added] = start.result(60)
    assert_complete(lasting_trio, plugin)
    lasting_trio.discard(added)


@pytest.mark.thorough
def test_killing_a_plugin_that_hangs_ends_the_calls_that_wait_for_it(
    lasting_trio: Bus, testbed: Testbed, plugin: PluginProcess
) -> None:
    [leaving] = lasting_trio.start(1)
    with ThreadPoolExecutor(2) as pool:
        with hung(plugin):
            removal = pool.submit(lasting_trio.discard, leaving)
            start = pool.submit(lasting_trio.start, 1)
            assert_exactly_once_without(lasting_trio, leaving)
            plugin.kill()
        removal.result(60)
        # On a slow machine the engine asks again before the new process listens.
        reasons = r"request's body is empty.* run the command again|connect: no such file"
        with pytest.raises(APIError, match=reasons):
            start.result(60)
    [failed] = testbed.client().containers.list(
        all=True, filters={"network": lasting_trio.name, "status": "created"}
    )
    failed.start()
    lasting_trio.containers.append(failed)
    assert_complete(lasting_trio, plugin)
    lasting_trio.discard(failed)


@pytest.mark.thorough
def test_an_engine_that_restarts_replaces_a_plugin_that_hangs(
    lasting_trio: Bus, testbed: Testbed, plugin: PluginProcess
) -> None:
    before = plugin.pid()
    with hung(plugin):
        testbed.host("systemctl", "restart", "docker", timeout=180)
    testbed.wait_engine()
    assert plugin.pid() != before
    lasting_trio.reconnect()
    assert_complete(lasting_trio, plugin)
