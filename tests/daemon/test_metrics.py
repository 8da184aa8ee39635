"""The metrics that Prometheus reads."""

from __future__ import annotations

import asyncio
import time

from evercan import __version__
from tests.support.engine import Engine, engine_id
from tests.support.plugin import Plugin
from tests.support.prometheus import promtool
from tests.support.scraping import scrape, scraped
from tests.support.shared_kernel import SharedKernel

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")


async def test_calls_steps_members_and_writes_are_counted(engine: Engine, plugin: Plugin) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    await engine.post("Join", NetworkID="feed", EndpointID="beef")
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


async def test_promtool_accepts_names_types_and_help(
    engine: Engine, plugin: Plugin, kernel: SharedKernel
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, dev="can", kind="physical", bitrate="500000")
    await engine.start(NETWORK, DASHBOARD)
    text = await scraped(plugin.socket)
    assert 'evercan_controller_state{bus="can0"' in text
    assert await asyncio.to_thread(promtool, "check", "metrics", stdin=text.encode()) == ""


async def test_counters_for_alerts_exist_before_the_first_event(
    engine: Engine, plugin: Plugin, kernel: SharedKernel
) -> None:
    initial = await scrape(plugin.socket)
    assert initial["evercan_call_duration_seconds_count", "failed", "Join"] == 0
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    before = await scrape(plugin.socket)
    assert before["evercan_drift_found_total", "vcan0", "bus-missing"] == 0
    assert before["evercan_recoveries_total", "vcan0", "bus-missing", "mended"] == 0
    assert before["evercan_recoveries_total", "vcan0", "reboot", "mended"] == 0
    kernel.delete("vcan0")
    plugin.link_events.announce()
    for _ in range(100):
        after = await scrape(plugin.socket)
        if after["evercan_recoveries_total", "vcan0", "bus-missing", "mended"]:
            break
        await asyncio.sleep(0.05)
    assert after["evercan_drift_found_total", "vcan0", "bus-missing"] == 1
    assert after["evercan_recoveries_total", "vcan0", "bus-missing", "mended"] == 1


async def test_the_version_and_the_start_time_are_exposed(plugin: Plugin) -> None:
    seen = await scrape(plugin.socket)
    assert seen["evercan_build_info", __version__] == 1
    assert abs(seen[("evercan_start_time_seconds",)] - time.time()) < 60
