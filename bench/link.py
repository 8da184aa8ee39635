"""Measures a link against a bare TCP forwarder: delay, rate, processor time and memory.

Both carry frames between two sockets in place of CAN buses, in turns, in the same run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import WIRE, Figure
from bench.link_tasks.load import PERCENTILES
from tests.support.links import Bus, Links, free_port
from tools.common.checkout import ROOT
from tools.common.polling import wait_until

SUSTAINED = 20_000
"""Frames per second that a link carries without loss."""

_BUDGETS = {"p50": 0.5, "p99": 2.0}
_SLOW = 0.001
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """What one run over a way has measured.

    Attributes:
        reached: frames a second that were sent.
        sent: frames.
        received: frames.
        disordered: frames that came behind a later one.
        delays: seconds by the name of their percentile.
        processor: seconds for 1,000 frames, of both ends.
    """

    reached: float
    sent: int
    received: int
    disordered: int
    delays: dict[str, float]
    processor: float


@dataclass(frozen=True)
class Way:
    """A way from one bus to another.

    Attributes:
        near: the bus that frames are sent on.
        far: the bus that they are received on.
        ends: process ids of the two programs between them.
    """

    near: Bus
    far: Bus
    ends: tuple[int, int]

    def run(self, rate: float, seconds: float) -> Run:
        """Send frames of 8 bytes at a rate; the first tenth does not count for the delay."""
        count = int(rate * seconds)
        before = self._processor()
        receiver = _load("receive", self.far, str(count // 10), str(count))
        sender = _load("send", self.near, str(rate), str(count))
        sent, received = _result(sender), _result(receiver)
        return Run(
            sent["rate"],
            count,
            int(received["received"]),
            int(received["disordered"]),
            {name: received[name] for name in PERCENTILES},
            (self._processor() - before) / count * 1000,
        )

    def memory(self) -> list[float]:
        """Return the resident memory of both ends in MB."""
        return [
            int(Path(f"/proc/{end}/statm").read_text().split()[1]) * _PAGE / 1e6
            for end in self.ends
        ]

    def _processor(self) -> float:
        """Return the seconds of processor time that both ends have used."""
        used = 0
        for end in self.ends:
            fields = Path(f"/proc/{end}/stat").read_text().rpartition(") ")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used / _TICKS


def _load(role: str, bus: Bus, *arguments: str) -> subprocess.Popen[bytes]:
    return _start("load", role, str(bus.ours.fileno()), *arguments, fds=[bus.ours.fileno()])


def _start(task: str, *arguments: str, fds: list[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"bench.link_tasks.{task}", *arguments],
        cwd=ROOT,
        pass_fds=fds,
        stdout=subprocess.PIPE,
    )


def _result(load: subprocess.Popen[bytes]) -> dict[str, float]:
    output, _ = load.communicate()
    return dict(json.loads(output))


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def relayed(port: int, delay: float) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Yield the port of a relay that delays what goes to another port and back, and the relay."""
    through = free_port()
    with _ended(_start("relay", str(through), str(port), str(delay), fds=[])) as relay:
        wait_until(lambda: _listens(through), 10, "the relay")
        yield through, relay


@contextmanager
def _reached(port: int, delay: float) -> Iterator[int]:
    """Yield the port to connect to, to reach another one after a delay; the same without one."""
    if not delay:
        yield port
        return
    with relayed(port, delay) as (through, _):
        yield through


@contextmanager
def linked(delay: float = 0.0, deadline: str = "100") -> Iterator[Way]:
    """Yield the way over two links; the delay is in seconds, the deadline in milliseconds."""
    links = Links()
    port = free_port()
    try:
        with _reached(port, delay) as reached:
            far = links.start("b", listen=f"127.0.0.1:{port}", deadline=deadline)
            far.wait_for("active")
            near = links.start("a", connect=f"127.0.0.1:{reached}", deadline=deadline)
            near.wait_for("active", "b")
            far.wait_for("active", "a")
            try:
                yield Way(near.bus, far.bus, (near.process.pid, far.process.pid))
            except BaseException:
                for link in (near, far):
                    print(link.health(), file=sys.stderr)
                    link.kill()
                    print(link.output(), file=sys.stderr)
                raise
            if far.counts("a")["doubled"]:
                raise SystemExit(f"frames were doubled: {far.counts('a')}")
    finally:
        links.end()


@contextmanager
def forwarded(delay: float = 0.0) -> Iterator[Way]:
    """Yield the way over two bare forwarders."""
    port = free_port()
    with ExitStack() as stack:
        near, far = Bus(), Bus()
        for bus in (near, far):
            stack.callback(bus.close)
        reached = stack.enter_context(_reached(port, delay))

        def start(bus: Bus, port: int, role: str) -> int:
            number = bus.theirs.fileno()
            arguments = (str(number), "127.0.0.1", str(port), role)
            return stack.enter_context(_ended(_start("forwarder", *arguments, fds=[number]))).pid

        listener = start(far, port, "listen")
        wait_until(lambda: _listens(port), 10, "the forwarder")
        yield Way(near, far, (start(near, reached, "connect"), listener))


def _listens(port: int) -> bool:
    """Return whether a port of this machine is listened on; a connection would count."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let what is started meanwhile run before other programs, if that is allowed."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def figures(quick: bool) -> list[Figure]:
    """Measure delay, processor time, the highest rate and memory."""
    times, seconds = (1, 1.0) if quick else (5, 4.0)
    found: list[Figure] = []
    for where, delay in (("loopback", 0.0), ("1 ms further away", _SLOW)):
        with undisturbed(), linked(delay) as link, forwarded(delay) as bare:
            runs = [(link.run(WIRE, seconds), bare.run(WIRE, seconds)) for _ in range(times)]
        found += delay_figures(where, runs)
        if not delay:
            found += cost_figures(runs)
    rates = (SUSTAINED,) if quick else (SUSTAINED, 30_000, 40_000, 60_000)
    with linked() as link, forwarded() as bare:
        found += rate_figures(
            [link.run(rate, 2 * seconds) for rate in rates],
            [bare.run(rate, 2 * seconds) for rate in rates],
        )
        found.append(
            Figure(
                group="link", name="resident memory of a link, after that", unit="MB",
                samples=link.memory(), budget=40.0,
            )
        )  # fmt: skip
    return found


def delay_figures(where: str, runs: list[tuple[Run, Run]]) -> list[Figure]:
    """Return how much later frames come over a link than over a forwarder."""
    found = []
    for part in PERCENTILES:
        link = [over_link.delays[part] * 1e3 for over_link, _ in runs]
        bare = [over_bare.delays[part] * 1e3 for _, over_bare in runs]
        what = f"delay at {WIRE:,} frames/s, {where}, {part}"
        found += [
            Figure(
                group="link", name=f"{what}, over links", unit="ms", samples=link,
                against="a bare TCP forwarder", reference=bare,
            ),
            Figure(
                group="link", name=f"{what}, more than over the forwarder", unit="ms",
                samples=[a - b for a, b in zip(link, bare, strict=True)],
                budget=_BUDGETS.get(part),
            ),
        ]  # fmt: skip
    lost = [run.sent - run.received + run.disordered for run, _ in runs]
    found.append(
        Figure(
            group="link", name=f"frames lost or disordered at {WIRE:,} frames/s, {where}",
            unit="frames", samples=lost, budget=0.0,
        )
    )  # fmt: skip
    return found


def cost_figures(runs: list[tuple[Run, Run]]) -> list[Figure]:
    """Return the processor time of both ends."""
    return [
        Figure(
            group="link", name=f"processor time per 1,000 frames at {WIRE:,} frames/s, both ends",
            unit="ms", samples=[link.processor * 1e3 for link, _ in runs],
            against="a bare TCP forwarder", reference=[bare.processor * 1e3 for _, bare in runs],
        )
    ]  # fmt: skip


def rate_figures(link: list[Run], bare: list[Run]) -> list[Figure]:
    """Return what is lost at the rate that is promised, and the highest rate without loss."""

    def highest(runs: list[Run]) -> float:
        whole = [run.reached for run in runs if run.received == run.sent and not run.disordered]
        return max(whole, default=0.0)

    first = link[0]
    return [
        Figure(
            group="link", name=f"frames lost or disordered at {SUSTAINED:,} frames/s",
            unit="frames", samples=[first.sent - first.received + first.disordered], budget=0.0,
        ),
        Figure(
            group="link", name=f"part of {SUSTAINED:,} frames/s that the link did not take",
            unit="%", samples=[100 * max(1 - first.reached / SUSTAINED, 0)], budget=1.0,
        ),
        Figure(
            group="link", name="highest tested rate without loss over links", unit="frames/s",
            samples=[highest(link)], against="a bare TCP forwarder", reference=[highest(bare)],
        ),
    ]  # fmt: skip
