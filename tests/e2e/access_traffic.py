"""Sends frames in namespaces of a testbed's host, and counts what each member receives.

Runs on the host with its Python: ``python3 access_traffic.py < request.json``. A request has
``members``, by name the process whose network namespace it is in (0 for the host's own) and
its interface; ``send``, by name the frames that it sends, each ``[can_id, kind]`` with the
kind ``classic``, ``fd`` or ``remote``; and optionally

- ``rounds``: how often everything is sent (default 1),
- ``seconds``: for how long it is sent again and again instead,
- ``gap``: seconds between two frames (default 0.001),
- ``run``: commands that the host runs meanwhile, one after another,
- ``read_after``: whether frames wait in the sockets until all is sent, so that this program does
  not slow others down (default false).

The answer has by receiver how often each frame arrived, as ``{"can_id kind": times}``, and by
sender how often each was sent. Every frame carries its number, so that a copy is a copy.
``overflowed`` is how many frames the kernel dropped meanwhile, because too many waited for a
processor (``net.core.netdev_max_backlog``). By receiver there are

- ``double``: how many frames arrived more than once,
- ``spans``: seconds between the first and the last of each, by the kernel's time stamps,
- ``took``: the shortest and the longest time in seconds that a frame took,
- ``order``: the frames in the order of their arrival, except remote frames.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

_RAW, _ERR_FILTER, _FD_FRAMES = 101, 2, 5
_SO_RCVBUFFORCE = 33
_RTR = 0x4000_0000
_TIMESTAMPNS, _TIMESPEC = 35, struct.Struct("ll")


def _set_namespace(descriptor: int) -> None:
    """Enter a network namespace; ``os.setns`` is newer than the Python of Debian 12."""
    assert ctypes.CDLL(None).setns(descriptor, 0) == 0


def overflowed() -> int:
    """Return how many frames the kernel has dropped since boot because too many waited."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


class Member:
    """A socket on an interface in a namespace."""

    def __init__(self, pid: int, interface: str) -> None:
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        if pid:
            with Path(f"/proc/{pid}/ns/net").open() as namespace:
                _set_namespace(namespace.fileno())
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        _set_namespace(own)
        os.close(own)
        self.socket.setsockopt(_RAW, _FD_FRAMES, 1)
        self.socket.setsockopt(_RAW, _ERR_FILTER, 0x1FFF_FFFF)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
        self.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self.socket.bind((interface,))
        self.seen: Counter[tuple[int, str, bytes]] = Counter()
        self.times: dict[str, list[float]] = {}
        self.arrivals: list[tuple[str, int, float]] = []

    def send(self, can_id: int, kind: str, number: int) -> bool:
        data = struct.pack("<Q", number)
        remote = kind == "remote"
        head = struct.pack(
            "=IBBBB", can_id | (_RTR if remote else 0), 8, 1 if kind == "fd" else 0, 0, 0
        )
        try:
            self.socket.send(head + (data.ljust(64, b"\0") if kind == "fd" else data))
        except OSError:
            return False  # its interface is down, or its queue is full
        return True

    def receive(self) -> None:
        frame, ((_, _, stamp),), _, _ = self.socket.recvmsg(128, 64, socket.MSG_DONTWAIT)
        (can_id,) = struct.unpack_from("=I", frame)
        kind = "fd" if len(frame) > 16 else "remote" if can_id & _RTR else "classic"
        self.seen[can_id & ~_RTR, kind, b"" if kind == "remote" else frame[8:16]] += 1
        now = time.monotonic()
        name = f"{can_id & ~_RTR:08X} {kind}"
        seconds, part = _TIMESPEC.unpack(stamp)
        arrived = seconds + part / 1e9  # this program may read it later
        self.times.setdefault(name, [arrived, arrived])[1] = arrived
        if kind != "remote":
            self.arrivals.append((name, *struct.unpack_from("<Q", frame, 8), now))

    def took(self, sent_at: dict[int, float]) -> dict[str, tuple[float, float]]:
        times: dict[str, list[float]] = {}
        for name, number, at in self.arrivals:
            if number in sent_at:  # else it is corrupt
                times.setdefault(name, []).append(at - sent_at[number])
        return {name: (min(took), max(took)) for name, took in times.items()}


def listen(members: dict[str, Member], done: threading.Event) -> None:
    """Receive until nothing has come for a while after the end."""
    by_fd = {member.socket.fileno(): member for member in members.values()}
    poll = select.poll()
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    while (ready := poll.poll(300)) or not done.is_set():
        for fd, _ in ready:
            try:
                by_fd[fd].receive()
            except OSError:
                time.sleep(0.01)  # its interface went down


def main() -> None:
    """Answer the request on standard input."""
    request: dict[str, Any] = json.load(sys.stdin)
    members = {name: Member(*where) for name, where in request["members"].items()}
    sent: dict[str, Counter[str]] = {name: Counter() for name in request["send"]}
    done = threading.Event()
    overflowed_before = overflowed()
    listener = threading.Thread(target=listen, args=(members, done))
    if not request.get("read_after"):
        listener.start()
    commands = threading.Thread(
        target=lambda: [subprocess.run(argv, check=False) for argv in request.get("run", [])]
    )
    commands.start()
    begin, number, rounds = time.monotonic(), 0, 0
    sent_at: dict[int, float] = {}
    seconds = request.get("seconds")
    while (
        rounds < request.get("rounds", 1)
        if seconds is None
        else time.monotonic() - begin < seconds or commands.is_alive()
    ):
        rounds += 1
        for name, frames in request["send"].items():
            for can_id, kind in frames:
                number += 1
                sent_at[number] = time.monotonic()
                if members[name].send(can_id, kind, number):
                    sent[name][f"{can_id:08X} {kind}"] += 1
                time.sleep(request.get("gap", 0.001))
    commands.join()
    done.set()
    if request.get("read_after"):
        listener.start()
    listener.join()
    received: dict[str, Counter[str]] = {name: Counter() for name in members}
    for name, member in members.items():
        for (can_id, kind, _), times in member.seen.items():
            received[name][f"{can_id:08X} {kind}"] += times
    double = {
        name: sum(times > 1 for key, times in member.seen.items() if key[2])
        for name, member in members.items()
    }
    spans = {
        name: {frame: last - first for frame, (first, last) in member.times.items()}
        for name, member in members.items()
    }
    answer = {
        "received": received,
        "sent": sent,
        "overflowed": overflowed() - overflowed_before,
        "double": double,
        "spans": spans,
        "took": {name: member.took(sent_at) for name, member in members.items()},
        "order": {
            name: [frame for frame, *_ in member.arrivals] for name, member in members.items()
        },
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
