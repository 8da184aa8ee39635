"""Send frames at their times, on the engine's host.

The frames travel ahead of time to a program on that host, which waits for the time of each.
So neither this process nor the connection has an influence on their times.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass

from evercan.cli.access.host import HostAccess
from evercan.cli.access.player import CLASSIC, END, FD, RECORD
from evercan.cli.access.program import Program
from evercan.cli.errors import CliError
from evercan.cli.views.frame import Frame

_AHEAD = 2_000_000
"""Microseconds that frames are written before their time."""

_BLOCK = 64
"""Records that are written together."""

_WAIT = 0.05

_EXTENDED, _REMOTE = 0x80000000, 0x40000000
_CLASSIC = struct.Struct("=IBBBB8s")
_FD = struct.Struct("=IBBBB64s")

_REMEDIES = {
    "No buffer space": "no other node acknowledges the frames, or the bus is too slow for them: "
    "see 'evercan doctor'",
    "Network is down": "the bus interface is down: see 'evercan doctor'",
    "No such device": "the bus interface is missing: see 'evercan doctor'",
    "Invalid argument": "the bus interface carries no CAN FD frames; leave them out",
    "Message too long": "the bus interface carries no CAN FD frames; leave them out",
    "not supported": "run 'modprobe can-raw' on the host, then 'evercan doctor'",
}


@dataclass(frozen=True)
class Sent:
    """What was sent so far.

    Attributes:
        frames: the number of frames.
        late: microseconds by which 99 % of them were late at most.
        worst: microseconds by which one of them was late at most.
    """

    frames: int = 0
    late: int = 0
    worst: int = 0


Timed = tuple[int, Frame]
"""Microseconds after the start, and a frame."""


def send(
    host: HostAccess,
    interface: str,
    schedule: Iterable[Timed],
    report: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Send frames on an interface of the host at their times.

    Args:
        host: access to the host.
        interface: the interface.
        schedule: the frames in order of their times.
        report: called about once a second.

    Raises:
        CliError: a frame cannot be sent.
    """
    with closing(host.player(interface)) as program:
        return _Sending(program, interface, report).run(schedule)


class _Sending:
    """One program, and what it has reported."""

    def __init__(self, program: Program, interface: str, report: Callable[[Sent], None]) -> None:
        self._program, self._interface, self._report = program, interface, report
        self._sent = Sent()
        self._ended = threading.Event()

    def run(self, schedule: Iterable[Timed]) -> Sent:
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        with suppress(OSError):  # it has ended, and says why
            self._write(schedule)
        while not self._ended.wait(_WAIT):
            pass  # in short steps, so that Ctrl-C is noticed
        if failure := self._program.failure():
            words = failure.removeprefix(f"{self._interface}: ")
            remedy = next((text for part, text in _REMEDIES.items() if part in words), "")
            raise CliError(
                f"cannot send on {self._interface} after {self._sent.frames} frames: {words}",
                remedy or "start this again",
            )
        return self._sent

    def _read(self) -> None:
        for line in self._program.lines():
            numbers = line.split()
            if len(numbers) == 3 and all(map(str.isdecimal, numbers)):
                self._sent = Sent(*map(int, numbers))
                self._report(self._sent)
        self._ended.set()

    def _write(self, schedule: Iterable[Timed]) -> None:
        start, block = time.monotonic(), bytearray()
        for due, frame in schedule:
            if due - (time.monotonic() - start) * 1_000_000 > _AHEAD:
                self._flush(block)
                while (ahead := due - (time.monotonic() - start) * 1_000_000 - _AHEAD) > 0:
                    if self._ended.wait(min(ahead / 1_000_000, _WAIT)):
                        return
            block += record_of(due, frame)
            if len(block) >= _BLOCK * RECORD.size:
                self._flush(block)
            if self._ended.is_set():
                return
        block += RECORD.pack(END, 0, b"")
        self._flush(block)

    def _flush(self, block: bytearray) -> None:
        self._program.write(bytes(block))
        block.clear()


def record_of(due: int, frame: Frame) -> bytes:
    """Return the record of a frame for the program that sends it."""
    number = frame.can_id | (_EXTENDED if frame.extended else 0)
    if frame.fd:
        packed = _FD.pack(number, len(frame.data), frame.flags, 0, 0, frame.data)
        return RECORD.pack(due, FD, packed)
    number |= _REMOTE if frame.remote else 0
    packed = _CLASSIC.pack(number, frame.length, 0, 0, frame.raw_length, frame.data)
    return RECORD.pack(due, CLASSIC, packed)
