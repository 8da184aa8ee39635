"""Send CAN frames at given times: ``python3 player.py INTERFACE``.

This does on the engine's own host what ``evercan-play`` of the image evercan/can-tools does in
the helper container (build/evercan_play.c, which describes the records and the output). It is a
process of its own, which nothing else keeps from sending in time, and imports the standard
library alone.
"""

from __future__ import annotations

import errno
import gc
import socket
import struct
import sys
import time
from array import array
from typing import BinaryIO

RECORD = struct.Struct("=QQ72s")
"""Microseconds after the start, the frame's size, the frame."""

END = (1 << 64) - 1
"""The time of the record that is the last one, and has no frame."""

START, CLASSIC, FD = 0, 16, 72
"""Sizes: of no frame, in a record that sets the start; of ``struct can_frame``, ``canfd_frame``."""

_LEAD = 0.2
_PATIENCE = 1.0
_PAUSE = 0.0001
_STEP = 10
_STEPS = 100_000


class _Lateness:
    """Counts how late frames were, in microseconds."""

    def __init__(self) -> None:
        self._late = array("Q", bytes(8 * (_STEPS + 1)))
        self._sent = self._worst = 0

    def add(self, late: int) -> None:
        self._late[min(late // _STEP, _STEPS)] += 1
        self._worst = max(self._worst, late)
        self._sent += 1

    def report(self) -> None:
        step = below = 0
        while step < _STEPS:
            below += self._late[step]
            if below * 100 >= self._sent * 99:
                break
            step += 1
        late = step * _STEP if step < _STEPS else self._worst
        print(self._sent, late, self._worst, flush=True)


def play(records: BinaryIO, bus: socket.socket) -> None:
    """Send the frames of all records.

    Raises:
        OSError: a frame cannot be sent.
    """
    lateness = _Lateness()
    start = reported = 0.0
    print(time.monotonic_ns() // 1000, flush=True)
    try:
        while len(record := records.read(RECORD.size)) == RECORD.size:
            microseconds, size, frame = RECORD.unpack(record)
            if microseconds == END:
                break
            if size == START:
                start = microseconds / 1_000_000
                continue
            start = start or time.monotonic() + _LEAD
            due = start + microseconds / 1_000_000
            if (ahead := due - time.monotonic()) > 0:
                time.sleep(ahead)
            _send(bus, frame[:size])
            lateness.add(max(0, int((time.monotonic() - due) * 1_000_000)))
            if due > (reported or start) + 1:
                reported = due
                lateness.report()
    finally:
        lateness.report()


def _send(bus: socket.socket, frame: bytes) -> None:
    tried = time.monotonic()
    while True:
        try:
            bus.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS or time.monotonic() - tried > _PATIENCE:
                raise
            time.sleep(_PAUSE)
        else:
            return


def main() -> int:
    """Run it on the interface that the command line names."""
    gc.disable()
    try:
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as bus:
            bus.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
            bus.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, b"")
            bus.bind((sys.argv[1],))
            play(sys.stdin.buffer, bus)
    except OSError as error:
        print(f"{sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
