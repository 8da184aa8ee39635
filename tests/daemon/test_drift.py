"""What a call asks for is not drift: it is not counted, not logged as a failure, not withheld."""

from __future__ import annotations

import logging

import pytest

from evercan.model.controller import ControllerSettings
from evercan.model.steps import ConfigureBus
from evercan.settings import Recovery
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.scraping import scrape
from tests.support.shared_kernel import SharedKernel

FIRST, SECOND = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, LOGGER = map(engine_id, ("dashboard", "logger"))
CONTROLLER = {"dev": "can", "id": "0", "kind": "physical"}
BITRATE = {**CONTROLLER, "bitrate": "500000"}


@pytest.fixture(params=list(Recovery), autouse=True)
async def recovery(request: pytest.FixtureRequest, plugin: Plugin) -> Recovery:
    """Run a test in both recovery modes."""
    plugin.recovery = request.param
    await plugin.restart()
    return plugin.recovery


async def assert_no_drift(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Verify that the metrics, the log and the health check know of no drift."""
    metrics = await scrape(engine.path)
    counted = {
        sample: value
        for sample, value in metrics.items()
        if sample[0] in ("evercan_drift_found_total", "evercan_recoveries_total")
    }
    assert counted, "the counters are missing"
    assert not any(counted.values())
    assert "Health check FAILED" not in caplog.text
    health = await engine.get("health")
    assert (health.status, health.document["reasons"]) == (200, [])


async def test_a_second_network_that_gives_the_bitrate_causes_no_drift(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.plug("can0")
    kernel.configure_controller("can0", ControllerSettings(bitrate=250_000))
    await engine.create_network(FIRST, **CONTROLLER)
    member = await engine.start(FIRST, DASHBOARD)
    kernel.set_flag("can0", up=False)
    caplog.set_level(logging.INFO)
    await engine.create_network(SECOND, **BITRATE)
    controller = kernel.snapshot().links["can0"].controller
    assert controller is not None
    assert controller.timing.bitrate == 500_000
    assert kernel.snapshot().links["can0"].up
    await assert_no_drift(engine, caplog)
    other = await engine.start(SECOND, LOGGER)
    assert_exactly_once(kernel.snapshot(), "can0", member.host_end, other.host_end)
    await assert_no_drift(engine, caplog)


async def test_a_second_network_with_the_same_bitrate_configures_nothing(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.plug("can0")
    caplog.set_level(logging.INFO)
    await engine.create_network(FIRST, **BITRATE)
    member = await engine.start(FIRST, DASHBOARD)
    await engine.create_network(SECOND, **BITRATE)
    assert sum(isinstance(step, ConfigureBus) for step in kernel.taken) == 1
    await assert_no_drift(engine, caplog)
    assert_exactly_once(kernel.snapshot(), "can0", member.host_end)


async def test_a_new_network_and_its_containers_cause_no_drift(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await engine.create_network(FIRST)
    one = await engine.start(FIRST, DASHBOARD)
    await engine.create_network(SECOND)
    other = await engine.start(SECOND, LOGGER)
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    await assert_no_drift(engine, caplog)
    await engine.stop(one)
    await engine.stop(other)
    await engine.delete_network(FIRST)
    await assert_no_drift(engine, caplog)
