"""Counts frames that overtake others, while the sender moves between processors under load."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.host_tasks.containers import Bus, Wanted, buses
from bench.host_tasks.frames import FRAME
from bench.host_tasks.processes import ip_batch
from bench.host_tasks.references import Sockets, references

NUMBERED = struct.Struct("=IB3xQ")
"""A frame with its number."""

QUIET = 3.0
"""Seconds without a frame after which no more are expected."""
_STAY = 16
"""Frames that a sender sends before it moves to the next processor."""

_ONE_CPU = 'for queue in /sys/class/net/*/queues/rx-0/rps_cpus; do echo 1 > "$queue"; done'


def order(root: Path, members: int, frames: int) -> dict[str, dict[str, int]]:
    """Send numbered frames as fast as possible and count those that came too late.

    Args:
        root: The plugin's root file system.
        members: How many members the bus has.
        frames: How many frames to send each time.

    Returns:
        By path and sender, how many frames were received, and how many of them came after
        one that was sent later.
    """
    found = {}
    with buses(root, {"loaded": Wanted(members)}) as made, references() as compared, load():
        bus = made["loaded"]
        found["vcan, moving sender"] = inversions(compared["vcan"], frames, moving=True)
        found["pair, moving sender"] = inversions(compared["pair"], frames, moving=True)
        path = bus.path()
        found["bus, sender stays"] = inversions(path, frames, moving=False)
        found["bus, moving sender"] = inversions(path, frames, moving=True)
        receive_on_one_processor(bus)
        found["bus, moving sender, RPS"] = inversions(path, frames, moving=True)
        for opened in (*path, *(one for sockets in compared.values() for one in sockets)):
            opened.close()
    return found


@contextmanager
def load() -> Iterator[None]:
    """Keep every processor busy with frames on a vcan of its own."""
    busy = [start_flooding(processor) for processor in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for child in busy:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def start_flooding(processor: int) -> int:
    """Start a process that sends frames on one processor without end; return its id."""
    name = f"load{processor}"
    ip_batch(f"link add {name} type vcan", f"link set {name} up")
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {processor})
        with socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender:
            sender.bind((name,))
            while True:
                sender.send(FRAME)
    return child


def receive_on_one_processor(bus: Bus) -> None:
    """Let the first processor handle whatever an interface of the bus receives (RPS)."""
    subprocess.run(["sh", "-c", _ONE_CPU], check=True)
    bus.middle.run("sh", "-c", _ONE_CPU)


def inversions(path: Sockets, frames: int, *, moving: bool) -> dict[str, int]:
    """Send numbered frames; return how many were received, and how many too late."""
    sender, receiver = path
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, json.dumps(late(receiver)).encode())
        os._exit(0)
    processors = sorted(os.sched_getaffinity(0))
    for number in range(frames):
        if number % _STAY == 0 and (moving or number == 0):
            at = processors[number // _STAY % len(processors)]
            os.sched_setaffinity(0, {at})
        sender.send(NUMBERED.pack(0x123, 8, number))
    os.sched_setaffinity(0, processors)
    received, too_late = json.loads(os.read(read_end, 4096))
    os.waitpid(child, 0)
    os.close(read_end)
    os.close(write_end)
    return {"sent": frames, "received": received, "late": too_late}


def late(receiver: socket.socket) -> tuple[int, int]:
    """Receive until nothing arrives; return how many frames, and how many of them too late."""
    receiver.settimeout(QUIET)
    received, too_late, latest = 0, 0, -1
    while True:
        try:
            number = NUMBERED.unpack(receiver.recv(16))[2]
        except TimeoutError:
            return received, too_late
        received += 1
        too_late += number < latest
        latest = max(latest, number)
