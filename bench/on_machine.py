"""Measures on this machine: start, memory and size."""

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
COLD = ", files not in the page cache"
SLOW = ", on a quarter of a core"


@contextmanager
def root() -> Iterator[Path]:
    """Copy the built plugin's root file system, and the plain daemon into it."""
    with tempfile.TemporaryDirectory(prefix="evercan-bench-", dir="/var/tmp") as folder:
        copy = Path(folder, "rootfs")
        shutil.copytree(plugin.PLUGIN / "rootfs", copy, symlinks=True)
        shutil.copy(HERE / "plain_daemon.py", copy / "tmp/plain_daemon.py")
        yield copy


def run_in_rootfs(where: Path, tasks: list[dict[str, Any]]) -> list[dict[str, list[float]]]:
    """Run tasks of ``in_rootfs`` in a root file system, in a mount namespace of its own."""
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    )
    script = (
        'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec "$1" "$2" "$0" "$3"'
    )
    done = subprocess.run(
        [
            *unshare,
            "sh",
            "-c",
            script,
            where,
            sys.executable,
            HERE / "in_rootfs.py",
            json.dumps(tasks),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def start_figures(
    seconds: dict[str, list[float]], conditions: str, *, with_budgets: bool = True
) -> list[Figure]:
    """Return the two figures of a start.

    Args:
        seconds: The result of ``in_rootfs.start``.
        conditions: The conditions of the measurement, to append to the names.
        with_budgets: Whether the figures have budgets.
    """

    def ms(name: str) -> list[float]:
        return [sample * 1e3 for sample in seconds[name]]

    return [
        Figure(
            group="start", name=f"from exec to a listening socket{conditions}", unit="ms",
            samples=ms("accepts"), against="a bare interpreter", reference=ms("bare"),
            budget=None if not with_budgets else 3.0,
        ),
        Figure(
            group="start", name=f"from exec to the first answer{conditions}", unit="ms",
            samples=ms("answers"), against="the plain daemon", reference=ms("plain answers"),
            budget=None if not with_budgets else 0.42,
        ),
    ]  # fmt: skip


def start(quick: bool) -> list[Figure]:
    """Measure the start: with cached files, without, and on a slow core."""
    times = 3 if quick else 15
    tasks: list[dict[str, Any]] = [{"task": "start", "times": times}]
    if not quick:
        tasks += [{"task": "start", "times": 7, "cold": True}]
        tasks += [{"task": "start", "times": 7, "slow": 3}]
    with root() as where:
        results = run_in_rootfs(where, tasks)
    figures = []
    for seconds, conditions in zip(results, ("", COLD, SLOW), strict=False):
        figures += start_figures(seconds, conditions)
    return figures


def memory(quick: bool) -> list[Figure]:
    """Measure the resident memory of an idle daemon."""
    with root() as where:
        (sizes,) = run_in_rootfs(where, [{"task": "memory", "times": 1 if quick else 5}])
    daemon, plain = ([size / 1024 for size in sizes[name]] for name in ("daemon", "plain"))
    return [
        Figure(
            group="memory", name="resident memory, idle", unit="MB", samples=daemon, budget=35.0
        ),
        Figure(
            group="memory", name="resident memory, idle", unit="MB", samples=daemon,
            against="the plain daemon", reference=plain, budget=0.7,
        ),
    ]  # fmt: skip


def size(quick: bool) -> list[Figure]:
    """Measure the root file system; without ``quick`` build it twice from scratch, too."""
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
                group="size", name="distinct contents of three builds, two without a cache",
                unit="", samples=[len(contents)], budget=1.0,
            )
        )  # fmt: skip
    return figures
