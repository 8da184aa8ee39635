"""The metrics on TCP: served as soon as the address can be bound; no bus waits for that."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from evercan import daemon
from tests.support.engine import Engine, engine_id
from tests.support.plugin import Plugin
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")


async def scraped(port: int) -> bytes:
    """Return the answer to a request for the metrics on TCP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_an_address_in_use_is_logged_one_time_and_bound_when_it_is_free(
    plugin: Plugin,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await engine.enable()
    monkeypatch.setattr(daemon, "PUBLISH_INTERVAL", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        plugin.metrics = ("127.0.0.1", port)
        await plugin.restart()
        await engine.create_network(NETWORK)
        await asyncio.sleep(0.2)
        (logged,) = (line for line in caplog.records if "cannot be bound" in line.getMessage())
        assert f"EVERCAN_METRICS=127.0.0.1:{port}" in logged.getMessage()
    served = f"Metrics are served at http://127.0.0.1:{port}/metrics"
    await wait_until(lambda: served in caplog.text)
    answer = await scraped(port)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"evercan_networks" in answer


async def test_an_address_of_another_host_does_not_affect_networks(
    plugin: Plugin, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.enable()
    plugin.metrics = ("192.0.2.7", 9480)  # TEST-NET-1, RFC 5737
    await plugin.restart()
    await engine.create_network(NETWORK)
    assert "EVERCAN_METRICS=192.0.2.7:9480 cannot be bound" in caplog.text
    await plugin.stop()
