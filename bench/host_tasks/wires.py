"""Measures how long frames take on virtual buses with a bitrate."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from bench.host_tasks.containers import Wanted, buses

_FRAME = struct.Struct("=IB3x8s")
_SO_TIMESTAMPNS, _TIME = 35, struct.Struct("ll")  # struct timespec
_PATIENCE = 3.0


def wires(
    root: Path, bitrates: list[int], payloads: list[str], frames: int, times: int
) -> dict[str, dict[str, list[float]]]:
    """Send frames as fast as possible on buses of different bitrates, and receive all of them.

    Args:
        root: The plugin's root file system.
        bitrates: Those of the buses, in bit/s.
        payloads: Payloads of frames in hex digits.
        frames: How many to send each time.
        times: How many times.

    Returns:
        By bitrate and payload, the seconds between the first frame and the last, by the
        kernel's time stamps.

    Raises:
        SystemExit: a frame was lost or doubled.
    """
    wanted = {
        str(bitrate): Wanted(2, options={"vxcan.kind": "virtual", "vxcan.bitrate": str(bitrate)})
        for bitrate in bitrates
    }
    taken: dict[str, dict[str, list[float]]] = {}
    with buses(root, wanted) as made:
        for name, bus in made.items():
            sender, receiver = bus.path()
            receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            receiver.settimeout(_PATIENCE)
            taken[name] = {
                payload: [_span(sender, receiver, payload, frames) for _ in range(times)]
                for payload in payloads
            }
            sender.close()
            receiver.close()
    return taken


def _span(sender: socket.socket, receiver: socket.socket, payload: str, frames: int) -> float:
    """Send a frame some times; return the seconds between the first and the last."""
    data = bytes.fromhex(payload)
    for _ in range(frames):
        sender.send(_FRAME.pack(0x123, len(data), data))
    stamps: list[float] = []
    while True:
        try:
            _, (*_, (_, _, stamp)), _, _ = receiver.recvmsg(16, 64)
        except TimeoutError:
            break
        whole, part = _TIME.unpack(stamp)
        stamps.append(whole + part / 1e9)
    if len(stamps) != frames:
        raise SystemExit(f"{len(stamps)} of {frames} frames were received")
    return stamps[-1] - stamps[0]
