"""What stays after a long life: thousands of containers and checks, on the fake kernel."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

from bench import busy
from bench.figures import Figure
from evercan import intent
from evercan.model import Declared, Observed
from evercan.options import endpoint_options, network_options
from evercan.reconciler import Reconciler
from evercan.store import Store, encode
from tests.support.fake_kernel import FakeKernel

NETWORK = "ab" * 32


def resident() -> float:
    """Return this process's resident memory in kB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


class Life:
    """A reconciler on a fake kernel, told what an engine tells."""

    def __init__(self, folder: Path) -> None:
        self._kernel = FakeKernel()
        self._turns = Reconciler(self._kernel, Store(folder))
        self._turns.start()
        wanted = network_options({})
        self._turns.turn([lambda d, o: intent.create_network(d, o, NETWORK, wanted)])

    def come(self, number: int) -> None:
        """CreateEndpoint and Join."""
        one, options = f"{number:064x}", endpoint_options({})

        def create(declared: Declared, observed: Observed) -> Declared:
            return intent.create_endpoint(declared, observed, NETWORK, one, options)

        self._turns.turn([create])
        self._turns.turn([lambda d, o: intent.join(d, o, NETWORK, one)])

    def go(self, number: int) -> None:
        """Leave and DeleteEndpoint."""
        one = f"{number:064x}"
        self._turns.turn([lambda d, _: intent.leave(d, one)])
        self._turns.turn([lambda d, _: d.without_endpoint(one)])
        self._kernel.taken.clear()  # the fake writes down every step, for tests

    def check(self) -> None:
        """Take a health check's turn."""
        self._turns.turn([])

    @property
    def record(self) -> int:
        """Bytes on disk."""
        return len(encode(self._turns.state.declared))


def memory(quick: bool) -> list[Figure]:
    """Measure what cycles and checks leave behind, and what a member takes on record."""
    cycles = 200 if quick else 10_000
    shm = "/dev/shm"  # noqa: S108 - fsync is not what is measured
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        life = Life(Path(folder))
        for number in range(cycles // 10):
            life.come(number)
            life.go(number)
        before = resident()
        for number in range(cycles):
            life.come(number)
            life.go(number)
        after = resident()
        for _ in range(cycles):
            life.check()
        checked = resident()
        empty = life.record
        for number in range(10):
            life.come(number)
        record = (life.record - empty) / 10
    group = "memory"
    return [
        Figure(
            group=group, name=f"growth over {cycles:,} containers' lives", unit="kB",
            samples=[after - before], budget=256.0, note="what the allocator keeps is in it",
        ),
        Figure(
            group=group, name=f"growth over {cycles:,} health checks", unit="kB",
            samples=[checked - after], budget=256.0,
        ),
        Figure(
            group=group, name="a member on record, bytes on disk", unit="B", samples=[record],
            budget=2000.0,
        ),
    ]  # fmt: skip


def turns(quick: bool) -> list[Figure]:
    """Measure the processor's time of a turn that finds nothing to do, a rule, as N grows."""
    sizes = (2, 30) if quick else (2, 10, 30, 50, 100, 150, 200)
    costs = {
        size: [each * 1e6 / (2 * size * (size + 1)) for each in busy.turn_seconds(size, 5)]
        for size in sizes
    }
    figures = [
        Figure(
            group="turn", name=f"look and plan, {size} members, a rule", unit="us",
            samples=costs[size], against="10 members" if not quick else "2 members",
            reference=costs[10 if not quick else 2],
            budget=1.5 if size > 10 else None,
        )
        for size in sizes
    ]  # fmt: skip
    for words, turning in (("while turns of 100 members run", True), ("at rest", False)):
        late = sorted(busy.lateness(100, 1 if quick else 10, turning=turning))
        # The machine's own hiccups are in the worst of some thousand: see those at rest.
        figures.append(
            Figure(
                group="turn", name=f"how late the loop wakes {words}, 999 times of 1,000",
                unit="ms", samples=[late[len(late) * 999 // 1000] * 1e3],
                budget=10.0 if turning else None, note=f"the worst: {late[-1] * 1e3:.1f} ms",
            )
        )  # fmt: skip
    return figures
