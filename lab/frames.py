"""The judge: every member sends, every other member must hold each frame exactly once.

It knows nothing of the plugin. Members send with ``cangen`` and listen with
``candump -L any``; what they heard is counted by sender, kind and sequence.
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

if TYPE_CHECKING:
    from docker.models.containers import Container

    from lab.testbed import Testbed

_LINE = re.compile(
    r"\(\d+\.\d+\) +\S+ +(?P<id>[0-9A-F]+)(?P<kind>##?)(?P<data>[0-9A-F]*)", re.ASCII
)
_PROBE = 0x7F0
_BURST = 0x600
"""CAN id of the first member's frames in a judgement; other traffic may go on beside it."""
_PATIENCE = 20.0

_STILL = 10
"""Looks, 0.2 s apart, without another frame: then those that are missing are lost."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as a listener wrote it down.

    Attributes:
        can_id: its CAN id, 11 bits.
        fd: CAN FD.
        data: payload as hex digits; the judge's frames count up in it.
    """

    can_id: int
    fd: bool
    data: str


def parse_candump(text: str) -> list[Frame]:
    """Read the lines of ``candump -L``; whatever else is in the text is passed over."""
    return [
        Frame(int(each["id"], 16), each["kind"] == "##", each["data"])
        for each in _LINE.finditer(text)
    ]


class Member(Protocol):
    """A place on the bus that can send, and remembers what it heard."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def send(self, script: str) -> None:
        """Run a shell script in which ``$IF`` is the member's CAN interface."""
        ...

    def heard(self) -> str:
        """Return all that ``candump -L`` wrote so far."""
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
            raise RuntimeError(f"{self.name} could not send: {output!r}")

    def heard(self) -> str:
        """Return the container's log."""
        return bytes(self._container.logs(stdout=True, stderr=False)).decode(errors="replace")


class HostMember:
    """The bus interface on the engine's host, with a candump of its own."""

    def __init__(self, testbed: Testbed, interface: str) -> None:
        """Start listening; ``close`` ends it."""
        self.name = f"host {interface}"
        self._testbed = testbed
        self._interface = interface
        self._process = testbed.host_process("candump", "-L", interface)
        self._reader = _Reader(self._process)

    def send(self, script: str) -> None:
        """Run the script on the host."""
        self._testbed.host("sh", "-c", f"IF={self._interface}; {script}")

    def heard(self) -> str:
        """Return what candump wrote so far."""
        return self._reader.text()

    def close(self) -> None:
        """Stop listening."""
        self._process.terminate()
        self._reader.join()
        with self._process:  # closes its pipes and waits for it
            pass


class _Reader:
    """Reads a process's stdout as it comes."""

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
class Verdict:
    """What became of the frames.

    Attributes:
        sent: frames sent, all members together.
        expected: deliveries that exactly once asks for.
        received: deliveries seen, doubles included.
        lost: deliveries that are missing.
        doubled: deliveries beyond the first of each frame.
        faults: one line for each pair of members that has any.
        seconds: from the first probe until every member had heard one.
    """

    sent: int = 0
    expected: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    faults: list[str] = field(default_factory=list)
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
        return "\n  ".join([line, *self.faults])


def wait_until(true: Callable[[], bool], patience: float, what: str) -> float:
    """Poll until something is true; return the seconds it took.

    Raises:
        TimeoutError: it did not become true; says what was waited for.
    """
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > patience:
            raise TimeoutError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.2)
    return time.monotonic() - begun


def probe(members: Sequence[Member], patience: float = _PATIENCE) -> float:
    """Send probes until every other member hears the first; return the seconds it took.

    It proves that every listener listens, not that the bus is right.

    Raises:
        TimeoutError: names the members that heard nothing.
    """
    sender, listeners = members[0], members[1:]
    token = f"{time.monotonic_ns() & 0xFFFF_FFFF:08X}"
    deaf = list(listeners)
    begun = time.monotonic()
    while deaf:
        sender.send(f"cansend $IF {_PROBE:03X}#{token}")
        time.sleep(0.1)
        deaf = [each for each in deaf if token not in each.heard()]
        if deaf and time.monotonic() - begun > patience:
            names = ", ".join(each.name for each in deaf)
            raise TimeoutError(f"{names} heard nothing from {sender.name} in {patience:.0f} s")
    return time.monotonic() - begun


def judge(
    members: Sequence[Member], count: int = 10, *, fd: bool = True, gap_ms: int = 2
) -> Verdict:
    """Let every member send ``count`` classic and as many FD frames, and count deliveries.

    Frames of one member are ``gap_ms`` milliseconds apart: an emulated controller
    holds few that its driver has not fetched yet.
    """
    verdict = Verdict(seconds=probe(members))
    before = [len(member.heard()) for member in members]
    kinds = (False, True) if fd else (False,)
    for number, member in enumerate(members):
        # A payload that counts up and an id of its own tell every frame apart.
        burst = f"cangen $IF -n {count} -I {_BURST + number:X} -L 8 -D i -g {gap_ms}"
        bursts = [f"{burst}{' -f' if kind else ''}" for kind in kinds]
        member.send(" && ".join(bursts))
    verdict.sent = len(members) * count * len(kinds)
    verdict.expected = verdict.sent * (len(members) - 1)

    ids = range(_BURST, _BURST + len(members))

    def tallies() -> list[Counter[Frame]]:
        return [
            Counter(each for each in parse_candump(member.heard()[start:]) if each.can_id in ids)
            for member, start in zip(members, before, strict=True)
        ]

    _settle(tallies, verdict.expected)
    _count(members, tallies(), count, kinds, verdict)
    return verdict


def _settle(tallies: Callable[[], list[Counter[Frame]]], expected: int) -> None:
    """Wait until all has arrived or nothing more does, and then for doubles to show."""
    last, still, until = -1, 0, time.monotonic() + _PATIENCE
    while still < _STILL and time.monotonic() < until:
        time.sleep(0.2)
        total = sum(sum(each.values()) for each in tallies())
        still = still + 1 if total == last else 0
        last = total
        if total >= expected:
            still += _STILL // 2


def _count(
    members: Sequence[Member],
    heard: Sequence[Counter[Frame]],
    count: int,
    kinds: Sequence[bool],
    verdict: Verdict,
) -> None:
    for source, sender in enumerate(members):
        for target, receiver in enumerate(members):
            if source == target:
                continue
            for fd in kinds:
                got = Counter(
                    {
                        frame: times
                        for frame, times in heard[target].items()
                        if frame.can_id == _BURST + source and frame.fd is fd
                    }
                )
                lost, doubled = count - len(got), got.total() - len(got)
                verdict.received += got.total()
                verdict.lost += max(lost, 0)
                verdict.doubled += doubled
                if lost or doubled:
                    kind = "FD" if fd else "classic"
                    verdict.faults.append(
                        f"{sender.name} -> {receiver.name}, {kind}: {lost} lost, {doubled} doubled"
                    )
