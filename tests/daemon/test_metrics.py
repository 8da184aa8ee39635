"""What Prometheus sees of a bus."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.engine import Engine, engine_id
from tests.support.http import request
from tests.support.plugin import Plugin

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")


async def scraped(path: Path) -> str:
    """Return what Prometheus reads."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request("metrics", b"", method="GET"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    text = (await reader.readexactly(length)).decode()
    writer.close()
    await writer.wait_closed()
    return text


async def scrape(path: Path) -> dict[tuple[str, ...], float]:
    text = await scraped(path)
    # Labels count in the order of their names.
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_steps_members_and_writes_are_counted(engine: Engine, plugin: Plugin) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    await engine.ask("Join", NetworkID="feed", EndpointID="beef")
    seen = await scrape(plugin.socket)
    assert seen["evercan_call_duration_seconds_count", "ok", "CreateNetwork"] == 1
    assert seen["evercan_call_duration_seconds_count", "refused", "Join"] == 1
    assert seen["evercan_steps_total", "done", "MakeBus"] == 1
    assert seen["evercan_steps_total", "done", "MakePair"] == 1
    assert seen["evercan_networks", "vcan0"] == 1
    assert sum(value for key, value in seen.items() if key[0] == "evercan_endpoints") == 1
    assert seen[("evercan_healthy",)] == 1
    assert seen[("evercan_state_writes_total",)] >= 3
    assert seen["evercan_frames_total", "vcan0", "to_bus", "handled"] == 0
    assert seen["evercan_frames_total", "vcan0", "from_bus", "handled"] == 0
