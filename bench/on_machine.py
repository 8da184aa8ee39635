"""What can be measured on this machine: start, memory, size, and turns on the fake kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure
from tools import plugin

HERE = Path(__file__).parent
COLD = "; its files not in the page cache"
SLOW = "; a quarter of one core"


@contextmanager
def root() -> Iterator[Path]:
    """Copy the built plugin's root file system, with the plain daemon beside it."""
    with tempfile.TemporaryDirectory(prefix="evercan-bench-", dir="/var/tmp") as folder:
        copy = Path(folder, "rootfs")
        shutil.copytree(plugin.PLUGIN / "rootfs", copy, symlinks=True)
        shutil.copy(HERE / "plain.py", copy / "tmp/plain.py")
        yield copy


def caged(where: Path, tasks: list[dict[str, Any]]) -> list[dict[str, list[float]]]:
    """Run tasks of ``cage`` in a root file system, in a mount namespace of its own."""
    mine = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    )
    script = (
        'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec "$1" "$2" "$0" "$3"'
    )
    done = subprocess.run(
        [*mine, "sh", "-c", script, where, sys.executable, HERE / "cage.py", json.dumps(tasks)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def start_figures(seen: dict[str, list[float]], where: str, told: bool = False) -> list[Figure]:
    """Make the two lines of a start out of its seconds.

    Args:
        seen: what ``cage.start`` returned.
        where: under which circumstances, in words.
        told: leave out the budgets.
    """

    def ms(name: str) -> list[float]:
        return [each * 1e3 for each in seen[name]]

    return [
        Figure(
            group="start", name=f"exec to socket accepts{where}", unit="ms",
            samples=ms("accepts"), against="a bare interpreter", reference=ms("bare"),
            budget=None if told else 3.0,
        ),
        Figure(
            group="start", name=f"exec to first answer{where}", unit="ms",
            samples=ms("answers"), against="written plainly", reference=ms("plain answers"),
            budget=None if told else 0.5,
        ),
    ]  # fmt: skip


def start(quick: bool) -> list[Figure]:
    """Measure the start: warm, cold, and on a slow core."""
    times = 3 if quick else 15
    tasks: list[dict[str, Any]] = [{"task": "start", "times": times}]
    if not quick:
        tasks += [{"task": "start", "times": 7, "cold": True}]
        tasks += [{"task": "start", "times": 7, "slow": 3}]
    with root() as where:
        seen = caged(where, tasks)
    figures = []
    for each, words in zip(seen, ("", COLD, SLOW), strict=False):
        figures += start_figures(each, words)
    return figures


def memory(quick: bool) -> list[Figure]:
    """Measure what stays resident, idle."""
    with root() as where:
        (seen,) = caged(where, [{"task": "memory", "times": 1 if quick else 5}])
    mine, plain = ([each / 1024 for each in seen[name]] for name in ("ours", "plain"))
    return [
        Figure(group="memory", name="resident, idle", unit="MB", samples=mine, budget=35.0),
        Figure(
            group="memory", name="resident, idle", unit="MB", samples=mine,
            against="written plainly", reference=plain, budget=0.7,
        ),
    ]  # fmt: skip


def size(quick: bool) -> list[Figure]:
    """Measure the root file system; build it twice from nothing unless there is no time."""
    built = plugin.build()
    figures = [
        Figure(
            group="size", name="root file system, uncompressed", unit="MB",
            samples=[built.size / 1e6], budget=70.0,
        )
    ]  # fmt: skip
    if not quick:
        contents = {built.content}
        for _ in range(2):
            plugin.LAST_BUILD.unlink()
            contents.add(plugin.build(from_scratch=True).content)
        figures.append(
            Figure(
                group="size", name="contents of three builds, two without any cache", unit="hashes",
                samples=[len(contents)], budget=1.0,
            )
        )  # fmt: skip
    return figures
