"""A container's namespace that is ending (nsid -1 in a dump) disturbs nothing and nobody.

Between the moment at which a namespace loses its number and the one at which its interfaces
are deleted, the kernel shows a pair whose other end is in namespace -1.
"""

from __future__ import annotations

import pytest

from evercan.model.declared import Phase
from tests.support.engine import Container, Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
DASHBOARD, GATEWAY, LOGGER = map(engine_id, ("dashboard", "gateway", "logger"))
BUSES = {"vcan": {}, "controller": {"dev": "can", "id": "0", "bitrate": "500000"}}


async def start_two(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: dict[str, str]
) -> list[Container]:
    """Start two containers, and let the plugin observe where they are."""
    if options:
        kernel.plug("can0")
    await engine.create_network(NETWORK, **options)
    containers = [await engine.start(NETWORK, endpoint) for endpoint in (DASHBOARD, GATEWAY)]
    plugin.link_events.announce()
    await wait_until(
        lambda: {end.phase for end in plugin.declared.endpoints.values()} == {Phase.JOINED}
    )
    return containers


async def observe(kernel: SharedKernel, plugin: Plugin) -> None:
    """Announce a link event and wait until a pass has followed."""
    before = kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: kernel.calls["observe"] > before)


@pytest.mark.parametrize("options", BUSES.values(), ids=BUSES)
async def test_every_call_and_page_is_answered(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: dict[str, str]
) -> None:
    ends, stays = await start_two(engine, kernel, plugin, options)
    kernel.begin_to_end_namespace(ends.nsid)
    await observe(kernel, plugin)
    for page in ("health", "status", "metrics"):
        assert (await engine.get(page)).status == 200
    comes = await engine.start(NETWORK, LOGGER)
    for verb in ("Leave", "DeleteEndpoint"):
        await engine.call(verb, NetworkID=NETWORK, EndpointID=ends.endpoint)
    kernel.end_namespace(ends.nsid)
    await observe(kernel, plugin)
    bus = plugin.declared.networks[NETWORK].bus
    await wait_until(lambda: ends.host_end not in kernel.snapshot().links)
    assert_exactly_once(kernel.snapshot(), bus, stays.host_end, comes.host_end)
    assert (await engine.get("health")).document == {
        "healthy": True,
        "reasons": [],
        "warnings": [],
    }


@pytest.mark.parametrize("options", BUSES.values(), ids=BUSES)
async def test_drift_is_repaired_during_and_after_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: dict[str, str]
) -> None:
    ends, stays = await start_two(engine, kernel, plugin, options)
    rules = kernel.snapshot().rules
    kernel.begin_to_end_namespace(ends.nsid)
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: kernel.snapshot().rules == rules)
    kernel.end_namespace(ends.nsid)
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), plugin.declared.networks[NETWORK].bus, stays.host_end)


@pytest.mark.parametrize("options", BUSES.values(), ids=BUSES)
async def test_the_plugin_starts_during_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: dict[str, str]
) -> None:
    ends, _ = await start_two(engine, kernel, plugin, options)
    await plugin.stop()
    kernel.begin_to_end_namespace(ends.nsid)
    kernel.flush_rules()
    await plugin.start()
    await engine.enable()
    assert len(kernel.snapshot().rules) == 12
    assert (await engine.get("health")).status == 200


async def test_a_pair_that_is_deleted_meanwhile_is_not_created_in_another_namespace(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    ends, stays = await start_two(engine, kernel, plugin, {})
    kernel.begin_to_end_namespace(ends.nsid)
    await observe(kernel, plugin)
    kernel.end_namespace(ends.nsid)
    plugin.link_events.announce()
    await wait_until(lambda: plugin.declared.endpoints[DASHBOARD].phase is Phase.DORMANT)
    assert not kernel.inside(ends.nsid)
    assert_exactly_once(kernel.snapshot(), "vcan0", stays.host_end)


async def test_the_end_of_a_container_is_moved_back_while_another_namespace_ends(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    ends, stops = await start_two(engine, kernel, plugin, {})
    kernel.begin_to_end_namespace(ends.nsid)
    await engine.stop(stops)
    assert stops.host_end not in kernel.snapshot().links
    assert set(plugin.declared.endpoints) == {DASHBOARD}
