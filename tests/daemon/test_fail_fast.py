"""EVERCAN_RECOVERY=fail-fast: drift is reported with its remedy and not repaired."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from evercan.settings import Recovery
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once, full_mesh, paths
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

NETWORK = engine_id("powertrain")
DASHBOARD, GATEWAY, LOGGER = map(engine_id, ("dashboard", "gateway", "logger"))


@pytest.fixture(autouse=True)
async def fail_fast(plugin: Plugin) -> None:
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.restart()


async def start_two(engine: Engine) -> list[Container]:
    await engine.create_network(NETWORK)
    return [await engine.start(NETWORK, endpoint) for endpoint in (DASHBOARD, GATEWAY)]


async def reasons(engine: Engine) -> list[dict[str, str]]:
    answer = await engine.get("health")
    assert answer.status == (503 if answer.document["reasons"] else 200)
    found: list[dict[str, str]] = answer.document["reasons"]
    return found


async def test_calls_of_the_engine_are_carried_out(engine: Engine, kernel: SharedKernel) -> None:
    one, other = await start_two(engine)
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    assert await reasons(engine) == []
    await engine.stop(one)
    assert_exactly_once(kernel.snapshot(), "vcan0", other.host_end)
    await engine.stop(other)
    await engine.delete_network(NETWORK)
    assert not kernel.snapshot().links


def double_rules(kernel: SharedKernel) -> None:
    for rule in kernel.snapshot().rules:
        kernel.add_rule(rule)


BREAKS: dict[str, tuple[Callable[[SharedKernel, str], object], str]] = {
    "bus deleted": (lambda kernel, _: kernel.delete("vcan0"), "vcan0 is missing"),
    "bus set down": (lambda kernel, _: kernel.set_flag("vcan0", up=False), "vcan0 is down"),
    "pair deleted": (lambda kernel, end: kernel.delete(end), "is missing"),
    "host end set down": (lambda kernel, end: kernel.set_flag(end, up=False), "is down"),
    "rules flushed": (lambda kernel, _: kernel.flush_rules(), "lacks 8 rules"),
    "rules doubled": (lambda kernel, _: double_rules(kernel), "8 surplus rules"),
}


@pytest.mark.parametrize(("break_it", "words"), BREAKS.values(), ids=BREAKS)
async def test_drift_is_reported_with_its_remedy_and_not_repaired(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    break_it: Callable[[SharedKernel, str], object],
    words: str,
) -> None:
    one, _ = await start_two(engine)
    break_it(kernel, one.host_end)
    broken = kernel.snapshot()
    plugin.link_events.announce()
    async with asyncio.timeout(10):
        while not (found := await reasons(engine)):
            pass
    assert {reason["kind"] for reason in found} == {"drift"}
    assert any(words in reason["text"] for reason in found)
    assert all("EVERCAN_RECOVERY=auto" in reason["remedy"] for reason in found)
    assert kernel.snapshot() == broken


async def test_no_container_joins_a_missing_bus_until_its_network_is_created_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    containers = await start_two(engine)
    await plugin.reboot("boot-2")
    await engine.remove_stale_endpoints(containers)
    assert not kernel.snapshot().links
    for _ in range(2):
        with pytest.raises(EngineError, match=r"vcan0 is missing.*docker compose down.*auto"):
            await engine.start(NETWORK, LOGGER)
    assert not kernel.snapshot().links, "a failed call was not rolled back"
    with pytest.raises(EngineError, match="vcan0 is missing"):
        await engine.join(NETWORK, LOGGER)
    again = engine_id("powertrain again")
    await engine.delete_network(NETWORK)
    await engine.create_network(again)
    container = await engine.start(again, LOGGER)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    assert await reasons(engine) == []


async def test_a_new_container_gets_its_rules_and_restarts_repair_the_others(
    engine: Engine, kernel: SharedKernel
) -> None:
    one, other = await start_two(engine)
    kernel.flush_rules()
    new = await engine.start(NETWORK, LOGGER)
    expected = {
        path
        for path in full_mesh(["vcan0", one.host_end, other.host_end, new.host_end])
        if new.host_end in path[:2]
    }
    assert set(paths(kernel.snapshot())) == expected
    assert {reason["endpoint"] for reason in await reasons(engine)} == {DASHBOARD, GATEWAY}
    await engine.stop(one)
    one = await engine.start(NETWORK, engine_id("dashboard again"))
    await engine.stop(other)
    other = await engine.start(NETWORK, engine_id("gateway again"))
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end, new.host_end)
    assert await reasons(engine) == []


async def test_a_repeated_join_of_a_broken_endpoint_fails_and_keeps_its_membership(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, _ = await start_two(engine)
    kernel.set_flag(one.host_end, up=False)
    with pytest.raises(EngineError, match=f"host end {one.host_end} is down"):
        await engine.join(NETWORK, DASHBOARD)
    assert plugin.declared.endpoints[DASHBOARD].is_member


async def test_no_container_joins_a_controller_that_is_absent_or_down(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.make("can0", "", up=True)
    await engine.create_network(NETWORK, dev="can")
    kernel.set_flag("can0", up=False)
    with pytest.raises(EngineError, match="ip link set can0 up"):
        await engine.start(NETWORK, DASHBOARD)
    kernel.delete("can0")
    with pytest.raises(EngineError, match="plug it in"):
        await engine.start(NETWORK, DASHBOARD)
    kernel.make("can0", "", up=True)
    container = await engine.start(NETWORK, DASHBOARD)
    assert_exactly_once(kernel.snapshot(), "can0", container.host_end)


async def test_a_restart_in_auto_mode_repairs_what_was_left(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    kernel.flush_rules()
    kernel.set_flag("vcan0", up=False)
    await plugin.restart()
    assert not kernel.snapshot().rules
    plugin.recovery = Recovery.AUTO
    await plugin.restart()
    await engine.enable()
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    assert await reasons(engine) == []
