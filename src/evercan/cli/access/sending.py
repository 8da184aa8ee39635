"""Send frames at their times, on the engine's host.

The frames travel ahead of time to a program on that host, which waits for the time of each.
So neither this process nor the connection has an influence on their times.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from evercan.cli.access.host import TIMEOUT, HostAccess
from evercan.cli.access.player import CLASSIC, END, FD, RECORD, START
from evercan.cli.access.program import Program
from evercan.cli.errors import CliError
from evercan.cli.views.frame import Frame

_AHEAD = 2_000_000
"""Microseconds that frames are written before their time."""

_BLOCK = 64
"""Records that are written together."""

_WAIT = 0.05
_MICRO = 1_000_000

_LEAD = 1.0
"""Seconds until programs start together, in which all of them must get to know."""

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

Directed = tuple[int, Frame, str]
"""The same, and the sender that sends it."""


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
        directed = ((due, frame, interface) for due, frame in schedule)
        return send_together({interface: program}, directed, report)


def send_together(
    programs: Mapping[str, Program],
    schedule: Iterable[Directed],
    report: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Send frames at their times by several programs on one host, which start at one moment.

    Args:
        programs: a program for each sender, as `HostAccess.player` returns it.
        schedule: the frames in order of their times.
        report: called about once a second.

    Raises:
        CliError: a frame cannot be sent.
    """
    return _Sending(programs, report).run(schedule)


class _Player:
    """A program, and what it has reported."""

    def __init__(self, sender: str, program: Program, report: Callable[[], None]) -> None:
        self.sender, self._program, self._report = sender, program, report
        self.sent = Sent()
        self.ahead: float | None = None
        """Seconds by which the host's clock is ahead of ours, or less; None until it starts."""
        self.ended = threading.Event()
        self._block = bytearray()
        self._checked = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._program.lines():
            numbers = line.split()
            if not numbers or not all(map(str.isdecimal, numbers)):
                continue
            if len(numbers) == 1:
                self.ahead = int(numbers[0]) / _MICRO - time.monotonic()
            elif len(numbers) == 3:
                self.sent = Sent(*map(int, numbers))
                self._report()
        self.ended.set()

    def add(self, record: bytes) -> None:
        self._block += record

    def flush(self) -> None:
        if self._block:
            self._program.write(bytes(self._block))
            self._block.clear()

    def check(self) -> None:
        """Raise the error that has ended it, if one has."""
        if self._checked:
            return
        self._checked = True
        if failure := self._program.failure():
            words = failure.removeprefix(f"{self.sender}: ")
            remedy = next((text for part, text in _REMEDIES.items() if part in words), "")
            raise CliError(
                f"cannot send on {self.sender} after {self.sent.frames} frames: {words}",
                remedy or "start this again",
            )


class _Sending:
    """The programs of one schedule."""

    def __init__(self, programs: Mapping[str, Program], report: Callable[[Sent], None]) -> None:
        self._players: dict[str, _Player] = {}
        for sender, program in programs.items():
            self._players[sender] = _Player(sender, program, lambda: report(self._sent))

    @property
    def _sent(self) -> Sent:
        """What all of them have sent: 99 % of all frames were late by the highest value at most."""
        sent = [player.sent for player in self._players.values()]
        return Sent(
            sum(part.frames for part in sent),
            max(part.late for part in sent),
            max(part.worst for part in sent),
        )

    def run(self, schedule: Iterable[Directed]) -> Sent:
        with suppress(OSError):  # one has ended, and says why
            if len(self._players) > 1:
                self._start_together()
            self._write(schedule)
        players = self._players.values()
        # In short steps, so that Ctrl-C is noticed. If one fails, the others wait for frames.
        while not all(player.ended.wait(_WAIT) for player in players):
            for player in players:
                if player.ended.is_set():
                    player.check()
        for player in players:
            player.check()
        return self._sent

    @property
    def _any_ended(self) -> bool:
        return any(player.ended.is_set() for player in self._players.values())

    def _start_together(self) -> None:
        """Set the moment at which all of them start."""
        waited = time.monotonic()
        while any(player.ahead is None for player in self._players.values()):
            if self._any_ended:
                return
            if time.monotonic() - waited > TIMEOUT:
                raise CliError(
                    "a program that sends frames does not start",
                    "see the engine's log (journalctl -u docker), and load the image "
                    "evercan/can-tools of this version",
                )
            time.sleep(_WAIT)
        ahead = max(player.ahead or 0.0 for player in self._players.values())
        start = int((time.monotonic() + ahead + _LEAD) * _MICRO)
        for player in self._players.values():
            player.add(RECORD.pack(start, START, b""))
            player.flush()

    def _write(self, schedule: Iterable[Directed]) -> None:
        start, waiting = time.monotonic(), 0
        for due, frame, sender in schedule:
            if due - (time.monotonic() - start) * _MICRO > _AHEAD:
                self._flush()
                waiting = 0
                while (ahead := due - (time.monotonic() - start) * _MICRO - _AHEAD) > 0:
                    if self._any_ended:
                        return
                    time.sleep(min(ahead / _MICRO, _WAIT))
            self._players[sender].add(record_of(due, frame))
            waiting += 1
            if waiting >= _BLOCK:
                self._flush()
                waiting = 0
            if self._any_ended:
                return
        for player in self._players.values():
            player.add(RECORD.pack(END, 0, b""))
        self._flush()

    def _flush(self) -> None:
        for player in self._players.values():
            player.flush()


def record_of(due: int, frame: Frame) -> bytes:
    """Return the record of a frame for the program that sends it."""
    number = frame.can_id | (_EXTENDED if frame.extended else 0)
    if frame.fd:
        packed = _FD.pack(number, len(frame.data), frame.flags, 0, 0, frame.data)
        return RECORD.pack(due, FD, packed)
    number |= _REMOTE if frame.remote else 0
    packed = _CLASSIC.pack(number, frame.length, 0, 0, frame.raw_length, frame.data)
    return RECORD.pack(due, CLASSIC, packed)
