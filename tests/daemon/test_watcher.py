"""Repairs that no call asked for: at link events and at the interval."""

from __future__ import annotations

import asyncio
import logging

import pytest

from evercan.reconcile.watcher import DEBOUNCE
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once, full_mesh, paths
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")


async def test_a_deleted_bus_is_created_again_at_the_link_event(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_a_replugged_controller_gets_its_rules_at_the_link_event(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    container = await engine.start(NETWORK, DASHBOARD)
    kernel.delete("can0")
    plugin.link_events.announce()
    await wait_until(lambda: kernel.calls["observe"] > 0)
    kernel.make("can0", "", up=True)
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "can0", container.host_end)


async def test_events_of_other_interfaces_cause_no_observation(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    plugin.link_events.announce_other()
    before = kernel.calls["observe"]
    for _ in range(20):
        await engine.activate()
    assert kernel.calls["observe"] == before


async def test_a_burst_of_events_costs_few_observations(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    before = kernel.calls["observe"]
    for _ in range(100):
        plugin.link_events.announce()
        await engine.activate()
    await wait_until(lambda: kernel.calls["observe"] > before)
    assert kernel.calls["observe"] - before < 50


@pytest.mark.parametrize("disturb", ["flush", "double"])
async def test_the_rule_table_is_repaired_at_the_interval(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, disturb: str
) -> None:
    plugin.health_interval = 0.05
    await plugin.restart()
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    if disturb == "flush":
        kernel.flush_rules()
    else:
        for rule in kernel.snapshot().rules:
            kernel.add_rule(rule)
    expected = full_mesh(["vcan0", container.host_end])
    await wait_until(lambda: paths(kernel.snapshot()) == expected)


async def test_health_is_logged_when_it_changes_and_not_repeated(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    caplog.set_level(logging.INFO)
    kernel.delete("can0")
    for _ in range(3):
        before = kernel.calls["observe"]
        plugin.link_events.announce()
        await wait_until(lambda seen=before: kernel.calls["observe"] > seen)  # type: ignore[misc] # a default binds the loop's value
    await wait_until(lambda: "Health check FAILED" in caplog.text)
    kernel.make("can0", "", up=True)
    plugin.link_events.announce()
    await wait_until(lambda: "Health check OK" in caplog.text)
    assert caplog.text.count("Health check FAILED") == 1
    assert caplog.text.count("Health check OK") == 1


async def test_health_is_503_with_the_reason_and_200_when_healthy(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    assert (await engine.get("health")).status == 200
    kernel.delete("can0")
    await plugin.restart()
    failing = await engine.get("health")
    assert failing.status == 503
    (reason,) = failing.document["reasons"]
    assert (reason["kind"], reason["bus"]) == ("bus-absent", "can0")
    assert "plug it in" in reason["remedy"]


async def test_events_older_than_the_last_observation_are_ignored(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    before = kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: plugin.link_events.drained == 1)
    await engine.delete_network(NETWORK)
    observations = kernel.calls["observe"] - before
    await asyncio.sleep(DEBOUNCE * 3)
    assert kernel.calls["observe"] - before == observations
