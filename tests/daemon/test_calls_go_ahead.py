"""A call waits only briefly for an observation of the whole host, and that is made up for."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from evercan.model.observed import Observed
from evercan.reconcile import retries, waiting
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
NODES = [engine_id(f"node {number}") for number in range(2)]


class LargeKernel(SharedKernel):
    """A kernel whose dumps take their time in the plugin's thread.

    Attributes:
        seconds: how long one takes.
        begun: how many the plugin has begun.
        completed: how many it has read to their end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.begun = self.completed = 0

    def observe(self) -> Observed:
        if not threading.current_thread().name.startswith("kernel"):
            return super().observe()  # the test observes
        self.begun += 1
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            time.sleep(0.01)
            self.checkpoint()
        self.completed += 1
        return super().observe()


@pytest.fixture
def kernel() -> LargeKernel:
    return LargeKernel()


async def test_a_call_does_not_wait_for_a_full_pass(engine: Engine, kernel: LargeKernel) -> None:
    await engine.create_network(NETWORK)
    first = await engine.start(NETWORK, NODES[0])
    kernel.seconds = 3.0
    begun, completed = kernel.begun, kernel.completed
    await wait_until(lambda: kernel.begun > begun)  # the full pass that verifies the start
    called = time.monotonic()
    second = await engine.start(NETWORK, NODES[1])
    assert time.monotonic() - called < 3 * waiting.PATIENCE
    assert kernel.completed == completed
    assert_exactly_once(kernel.snapshot(), "vcan0", first.host_end, second.host_end)
    await wait_until(lambda: kernel.completed > completed)  # the pass was repeated


async def test_a_call_does_not_wait_for_a_page(engine: Engine, kernel: LargeKernel) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, NODES[0])
    await wait_until(lambda: kernel.completed > 1)
    await asyncio.sleep(retries.VERIFY_WITHIN)  # the full pass is over
    kernel.seconds = 2.0
    begun = kernel.begun
    page = asyncio.create_task(engine.get("status"))
    await wait_until(lambda: kernel.begun > begun)
    called = time.monotonic()
    await engine.start(NETWORK, NODES[1])
    assert time.monotonic() - called < 3 * waiting.PATIENCE
    answer = await page
    assert answer.ok
    assert NODES[1].encode() in str(answer.document).encode()


async def test_a_full_pass_is_completed_though_calls_come_without_end(
    engine: Engine, kernel: LargeKernel
) -> None:
    await engine.create_network(NETWORK)
    kernel.seconds = 0.8
    completed, begun = kernel.completed, time.monotonic()
    while kernel.completed == completed:
        container = await engine.start(NETWORK, NODES[0])
        assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
        await engine.stop(container)
        assert time.monotonic() - begun < 20
        await asyncio.sleep(0.05)
