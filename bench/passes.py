"""Measures how long reconcile passes block the event loop, and their processor time.

The kernel thread repeats the part of a pass that needs no kernel: it decodes a dump of the whole
rule table and plans. Meanwhile the loop wakes every 2 ms and measures how late it is.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import uvloop

from evercan.daemon import SWITCH_INTERVAL, yield_often
from evercan.kernel import can_gw
from evercan.kernel.netlink import HEADER
from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.observed import LINK_GROUP, Link, Observed
from evercan.planning.plan import make_plan
from evercan.planning.rules import FD, mesh
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.queue import without_garbage_collection
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.values import replace
from tests.support.fake_kernel import FakeKernel

__all__ = ["SWITCH_INTERVAL", "lateness", "pass_memory", "pass_seconds"]

_BUS = "vcan0"


def declared_bus(members: int) -> tuple[Declared, dict[str, Link]]:
    """Return a bus with members whose ifindexes begin with 10, and its links; its own is 1."""
    network = Network(id="n" * 64, bus=_BUS, owns_bus=True)
    links = {_BUS: Link(index=1, name=_BUS, kind="vcan", up=True, group=LINK_GROUP)}
    endpoints = {}
    for number in range(members):
        endpoint = Endpoint(
            id=f"{number:064x}", network=network.id, host_end=f"vx{number:08x}",
            container_end=f"vx{number:08x}p", peer_prefix="can", phase=Phase.OFFERED,
        )  # fmt: skip
        endpoints[endpoint.id] = endpoint
        links[endpoint.host_end] = Link(
            index=10 + number, name=endpoint.host_end, kind="vxcan", up=True, group=LINK_GROUP
        )
    declared = Declared(boot="boot-1", networks={network.id: network}, endpoints=endpoints)
    return declared, links


def _dump(members: int, *, everybody: bool = False) -> list[bytes]:
    """Return a dump like the kernel's, of a bus on which members have sent frames.

    Args:
        members: How many the bus has.
        everybody: Each has sent classic and FD frames; otherwise every second one has sent
            classic frames.
    """
    framed = []
    for rule in mesh([1], range(10, 10 + members)):
        payload = can_gw.add(rule).payload
        if everybody or (rule.source % 2 == 0 and not rule.flags & FD):
            handled = struct.pack("=HHI", 8, can_gw.HANDLED, 12345)
            payload = payload[:4] + handled + payload[4:]
        framed.append(HEADER.pack(16 + len(payload), can_gw.RTM_NEWROUTE, 0, 1, 0) + payload)
    # The kernel fills 32 KiB at a time (netlink_dump).
    batch = (32 << 10) // len(framed[0])
    return [b"".join(framed[at : at + batch]) for at in range(0, len(framed), batch)]


class SettledBus:
    """A bus on which everything is as declared."""

    def __init__(self, members: int) -> None:
        self._declared, self._links = declared_bus(members)
        self._chunks = _dump(members)
        self.rules = 2 * members * (members + 1)

    def run_pass(self) -> None:
        """Decode and plan, as a reconcile pass does."""
        with without_garbage_collection():
            self._decode_and_plan()

    def _decode_and_plan(self) -> None:
        rules = can_gw.decode_rules(self._chunks)
        plan = make_plan(self._declared, Observed(links=self._links, rules=rules))
        if plan.steps:
            raise SystemExit(f"unexpected step: {plan.steps[0]}")


class SettledKernel(FakeKernel):
    """A kernel with a bus that is as declared, and with rules as bytes, as the kernel sends them.

    Everything that an observation returns is created for it.
    """

    def __init__(self, links: dict[str, Link], chunks: list[bytes]) -> None:
        super().__init__()
        self._settled = links
        self._chunks = chunks

    def observe(self) -> Observed:
        """Decode the rules."""
        return Observed(links=self._copied(), rules=can_gw.decode_rules(self._chunks))

    def observe_with_counts(self) -> Observed:
        """Decode the rules and their counters."""
        rules, counts = can_gw.decode_with_counts(self._chunks)
        return Observed(links=self._copied(), rules=rules, counts=counts)

    def _copied(self) -> dict[str, Link]:
        return {name: replace(link) for name, link in self._settled.items()}


def pass_memory(members: int) -> tuple[int, int]:
    """Return the bytes that the reconciler keeps, and those that it needs at the most.

    It makes full passes, and answers scrapes while all members have sent frames. Not
    counted are what the simulated kernel holds, which exists before memory is traced, and
    the interpreter's lists of free objects, which a first run fills.
    """
    declared, links = declared_bus(members)
    kernel = SettledKernel(links, _dump(members, everybody=True))
    with tempfile.TemporaryDirectory() as folder:
        StateFile(Path(folder)).save(declared)
        del declared
        _observe_and_scrape(kernel, Path(folder))
        tracemalloc.start()
        kept_alive = _observe_and_scrape(kernel, Path(folder))
        _, most = tracemalloc.get_traced_memory()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept_alive
    if kernel.taken:
        raise SystemExit(f"unexpected step: {kernel.taken[0]}")
    return kept, most


def _observe_and_scrape(kernel: SettledKernel, folder: Path) -> Inspector:
    reconciler = Reconciler(kernel, StateFile(folder))
    reconciler.start()
    inspector = Inspector(kernel, reconciler)
    for _ in range(2):
        reconciler.run([])
        inspector.snapshot()
    return inspector


def pass_seconds(members: int, times: int) -> list[float]:
    """Return the processor seconds of some passes."""
    bus = SettledBus(members)
    seconds = []
    for _ in range(times):
        started = time.thread_time()
        bus.run_pass()
        seconds.append(time.thread_time() - started)
    return seconds


def lateness(members: int, seconds: float, *, with_passes: bool = True) -> list[float]:
    """Return how late the loop woke, in seconds, for each time."""
    bus = SettledBus(members)
    yield_often()

    async def watch() -> list[float]:
        loop = asyncio.get_running_loop()
        over = False

        def run_passes() -> None:
            while with_passes and not over:
                bus.run_pass()

        done = loop.run_in_executor(None, run_passes)
        late = []
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - now - 0.002)
        over = True
        await done
        return late

    return uvloop.run(watch())
