"""Judges played frames: ``python3 -m bench.play_tasks.receiver FD START RATE COUNT``.

START is the time of the first frame, in microseconds of the monotonic clock. The frames'
CAN ids, 29-bit ones, count from 0.
"""

from __future__ import annotations

import array
import json
import socket
import sys
import time

from bench.link_tasks.load import EXTENDED, FRAME, PERCENTILES

_SILENCE = 5.0


def receive(bus: socket.socket, start: int, rate: float, count: int) -> dict[str, float]:
    """Receive frames until the last one, or until none comes.

    Returns:
        ``received``, ``disordered``: frames; by how many seconds they were off their times, by
        the name of the percentile.
    """
    off = array.array("d")
    disordered, last = 0, -1
    bus.settimeout(_SILENCE)
    while last < count - 1:
        try:
            can_id, _, _ = FRAME.unpack(bus.recv(FRAME.size))
        except TimeoutError:
            break
        came = time.monotonic_ns() / 1e3
        number = can_id & ~EXTENDED
        disordered += number <= last
        last = max(last, number)
        off.append(abs(came - start - int(number / rate * 1e6)) / 1e6)
    ordered = sorted(off)
    result: dict[str, float] = {"received": len(off), "disordered": disordered}
    for name, part in PERCENTILES.items():
        result[name] = ordered[int(len(ordered) * part)] if ordered else float("inf")
    return result


if __name__ == "__main__":
    number, start, rate, count = sys.argv[1:]
    bus = socket.socket(fileno=int(number))
    print(json.dumps(receive(bus, int(start), float(rate), int(count))))
