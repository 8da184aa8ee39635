"""Measures the delay of a frame: from the call that sends it until it was received."""

from __future__ import annotations

import time
from pathlib import Path

from bench.host_tasks.containers import buses
from bench.host_tasks.frames import FRAME
from bench.host_tasks.references import Sockets, references

PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_PAUSE = 0.001


def delays(root: Path, sizes: list[int], number: int) -> dict[str, dict[str, float]]:
    """Send frames from container to container and over the references, alternately.

    One program sends and receives: the delay is that of the kernel, and no program has to wake
    up for it.

    Args:
        root: The plugin's root file system.
        sizes: The numbers of members of the buses.
        number: How many frames to send over each.

    Returns:
        By path (``vcan``, ``pair``, or a number of members), seconds by percentile.
    """
    with buses(root, sizes) as made, references() as compared:
        paths = compared | {str(size): bus.path() for size, bus in made.items()}
        for _, receiver in paths.values():
            receiver.settimeout(2)
        measured: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(number):
            for name, path in paths.items():
                time.sleep(_PAUSE)
                measured[name].append(delay(path))
        for opened in (one for path in paths.values() for one in path):
            opened.close()
    return {name: percentiles(seconds) for name, seconds in measured.items()}


def delay(path: Sockets) -> float:
    """Return the seconds of one frame."""
    sender, receiver = path
    started = time.perf_counter()
    sender.send(FRAME)
    receiver.recv(16)
    return time.perf_counter() - started


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the percentiles of some delays."""
    ordered = sorted(seconds)
    return {name: ordered[int(len(ordered) * part)] for name, part in PERCENTILES.items()}
