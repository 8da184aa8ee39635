"""Sends frames at a rate, or receives them: ``python3 -m bench.link_tasks.load ROLE FD ...``.

A frame has 8 bytes of data: the time of the call that sent it, by the monotonic clock in ns. Its
CAN id, a 29-bit one, counts from 0.
"""

from __future__ import annotations

import array
import ctypes
import json
import socket
import struct
import sys
import time

FRAME = struct.Struct("=IBxxxQ")
EXTENDED = 0x80000000
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_SILENCE = 3.0
_TIMER_SLACK = 29  # PR_SET_TIMERSLACK


def send(bus: socket.socket, rate: float, count: int) -> dict[str, float]:
    """Send frames, each when it is due, or at once if that has passed.

    Args:
        bus: a socket of frames.
        rate: frames a second.
        count: of frames.

    Returns:
        ``rate``: what was reached.
    """
    ctypes.CDLL(None).prctl(_TIMER_SLACK, 1)
    clock = time.monotonic_ns
    interval = 1e9 / rate
    started = clock()
    for number in range(count):
        early = started + number * interval - clock()
        if early > 0:
            time.sleep(early / 1e9)
        bus.send(FRAME.pack(EXTENDED | number, 8, clock()))
    return {"rate": count / (clock() - started) * 1e9}


def receive(bus: socket.socket, skipped: int, count: int) -> dict[str, float]:
    """Receive frames until the last one, or until none comes.

    Args:
        bus: a socket of frames.
        skipped: frames at the start whose delay does not count.
        count: of frames that are sent.

    Returns:
        ``received``, ``disordered``: frames; delays in seconds by the name of their percentile.
    """
    delays = array.array("Q")
    received = disordered = 0
    last = -1
    bus.settimeout(30)  # until the first one
    clock = time.monotonic_ns
    while last < count - 1:
        try:
            can_id, _, sent = FRAME.unpack(bus.recv(16))
        except TimeoutError:
            break
        if not received:
            bus.settimeout(_SILENCE)
        number = can_id & ~EXTENDED
        received += 1
        disordered += number <= last
        last = number
        if number >= skipped:
            delays.append(clock() - sent)
    ordered = sorted(delays)
    result: dict[str, float] = {"received": received, "disordered": disordered}
    for name, part in PERCENTILES.items():
        result[name] = ordered[int(len(ordered) * part)] / 1e9 if ordered else float("inf")
    return result


def main() -> None:
    """Do what the arguments say; print the result as JSON."""
    role, number, *arguments = sys.argv[1:]
    bus = socket.socket(fileno=int(number))
    first, second = arguments
    work = {
        "send": lambda: send(bus, float(first), int(second)),
        "receive": lambda: receive(bus, int(first), int(second)),
    }
    print(json.dumps(work[role]()))


if __name__ == "__main__":
    main()
