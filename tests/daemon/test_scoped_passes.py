"""A call observes its own endpoint and bus only; a full pass follows."""

from __future__ import annotations

import asyncio
import time

import pytest

from evercan.model.steps import AddRules
from evercan.reconcile import retries
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
NODES = [engine_id(f"node {number}") for number in range(10)]


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep full passes out of the calls' way."""
    monkeypatch.setattr(retries, "VERIFY_AFTER", 0.5)
    monkeypatch.setattr(retries, "VERIFY_WITHIN", 1.5)


async def test_the_life_of_a_container_dumps_nothing(engine: Engine, kernel: SharedKernel) -> None:
    await engine.create_network(NETWORK)
    first = await engine.start(NETWORK, NODES[0])
    before = kernel.calls["observe"]
    second = await engine.start(NETWORK, NODES[1])
    await engine.stop(first)
    assert kernel.calls["observe"] == before
    assert_exactly_once(kernel.snapshot(), "vcan0", second.host_end)


async def test_a_join_adds_its_own_rules_only(engine: Engine, kernel: SharedKernel) -> None:
    await engine.create_network(NETWORK)
    for node in NODES:
        await engine.start(NETWORK, node)
    added = [len(step.rules) for step in kernel.taken if isinstance(step, AddRules)]
    assert added == [4 * members for members in range(1, len(NODES) + 1)]


async def test_a_full_pass_follows_after_the_last_call(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    one = await engine.start(NETWORK, NODES[0])
    kernel.flush_rules()
    other = await engine.start(NETWORK, NODES[1])  # adds its own rules, and sees no others
    before = kernel.calls["observe"]
    await wait_until(lambda: kernel.calls["observe"] > before)
    await wait_until(lambda: len(kernel.snapshot().rules) == 12)
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)


async def test_a_full_pass_is_not_put_off_without_end(engine: Engine, kernel: SharedKernel) -> None:
    await engine.create_network(NETWORK)
    before, begun = kernel.calls["observe"], time.monotonic()
    while kernel.calls["observe"] == before:
        await engine.stop(await engine.start(NETWORK, NODES[0]))
        assert time.monotonic() - begun < 10
        await asyncio.sleep(0.05)


async def test_a_member_that_has_vanished_makes_the_join_look_at_everything(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    vanished = await engine.start(NETWORK, NODES[0])
    await wait_until(
        lambda: all(end.phase == "joined" for end in plugin.declared.endpoints.values())
    )
    kernel.end_namespace(vanished.nsid)
    new = await engine.start(NETWORK, NODES[1])
    assert_exactly_once(kernel.snapshot(), "vcan0", new.host_end)


async def test_a_bus_that_has_vanished_is_restored_by_the_join(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    first = await engine.start(NETWORK, NODES[0])
    kernel.delete("vcan0")
    second = await engine.start(NETWORK, NODES[1])
    assert_exactly_once(kernel.snapshot(), "vcan0", first.host_end, second.host_end)
