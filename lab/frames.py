"""Counts deliveries: each member sends frames, and each other member must receive each one once.

This uses nothing of the plugin. Members send with ``cangen`` and receive with ``candump -L``;
received frames are counted by sender, kind and sequence number.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lab.errors import LabError
from tools.common.polling import attempts

if TYPE_CHECKING:
    from docker.models.containers import Container

    from lab.testbed import Testbed

_LINE = re.compile(
    r"\(\d+\.\d+\) +\S+ +(?P<id>[0-9A-F]+)(?P<kind>##?)(?P<data>[0-9A-F]*)", re.ASCII
)
_PROBE = 0x7F0
_BURST = 0x600
"""CAN id of the first member's frames; other ids are not counted."""
_TIMEOUT = 60.0
_POLL_SECONDS = 0.2

_QUIET_POLLS = 10
"""After so many polls without a new frame, missing frames are lost."""


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A frame that a member received.

    Attributes:
        can_id: Its CAN id, 11 bits.
        fd: Whether it is a CAN FD frame.
        data: Payload as hexadecimal digits; for counted frames a sequence number.
    """

    can_id: int
    fd: bool
    data: str


def parse_candump(text: str) -> list[ReceivedFrame]:
    """Read the lines of ``candump -L``; other lines are ignored."""
    return [
        ReceivedFrame(int(line["id"], 16), line["kind"] == "##", line["data"])
        for line in _LINE.finditer(text)
    ]


class Member(Protocol):
    """A member of the bus that can send frames and keeps the frames that it receives."""

    @property
    def name(self) -> str:
        """The member's name in messages."""
        ...

    def send(self, script: str) -> None:
        """Run a shell script in which ``$IF`` is the member's CAN interface."""
        ...

    def received(self) -> str:
        """Return everything that ``candump -L`` wrote."""
        ...


class ContainerMember:
    """A container whose main process is ``candump -L any``."""

    def __init__(self, container: Container, interface: str) -> None:
        """Take the container and the CAN interface's name inside it."""
        self._container = container
        self._interface = interface
        self.name = str(container.name)

    def send(self, script: str) -> None:
        """Run the script by ``docker exec``."""
        code, output = self._container.exec_run(
            ["sh", "-c", script], environment={"IF": self._interface}
        )
        if code:
            raise LabError(
                f"{self.name} cannot send: {output!r}", "see whether its interface is up"
            )

    def received(self) -> str:
        """Return the container's log."""
        return bytes(self._container.logs(stdout=True, stderr=False)).decode(errors="replace")


class HostMember:
    """The bus interface on the engine's host, with its own candump process."""

    def __init__(self, testbed: Testbed, interface: str) -> None:
        """Start to receive; ``close`` ends it."""
        self.name = f"host {interface}"
        self._testbed = testbed
        self._interface = interface
        self._process = testbed.host_process("candump", "-L", interface)
        self._reader = _Reader(self._process)

    def send(self, script: str) -> None:
        """Run the script on the host."""
        self._testbed.host("sh", "-c", f"IF={self._interface}; {script}")

    def received(self) -> str:
        """Return everything that candump wrote."""
        return self._reader.text()

    def close(self) -> None:
        """Stop receiving."""
        self._process.terminate()
        self._reader.join()
        with self._process:  # closes its pipes and waits for it
            pass


class _Reader:
    """Collects a process's standard output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._chunks: list[bytes] = []
        self._stream = process.stdout
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._stream is not None  # noqa: S101 - the testbed pipes it
        for line in self._stream:
            self._chunks.append(line)

    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")

    def join(self) -> None:
        self._thread.join(timeout=5)


@dataclass(slots=True)
class Deliveries:
    """How many frames were sent and delivered.

    Attributes:
        sent: Frames sent by all members.
        expected: Deliveries if each frame reaches each other member once.
        received: Deliveries, duplicates included.
        lost: Missing deliveries.
        doubled: Deliveries after the first one of each frame.
        problems: One line for each pair of members with lost or doubled frames.
        seconds: Time from the first probe until each member had received one.
    """

    sent: int = 0
    expected: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exactly_once(self) -> bool:
        """Whether every frame reached every other member exactly once."""
        return self.sent > 0 and not self.lost and not self.doubled

    def __str__(self) -> str:
        line = (
            f"{self.sent} frames sent, {self.received} of {self.expected} deliveries, "
            f"{self.lost} lost, {self.doubled} doubled"
        )
        return "\n  ".join([line, *self.problems])


def probe(members: Sequence[Member], timeout: float = _TIMEOUT) -> float:
    """Send probes from the first member until all others have received one; return the seconds.

    Afterwards it is certain that each member receives, not that each frame is delivered.

    Raises:
        TimeoutError: Names the members that received nothing.
    """
    sender, listeners = members[0], members[1:]
    token = f"{time.monotonic_ns() & 0xFFFF_FFFF:08X}"
    missing = list(listeners)
    started = time.monotonic()
    for _ in attempts(timeout, 0):
        sender.send(f"cansend $IF {_PROBE:03X}#{token}")
        time.sleep(0.1)
        missing = [member for member in missing if token not in member.received()]
        if not missing:
            return time.monotonic() - started
    names = ", ".join(member.name for member in missing)
    raise TimeoutError(f"{names} received nothing from {sender.name} within {timeout:.0f} s")


def count_deliveries(
    members: Sequence[Member],
    count: int = 10,
    *,
    fd: bool = True,
    gap_ms: int = 2,
    fd_options: str = "-f -L 8",
) -> Deliveries:
    """Let each member send ``count`` classic frames and as many FD frames; count the deliveries.

    Args:
        members: The members of the bus.
        count: Frames of each kind that each member sends.
        fd: Whether FD frames are sent too.
        gap_ms: Milliseconds between two frames of a member: an emulated controller can buffer
            only a few frames until its driver reads them.
        fd_options: Options of ``cangen`` for FD frames.
    """
    result = Deliveries(seconds=probe(members))
    before = [len(member.received()) for member in members]
    kinds = (False, True) if fd else (False,)
    for number, member in enumerate(members):
        # The member's own id and a payload that counts up make each frame unique.
        burst = f"cangen $IF -n {count} -I {_BURST + number:X} -D i -g {gap_ms}"
        bursts = [f"{burst} {fd_options if kind else '-L 8'}" for kind in kinds]
        member.send(" && ".join(bursts))
    result.sent = len(members) * count * len(kinds)
    result.expected = result.sent * (len(members) - 1)

    ids = range(_BURST, _BURST + len(members))

    def tallies() -> list[Counter[ReceivedFrame]]:
        return [
            Counter(
                frame for frame in parse_candump(member.received()[start:]) if frame.can_id in ids
            )
            for member, start in zip(members, before, strict=True)
        ]

    _settle(tallies, result.expected)
    _count(members, tallies(), count, kinds, result)
    return result


def _settle(tallies: Callable[[], list[Counter[ReceivedFrame]]], expected: int) -> None:
    """Wait until all frames or no more frames arrive, then a little longer for duplicates."""
    last, quiet = -1, 0
    for _ in attempts(_TIMEOUT, _POLL_SECONDS):
        total = sum(tally.total() for tally in tallies())
        quiet = quiet + 1 if total == last else 0
        last = total
        if total >= expected:
            quiet += _QUIET_POLLS // 2
        if quiet >= _QUIET_POLLS:
            return


def _count(
    members: Sequence[Member],
    received: Sequence[Counter[ReceivedFrame]],
    count: int,
    kinds: Sequence[bool],
    result: Deliveries,
) -> None:
    for source, sender in enumerate(members):
        for target, receiver in enumerate(members):
            if source == target:
                continue
            for fd in kinds:
                got = Counter(
                    {
                        frame: times
                        for frame, times in received[target].items()
                        if frame.can_id == _BURST + source and frame.fd is fd
                    }
                )
                lost, doubled = count - len(got), got.total() - len(got)
                result.received += got.total()
                result.lost += max(lost, 0)
                result.doubled += doubled
                if lost or doubled:
                    kind = "FD" if fd else "classic"
                    result.problems.append(
                        f"{sender.name} -> {receiver.name}, {kind}: {lost} lost, {doubled} doubled"
                    )
