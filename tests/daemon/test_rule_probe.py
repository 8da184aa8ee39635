"""Flushed rules are found by the number of receive list entries, long before the interval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evercan.reconcile import retries
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, engine_id
from tests.support.invariants import full_mesh, paths
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")
PROBE = 0.02
MANY = 0.3
"""Seconds in which many probes are due."""


@pytest.fixture
async def plugin(tmp_path: Path, kernel: SharedKernel) -> AsyncIterator[Plugin]:
    """A plugin that probes often and has no other reason to look at the rules."""
    served = Plugin(tmp_path, kernel)
    served.probe_interval = PROBE
    await served.start()
    yield served
    await served.uninstall()


@pytest.fixture
async def member(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> Container:
    """Start a container, and wait for the full passes that follow."""
    monkeypatch.setattr(retries, "VERIFY_AFTER", PROBE)
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    async with asyncio.timeout(10):
        while await observations(kernel):
            pass  # on a slow machine the move of the end may cause one more
    return container


async def repaired(kernel: SharedKernel, member: Container) -> None:
    expected = full_mesh(["vcan0", member.host_end])
    await wait_until(lambda: paths(kernel.snapshot()) == expected)


async def observations(kernel: SharedKernel) -> int:
    """Count the observations while many probes are due."""
    before = kernel.calls["observe"]
    await asyncio.sleep(MANY)
    return kernel.calls["observe"] - before


async def test_flushed_rules_are_added_again(kernel: SharedKernel, member: Container) -> None:
    for _ in range(3):
        kernel.flush_rules()
        await repaired(kernel, member)


async def test_doubled_rules_are_removed(kernel: SharedKernel, member: Container) -> None:
    for rule in kernel.snapshot().rules:
        kernel.add_rule(rule)
    await repaired(kernel, member)


async def test_rules_are_added_again_when_can_gw_was_reloaded(
    kernel: SharedKernel, member: Container
) -> None:
    kernel.modules.discard("can-gw")
    kernel.flush_rules()
    await wait_until(lambda: kernel.calls["observe"] > 0)
    kernel.modules.add("can-gw")
    await repaired(kernel, member)


@pytest.mark.usefixtures("member")
async def test_a_healthy_bus_is_not_observed(kernel: SharedKernel) -> None:
    assert await observations(kernel) == 0


@pytest.mark.usefixtures("member")
async def test_programs_that_open_and_close_sockets_cause_few_observations(
    kernel: SharedKernel,
) -> None:
    before = kernel.calls["observe"]
    for number in range(20):
        kernel.sockets = 3 + number % 2
        await asyncio.sleep(PROBE * 1.5)
    assert 1 <= kernel.calls["observe"] - before <= 2


async def test_a_flush_is_noticed_at_once_while_programs_open_and_close_sockets(
    kernel: SharedKernel, member: Container
) -> None:
    before = kernel.calls["observe"]
    kernel.sockets = 2
    await wait_until(lambda: kernel.calls["observe"] > before)
    kernel.sockets = 3
    kernel.flush_rules()
    await asyncio.wait_for(repaired(kernel, member), timeout=0.9)  # less than the first pause


async def test_a_host_without_networks_is_not_observed(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.get("health")  # waits until the plugin has started
    kernel.sockets = 5
    assert await observations(kernel) == 0


async def test_nothing_is_probed_at_interval_0(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    plugin.probe_interval = 0.0
    await plugin.restart()
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    kernel.flush_rules()
    assert await observations(kernel) == 0
    assert not kernel.snapshot().rules


@pytest.mark.usefixtures("member")
async def test_without_the_number_the_interval_alone_counts(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "evercan")
    await plugin.stop()
    kernel.shows_receivers = False
    await plugin.start()
    await engine.get("health")  # waits until the plugin has started
    await wait_until(lambda: "does not show /proc/net/can/stats" in caplog.text)
    kernel.flush_rules()
    assert await observations(kernel) == 0
    assert caplog.text.count("does not show /proc/net/can/stats") == 1


async def test_flushed_rules_are_reported_but_not_added_with_fail_fast(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.restart()
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    kernel.flush_rules()
    await wait_until(lambda: "Health check FAILED" in caplog.text)
    assert await observations(kernel) == 0
    assert not kernel.snapshot().rules
