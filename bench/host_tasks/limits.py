"""Measures what limits of the sender add to the time that sending a frame takes."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

from bench.host_tasks.containers import Wanted, buses
from bench.host_tasks.frames import waiting

_FRAME = struct.Struct("=IB3x8s")
_EXTENDED = 0x8000_0000
_SETTLE = 0.2
_ABOVE_ANY = "1000000"
"""A rate, in frames per second, that no sender reaches."""


def limits(root: Path, lists: list[int], frames: int, times: int) -> dict[str, list[float]]:
    """Send bursts from members with different limits, alternately, and receive every frame.

    Args:
        root: The plugin's root file system.
        lists: How many ids the lists have.
        frames: How many frames a burst has.
        times: How many bursts each member sends.

    Returns:
        By the limits of the sender, in words, the seconds per frame of each burst. ``none`` is
        the reference.

    Raises:
        SystemExit: a frame was lost, doubled, or passed a list that denies it.
    """
    senders = _senders(lists)
    wanted = {name: Wanted(2, options) for name, (options, _, _) in senders.items()}
    taken: dict[str, list[float]] = {name: [] for name in senders}
    with buses(root, wanted) as made:
        paths = {name: bus.path() for name, bus in made.items()}
        for _, receiver in paths.values():
            receiver.setblocking(False)
        for _ in range(times):
            for name, (_, can_id, allowed) in senders.items():
                sender, receiver = paths[name]
                taken[name].append(_burst(sender, _FRAME.pack(can_id, 8, b"evercan!"), frames))
                time.sleep(_SETTLE)
                if (got := waiting(receiver)) != (frames if allowed else 0):
                    raise SystemExit(f"limits {name}: {got} of {frames} frames were received")
        for opened in (one for path in paths.values() for one in path):
            opened.close()
    return taken


def _senders(lists: list[int]) -> dict[str, tuple[dict[str, str], int, bool]]:
    """Return the options of each sender, the id that it sends, and whether that is allowed.

    A list ends with the id that is sent.
    """
    senders: dict[str, tuple[dict[str, str], int, bool]] = {"none": ({}, 0x123, True)}
    for size in lists:
        standard, extended = range(0x100, 0x100 + size), range(0x18FF_0000, 0x18FF_0000 + size)
        senders[f"a list of {size} 11-bit ids"] = (
            {"vxcan.send": ",".join(f"{one:03X}" for one in standard)}, standard[-1], True
        )  # fmt: skip
        senders[f"a list of {size} 29-bit ids"] = (
            {"vxcan.send": ",".join(f"{one:08X}" for one in extended)},
            extended[-1] | _EXTENDED,
            True,
        )
    senders["a rate"] = (
        {"vxcan.send-rate": _ABOVE_ANY, "vxcan.send-burst": _ABOVE_ANY}, 0x123, True
    )  # fmt: skip
    senders["a list that denies the frame"] = ({"vxcan.send": "124"}, 0x123, False)
    return senders


def _burst(sender: socket.socket, frame: bytes, frames: int) -> float:
    """Send a frame some times; return the seconds for each."""
    started = time.perf_counter()
    for _ in range(frames):
        sender.send(frame)
    return (time.perf_counter() - started) / frames
