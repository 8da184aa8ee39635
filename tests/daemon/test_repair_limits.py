"""Repairs are limited: the plugin does not fight with a program that keeps changing something."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from evercan.model.steps import BringUp, ConfigureBus
from evercan.tracking.repair_limits import BURST, INTERVAL
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
DASHBOARD, LOGGER = map(engine_id, ("dashboard", "logger"))
VIRTUAL = {"dev": "vcan", "id": "0"}
CONTROLLER = {"dev": "can", "id": "0", "kind": "physical", "bitrate": "500000"}

DURATION = 3.0
"""Seconds for which the interface is set down again and again."""

PAUSE = 0.05
"""Seconds between two times that it is set down."""


def repairs(kernel: SharedKernel) -> int:
    """Count how many times the bus interface was brought up."""
    return sum(isinstance(step, BringUp | ConfigureBus) for step in kernel.taken)


async def keep_setting_down(kernel: SharedKernel, plugin: Plugin, bus: str) -> None:
    """Set an interface down again and again, as a script does; each time the kernel notifies."""
    end = time.monotonic() + DURATION
    while time.monotonic() < end:
        kernel.set_flag(bus, up=False)
        plugin.link_events.announce()
        await asyncio.sleep(PAUSE)


async def reasons(engine: Engine) -> list[dict[str, Any]]:
    answer = await engine.get("health")
    assert answer.status == (503 if answer.document["reasons"] else 200)
    found: list[dict[str, Any]] = answer.document["reasons"]
    return found


@pytest.mark.parametrize("interval", [0.0, 30.0], ids=["events only", "interval of 30 s"])
@pytest.mark.parametrize(
    ("bus", "options"), [("vcan0", VIRTUAL), ("can0", CONTROLLER)], ids=["vcan", "controller"]
)
async def test_an_interface_that_is_set_down_every_50_ms_is_repaired_at_a_slow_pace(
    engine: Engine,
    plugin: Plugin,
    bus: str,
    options: dict[str, str],
    interval: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kernel = plugin.kernel
    plugin.health_interval = interval
    await plugin.restart()
    kernel.plug("can0")
    await engine.create_network(NETWORK, **options)
    member = await engine.start(NETWORK, DASHBOARD)
    before = repairs(kernel)
    fight = asyncio.create_task(keep_setting_down(kernel, plugin, bus))
    await wait_until(lambda: repairs(kernel) - before >= BURST)
    await asyncio.sleep(4 * PAUSE)
    while not fight.done():
        (reason,) = await reasons(engine)
        assert (reason["kind"], reason["bus"]) == ("repairs-limited", bus)
        assert f"somebody keeps changing {bus}" in reason["text"]
        assert "stop it" in reason["remedy"]
        await asyncio.sleep(PAUSE)
    await fight
    # It is logged one time, not at every event.
    assert caplog.text.count(f"Health check FAILED: somebody keeps changing {bus}") == 1
    assert caplog.text.count("Health check FAILED") < 10
    assert repairs(kernel) - before < 10
    new = await engine.start(NETWORK, LOGGER)  # a container may start nevertheless
    # From here on there is no event and no call.
    await wait_until(lambda: kernel.snapshot().links[bus].up, timeout=INTERVAL)
    await wait_until(lambda: len(kernel.snapshot().rules) == 12)
    assert_exactly_once(kernel.snapshot(), bus, member.host_end, new.host_end)
    assert await reasons(engine) == []
    assert repairs(kernel) - before < 10
