"""EVERCAN_RECOVERY=fail-fast: nothing is mended behind anybody's back, and all is said."""

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
async def strict(plugin: Plugin) -> None:
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.restart()


async def two(engine: Engine) -> list[Container]:
    await engine.create_network(NETWORK)
    return [await engine.start(NETWORK, each) for each in (DASHBOARD, GATEWAY)]


async def reasons(engine: Engine) -> list[dict[str, str]]:
    answer = await engine.get("health")
    assert answer.status == (503 if answer.document["reasons"] else 200)
    found: list[dict[str, str]] = answer.document["reasons"]
    return found


async def test_what_the_engine_asks_for_is_done_as_ever(
    engine: Engine, kernel: SharedKernel
) -> None:
    one, other = await two(engine)
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
async def test_what_breaks_stays_broken_and_is_told_with_its_remedy(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    break_it: Callable[[SharedKernel, str], object],
    words: str,
) -> None:
    one, _ = await two(engine)
    break_it(kernel, one.host_end)
    broken = kernel.snapshot()
    plugin.link_events.announce()
    async with asyncio.timeout(10):
        while not (found := await reasons(engine)):
            pass
    assert {each["kind"] for each in found} == {"drift"}
    assert any(words in each["text"] for each in found)
    assert all("EVERCAN_RECOVERY=auto" in each["remedy"] for each in found)
    assert kernel.snapshot() == broken


async def test_nobody_joins_a_bus_that_is_gone_until_its_network_is_created_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    containers = await two(engine)
    await plugin.reboot("boot-2")
    await engine.remove_stale_endpoints(containers)
    assert not kernel.snapshot().links
    for _ in range(2):
        with pytest.raises(EngineError, match=r"vcan0 is missing.*docker compose down.*auto"):
            await engine.start(NETWORK, LOGGER)
    assert not kernel.snapshot().links, "what a failed call made is taken back"
    with pytest.raises(EngineError, match="vcan0 is missing"):
        await engine.join(NETWORK, LOGGER)
    again = engine_id("powertrain again")
    await engine.delete_network(NETWORK)
    await engine.create_network(again)
    container = await engine.start(again, LOGGER)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    assert await reasons(engine) == []


async def test_who_joins_beside_flushed_rules_is_wired_and_a_restart_each_mends_the_rest(
    engine: Engine, kernel: SharedKernel
) -> None:
    one, other = await two(engine)
    kernel.flush_rules()
    new = await engine.start(NETWORK, LOGGER)
    mine = {
        path
        for path in full_mesh(["vcan0", one.host_end, other.host_end, new.host_end])
        if new.host_end in path[:2]
    }
    assert set(paths(kernel.snapshot())) == mine
    assert {each["endpoint"] for each in await reasons(engine)} == {DASHBOARD, GATEWAY}
    await engine.stop(one)
    one = await engine.start(NETWORK, engine_id("dashboard again"))
    await engine.stop(other)
    other = await engine.start(NETWORK, engine_id("gateway again"))
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end, new.host_end)
    assert await reasons(engine) == []


async def test_a_repeated_join_of_a_broken_endpoint_fails_and_ends_no_membership(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, _ = await two(engine)
    kernel.set_flag(one.host_end, up=False)
    with pytest.raises(EngineError, match=f"host end {one.host_end} is down"):
        await engine.join(NETWORK, DASHBOARD)
    assert plugin.declared.endpoints[DASHBOARD].is_member


async def test_a_controller_that_is_away_or_down_lets_nobody_join(
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


async def test_a_restart_in_the_auto_mode_mends_what_was_left(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await two(engine)
    kernel.flush_rules()
    kernel.set_flag("vcan0", up=False)
    await plugin.restart()
    assert not kernel.snapshot().rules
    plugin.recovery = Recovery.AUTO
    await plugin.restart()
    await engine.enable()
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    assert await reasons(engine) == []
