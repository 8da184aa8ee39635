"""What evercan mends while nobody calls."""

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


async def test_a_deleted_bus_is_made_again_when_the_kernel_says_it_went(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_a_replugged_controller_is_wired_when_the_kernel_says_it_came(
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


async def test_events_of_other_interfaces_cause_no_look(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    plugin.link_events.announce_other()
    looks = kernel.calls["observe"]
    for _ in range(20):
        await engine.enable()
    assert kernel.calls["observe"] == looks


async def test_a_burst_of_events_costs_a_few_looks(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    looks = kernel.calls["observe"]
    for _ in range(100):
        plugin.link_events.announce()
        await engine.enable()
    await wait_until(lambda: kernel.calls["observe"] > looks)
    assert kernel.calls["observe"] - looks < 50


@pytest.mark.parametrize("disturb", ["flush", "double"])
async def test_the_rule_table_is_mended_at_the_interval(
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
    whole = full_mesh(["vcan0", container.host_end])
    await wait_until(lambda: paths(kernel.snapshot()) == whole)


async def test_health_is_told_when_it_changes_and_not_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    caplog.set_level(logging.INFO)
    kernel.delete("can0")
    for _ in range(3):
        looks = kernel.calls["observe"]
        plugin.link_events.announce()
        await wait_until(lambda seen=looks: kernel.calls["observe"] > seen)  # type: ignore[misc] # a default binds the loop's value
    await wait_until(lambda: "Health check FAILED" in caplog.text)
    kernel.make("can0", "", up=True)
    plugin.link_events.announce()
    await wait_until(lambda: "Health check OK" in caplog.text)
    assert caplog.text.count("Health check FAILED") == 1
    assert caplog.text.count("Health check OK") == 1


async def test_health_answers_503_with_the_reason_and_200_when_whole(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    assert (await engine.get("health")).status == 200
    kernel.delete("can0")
    await plugin.restart()
    sick = await engine.get("health")
    assert sick.status == 503
    (reason,) = sick.document["reasons"]
    assert (reason["kind"], reason["bus"]) == ("bus-absent", "can0")
    assert "plug it in" in reason["remedy"]


async def test_a_look_that_a_call_takes_answers_what_rang_before_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    looks = kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: plugin.link_events.drained == 1)
    await engine.delete_network(NETWORK)
    taken = kernel.calls["observe"] - looks
    await asyncio.sleep(DEBOUNCE * 3)
    assert kernel.calls["observe"] - looks == taken
