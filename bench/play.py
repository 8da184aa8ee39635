"""Measures when the frames of a recording are sent, against the times in the recording.

The programs that send are those of ``evercan play``, one for the engine's own host and one for
the helper container. A pair of sockets is in place of the CAN bus; who receives judges the time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.figures import WIRE, Figure
from bench.link import undisturbed
from bench.link_tasks.load import EXTENDED, FRAME, PERCENTILES
from evercan.cli.access import player
from tests.support.links import Bus
from tools.common.checkout import ROOT
from tools.common.progress import report

BUDGET = 1.0
"""Milliseconds that 99 of 100 frames may be off their times."""

_LEAD = 1.0
_HARNESS = ROOT / "bench/play_tasks/play_harness.c"


def figures(quick: bool) -> list[Figure]:
    """Measure the program of the host and, if it can be compiled here, that of the container."""
    times, seconds = (1, 1.0) if quick else (5, 5.0)
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, undisturbed():
        for name, program in programs(Path(folder)):
            results = [play(program, WIRE, seconds, Path(folder)) for _ in range(times)]
            found += play_figures(name, results)
    return found


def programs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the start of the command line of each program that sends."""
    yield "from the host", [sys.executable, "-m", "bench.play_tasks.host_player"]
    compiler = shutil.which("gcc")
    if compiler is None:
        report("without gcc the program of the helper container is not measured")
        return
    made = folder / "evercan-play"
    subprocess.run([compiler, "-O2", "-o", made, _HARNESS], check=True)
    yield "from the helper container", [str(made)]


def play(program: list[str], rate: float, seconds: float, folder: Path) -> dict[str, float]:
    """Let a program play frames at a rate.

    Args:
        program: the start of its command line; the number of its socket is the last argument.
        rate: frames a second of the recording.
        seconds: how long the recording is.
        folder: for the recording.

    Returns:
        ``sent``, ``received``, ``disordered``: frames; by how many seconds frames were off their
        times, by the name of the percentile.
    """
    count = int(rate * seconds)
    start = time.monotonic_ns() // 1000 + int(_LEAD * 1e6)
    recording = folder / "records"
    recording.write_bytes(b"".join(_records(start, rate, count)))
    with closing(Bus()) as bus, recording.open("rb") as records:
        near, far = bus.theirs.fileno(), bus.ours.fileno()
        receiver = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.play_tasks.receiver", str(far)),
                *(str(start), str(rate), str(count)),
            ],
            cwd=ROOT,
            pass_fds=[far],
            stdout=subprocess.PIPE,
        )
        subprocess.run(
            [*program, str(near)],
            cwd=ROOT,
            pass_fds=[near],
            stdin=records,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        output, _ = receiver.communicate()
    return {"sent": count, **json.loads(output)}


def _records(start: int, rate: float, count: int) -> Iterator[bytes]:
    """Yield what the programs read: the start, and each frame with its time."""
    yield player.RECORD.pack(start, player.START, b"")
    for number in range(count):
        frame = FRAME.pack(EXTENDED | number, 8, number)
        yield player.RECORD.pack(int(number / rate * 1e6), player.CLASSIC, frame)


def play_figures(name: str, results: list[dict[str, float]]) -> list[Figure]:
    """Return by how much frames were off their times, and what was lost or disordered."""
    what = f"recording at {WIRE:,} frames/s played {name}"
    found = [
        Figure(
            group="play", name=f"{what}: off the time, {part}", unit="ms",
            samples=[result[part] * 1e3 for result in results],
            budget=BUDGET if part == "p99" else None,
        )
        for part in PERCENTILES
    ]  # fmt: skip
    wrong = [result["sent"] - result["received"] + result["disordered"] for result in results]
    found.append(
        Figure(
            group="play", name=f"{what}: frames lost or disordered", unit="frames",
            samples=wrong, budget=0.0,
        )
    )  # fmt: skip
    return found
