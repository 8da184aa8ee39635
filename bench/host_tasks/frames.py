"""Measures frames: the cost of one, and where they are lost."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

from bench.host_tasks.mesh import make_mesh
from bench.host_tasks.processes import ip_batch, wipe

FRAME = struct.pack("=IB3x8s", 0x123, 8, b"evercan!")
SO_MEMINFO, DROPS = 55, 8


def send_from_each(ends: list[str]) -> None:
    """Send a frame from each of some container ends, which are still on the host."""
    ip_batch(*(f"link set {end} up" for end in ends))
    for end in ends:
        with socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender:
            sender.bind((end,))
            sender.send(FRAME)


def deliveries(ends: list[str]) -> int:
    """Send a frame from the first container end; return how many others received it once."""
    others = [socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) for _ in ends[1:]]
    for other, end in zip(others, ends[1:], strict=True):
        other.setblocking(False)
        other.bind((end,))
    send_from_each(ends[:1])
    time.sleep(1)
    received = sum(waiting(other) == 1 for other in others)
    for other in others:
        other.close()
    return received


def waiting(receiver: socket.socket) -> int:
    """Read what waits in a socket; return how many frames that were."""
    frames = 0
    while True:
        try:
            receiver.recv(16)
        except BlockingIOError:
            return frames
        frames += 1


def frames(
    root: Path, sizes: list[int], number: int, times: int
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Send frames from the first member, with evercan's flags of rules and those of older plugins.

    Returns:
        By number of members and by flags, one result for each repetition: rule evaluations per
        frame (handled and deleted by all rules), seconds per frame, and deliveries per frame at
        the last member.
    """
    del root
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for size in sizes:
        both = results.setdefault(str(size), {"own": [], "other": []})
        for _ in range(times):
            for flags, floods in both.items():
                make_mesh(size, echo_everywhere=flags == "other")
                floods.append(flood(f"c{size}", number))
    wipe()
    return results


def losses(root: Path, sizes: list[int], rates: list[int]) -> dict[str, list[dict[str, float]]]:
    """Measure where frames are lost between the first member and the last.

    Returns:
        By number of members: a flood to a socket that nothing reads, a flood to a program that
        reads, and the given rates to a program that reads. See ``send_and_count``.
    """
    del root
    results = {}
    for size in sizes:
        make_mesh(size)
        results[str(size)] = [
            send_and_count(f"c{size}", 0, 3000, reading=False),
            send_and_count(f"c{size}", 0, 3000),
            *[send_and_count(f"c{size}", rate, 2 * rate) for rate in rates],
        ]
    wipe()
    return results


def send_and_count(
    listener: str, rate: int, frames: int, *, reading: bool = True
) -> dict[str, float]:
    """Send frames to a process that receives with a buffer of the default size.

    Args:
        listener: The interface that it receives on.
        rate: Frames per second; 0 means as fast as possible.
        frames: How many to send.
        reading: Whether it reads at once, or only after all frames are sent.

    Returns:
        The requested rate and the one reached, frames sent and received, and frames dropped in
        the receiving socket and in the host's backlog.
    """
    before = backlog_drops()
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as receiver,
    ):
        sender.bind(("c1",))
        receiver.bind((listener,))
        read_end, write_end = os.pipe()
        child = os.fork() if reading else 0
        if reading and child == 0:
            os.write(write_end, json.dumps(receive(receiver)).encode())
            os._exit(0)
        started = time.perf_counter()
        for number in range(frames):
            if rate and number % 8 == 0:
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sender.send(FRAME)
        seconds = time.perf_counter() - started
        if reading:
            got, dropped = json.loads(os.read(read_end, 4096))
            os.waitpid(child, 0)
        else:
            got, dropped = receive(receiver)
        os.close(read_end)
        os.close(write_end)
    return {
        "requested": rate, "reached": frames / seconds, "sent": frames, "received": got,
        "socket": dropped, "backlog": backlog_drops() - before,
    }  # fmt: skip


def receive(receiver: socket.socket) -> tuple[int, int]:
    """Receive until nothing arrives for 2 s; return the frames received and those dropped."""
    receiver.settimeout(2)
    got = 0
    try:
        while True:
            receiver.recv(16)
            got += 1
    except TimeoutError:
        memory = receiver.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (DROPS + 1))
        return got, struct.unpack_from("=I", memory, 4 * DROPS)[0]


def backlog_drops() -> int:
    """Return how many packets the host's backlogs have dropped."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


def flood(listener: str, number: int) -> dict[str, float]:
    """Send frames without pauses; return their cost per frame."""
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as receiver,
    ):
        sender.bind(("c1",))
        receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        receiver.bind((listener,))
        receiver.settimeout(1)
        started = time.perf_counter()
        for _ in range(number):
            sender.send(FRAME)
        seconds = time.perf_counter() - started
        got = 0
        try:
            while got < 2 * number:
                receiver.recv(16)
                got += 1
        except TimeoutError:
            pass
    listed = subprocess.run(["cangw", "-L"], check=False, capture_output=True, text=True).stdout
    evaluations = 0
    for line in listed.splitlines():
        words = line.partition("#")[2].split()
        if len(words) >= 5:  # "N handled N dropped N deleted"
            evaluations += int(words[0]) + int(words[4])
    return {
        "evaluations": evaluations / number, "seconds": seconds / number, "delivered": got / number
    }  # fmt: skip
