"""``docker network connect`` and ``disconnect`` of containers that run, are paused or renamed.

A container of one bus is connected to another. Each frame reaches each member of both buses
exactly once before and after, and a disconnected container leaves neither a pair nor a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems

if TYPE_CHECKING:
    from docker.models.containers import Container


@pytest.fixture(scope="module")
def home(testbed: Testbed) -> Iterator[Bus]:
    """Yield the bus of the container that is connected to the other one."""
    created = Bus(testbed, "vcan621")
    try:
        created.start(1)
        yield created
    finally:
        created.remove()
    assert created.leftovers() == []


@pytest.fixture(scope="module")
def other(testbed: Testbed, home: Bus) -> Iterator[Bus]:
    """Yield another bus with one container, for tests that leave it healthy."""
    # With another prefix, the interface on the first bus is can0 after a restart too.
    created = Bus(testbed, "vcan620", **{"vxcan.peer": "chassis"})
    try:
        created.start(1)
        yield created
    finally:
        home.remove()  # an engine rejects the removal of a network that has a container
        created.remove()
    assert created.leftovers() == []


@pytest.fixture
def visitor(home: Bus) -> Container:
    """Return the container of the first bus."""
    home.containers[0].reload()
    return home.containers[0]


def interfaces(container: Container) -> list[str]:
    """Return the names of a container's interfaces, with their second names."""
    shown: Any = container.exec_run(["ip", "-o", "link", "show"]).output
    text: str = shown.decode()
    return text.split()


def assert_both_healthy(home: Bus, other: Bus, plugin: PluginProcess) -> None:
    """Assert that each frame reaches each member of two buses exactly once."""
    for bus in (home, other):
        bus.wait_healthy()
        bus.assert_healthy()
    assert_no_problems(plugin)


@contextmanager
def paused(container: Container) -> Iterator[None]:
    """Pause a container for the duration of a block."""
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def test_a_running_container_joins_another_bus_and_is_on_both_after_a_restart(
    home: Bus, other: Bus, visitor: Container, plugin: PluginProcess
) -> None:
    other.connect(visitor, "body", aliases=["body-gateway"])
    assert "body" in interfaces(visitor)
    assert_both_healthy(home, other, plugin)
    visitor.restart(timeout=0)
    assert "body" in interfaces(visitor)
    assert_both_healthy(home, other, plugin)
    other.disconnect(visitor)
    assert "body" not in interfaces(visitor)
    other.wait_healthy()


def test_a_paused_container_is_connected_and_disconnected(
    home: Bus, other: Bus, visitor: Container, plugin: PluginProcess
) -> None:
    with paused(visitor):
        other.connect(visitor, "body")
        other.wait_healthy()
    assert_both_healthy(home, other, plugin)
    with paused(visitor):
        other.disconnect(visitor)
    assert "body" not in interfaces(visitor)
    assert_both_healthy(home, other, plugin)


def test_a_renamed_container_is_disconnected_by_force_and_connected_again(
    home: Bus, other: Bus, visitor: Container, plugin: PluginProcess
) -> None:
    other.connect(visitor, "body")
    visitor.rename("evercan-renamed")
    other.disconnect(visitor, force=True)
    assert "body" not in interfaces(visitor)
    other.wait_healthy()
    other.connect(visitor, "gateway")
    assert "gateway" in interfaces(visitor)
    assert_both_healthy(home, other, plugin)
    other.disconnect(visitor)
