"""Measures growth and passes after thousands of containers and checks, on the fake kernel."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

from bench import passes as bus_passes
from bench.figures import Figure
from evercan.intent.changes import CreateNetwork
from evercan.intent.endpoint_changes import CreateEndpoint, DeleteEndpoint, Join, Leave
from evercan.options.endpoint import endpoint_options
from evercan.options.network import network_options
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.reconcile.state_format import encode
from tests.support.changes import run_pass
from tests.support.fake_kernel import FakeKernel

NETWORK = "ab" * 32


def resident() -> float:
    """Return this process's resident memory in kB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


class SimulatedPlugin:
    """A reconciler on a fake kernel, with the calls of an engine."""

    def __init__(self, folder: Path) -> None:
        self._kernel = FakeKernel()
        self._reconciler = Reconciler(self._kernel, StateFile(folder))
        self._reconciler.start()
        run_pass(self._reconciler, CreateNetwork(NETWORK, network_options({})))

    def attach(self, number: int) -> None:
        """Create and join an endpoint."""
        endpoint = f"{number:064x}"
        run_pass(self._reconciler, CreateEndpoint(NETWORK, endpoint, endpoint_options({})))
        run_pass(self._reconciler, Join(NETWORK, endpoint))

    def detach(self, number: int) -> None:
        """Leave and delete an endpoint."""
        endpoint = f"{number:064x}"
        run_pass(self._reconciler, Leave(endpoint))
        run_pass(self._reconciler, DeleteEndpoint(endpoint))
        self._kernel.taken.clear()  # the fake keeps every step, for tests

    def check(self) -> None:
        """Run the reconcile pass of a health check."""
        run_pass(self._reconciler)

    @property
    def state_size(self) -> int:
        """The size of the state file, in bytes."""
        return len(encode(self._reconciler.state.declared))


def memory(quick: bool) -> list[Figure]:
    """Measure the growth over cycles and checks, and a member's share of the state file."""
    cycles = 200 if quick else 10_000
    shm = "/dev/shm"  # noqa: S108 - fsync is not what is measured
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        plugin = SimulatedPlugin(Path(folder))
        for number in range(cycles // 10):
            plugin.attach(number)
            plugin.detach(number)
        before = resident()
        for number in range(cycles):
            plugin.attach(number)
            plugin.detach(number)
        after = resident()
        for _ in range(cycles):
            plugin.check()
        checked = resident()
        empty = plugin.state_size
        for number in range(10):
            plugin.attach(number)
        state_size = (plugin.state_size - empty) / 10
    group = "memory"
    return [
        Figure(
            group=group, name=f"growth after {cycles:,} containers came and went", unit="kB",
            samples=[after - before], budget=256.0, note="includes what the allocator keeps",
        ),
        Figure(
            group=group, name=f"growth after {cycles:,} health checks", unit="kB",
            samples=[checked - after], budget=256.0,
        ),
        Figure(
            group=group, name="state file, per member", unit="B", samples=[state_size],
            budget=2000.0,
        ),
    ]  # fmt: skip


def passes(quick: bool) -> list[Figure]:
    """Measure the processor time per rule of a pass without steps, by number of members."""
    sizes = (2, 30) if quick else (2, 10, 30, 50, 100, 150, 200)
    costs = {
        size: [
            seconds * 1e6 / (2 * size * (size + 1)) for seconds in bus_passes.pass_seconds(size, 5)
        ]
        for size in sizes
    }
    figures = [
        Figure(
            group="turn", name=f"observe and plan, per rule, {size} members", unit="us",
            samples=costs[size], against="10 members" if not quick else "2 members",
            reference=costs[10 if not quick else 2],
            budget=1.5 if size > 10 else None,
        )
        for size in sizes
    ]  # fmt: skip
    alone = bus_passes.pass_memory(1)
    for size in sizes[-1:] if quick else (100, 200):
        measured = zip(bus_passes.pass_memory(size), alone, ("kept", "needed"), strict=True)
        figures += [
            Figure(
                group="memory", unit="kB", budget=8.0,
                name=f"memory {words} per member by passes and scrapes, {size} members",
                samples=[(most - base) / 1024 / (size - 1)],
            )
            for most, base, words in measured
        ]  # fmt: skip
    most = sizes[-1]
    for words, with_passes in ((f"during passes with {most} members", True), ("at rest", False)):
        late = sorted(bus_passes.lateness(most, 1 if quick else 10, with_passes=with_passes))
        # The worst value includes other load of the machine: compare it with the one at rest.
        figures.append(
            Figure(
                group="turn", name=f"event loop delay {words}, 99.9th percentile",
                unit="ms", samples=[late[len(late) * 999 // 1000] * 1e3],
                budget=10.0 if with_passes else None, note=f"maximum: {late[-1] * 1e3:.1f} ms",
            )
        )  # fmt: skip
    return figures
