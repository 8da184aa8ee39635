"""A pair that is replaced under a running container is a warning on every page, until it leaves."""

from __future__ import annotations

import logging

import pytest

from tests.support.engine import Engine, engine_id
from tests.support.scraping import scrape
from tests.support.shared_kernel import SharedKernel

NETWORK, OTHER = engine_id("powertrain"), engine_id("diagnosis")
DASHBOARD = engine_id("dashboard")


async def test_a_replaced_pair_is_reported_until_its_container_stops(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    await engine.create_network(OTHER, id="1")  # a pass: its namespace is known from now on
    former = kernel.snapshot().links[container.host_end].index
    kernel.delete(container.host_end)
    await engine.create_network(OTHER, id="1")
    assert kernel.snapshot().links[container.host_end].index != former
    for page in ("health", "status"):
        answer = await engine.get(page)
        assert (answer.status, answer.document["healthy"]) == (200, True)
        (warning,) = answer.document["warnings"]
        assert (warning["kind"], warning["endpoint"]) == ("pair-replaced", DASHBOARD)
        assert "re-open their socket" in warning["remedy"]
    assert (await scrape(engine.path))["evercan_warnings", "vcan0", "pair-replaced"] == 1
    lines = [record for record in caplog.records if "re-open their socket" in record.getMessage()]
    assert [line.levelno for line in lines] == [logging.WARNING]
    await engine.stop(container)
    assert (await engine.get("health")).document["warnings"] == []
