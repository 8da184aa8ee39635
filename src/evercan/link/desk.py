"""A program that takes part in a bus of other hosts and has no bus of its own."""

from __future__ import annotations

import queue
import re
import secrets
import socket
import time
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

from evercan.link.clock import Ping
from evercan.link.diagnosis import why_unconnected
from evercan.link.members import Members
from evercan.link.message import MalformedMessage, decode, encode
from evercan.link.names import LinkId, is_name
from evercan.link.settings import endpoint
from evercan.link.zenoh_config import session_config
from evercan.link.zenoh_session import CannotOpen, Network, open_session

MOST_WAITING = 16384
"""Frames that wait for the program; newer ones are dropped and counted as failed."""

_FIRST_LINK_SECONDS = 5.0


class CannotJoin(OSError):  # noqa: N818 - reads as the fact that it states
    """The bus cannot be reached; the text says why and what to do."""


class Received(NamedTuple):
    """A frame of another host.

    Attributes:
        host: the host's name.
        time: when it arrived, in seconds since 1970.
        frame: as the kernel has it, 16 or 72 bytes.
    """

    host: str
    time: float
    frame: bytes


class Desk:
    """A member of a bus through a link: a host of its own, with what it sends and receives.

    Attributes:
        members: the links of the bus, with the counts of what was received.
    """

    def __init__(
        self,
        bus: str,
        connect: str,
        *,
        host: str = "",
        certificates: Path | None = None,
        deadline: float = 0.1,
    ) -> None:
        """Join a bus.

        Args:
            bus: its name.
            connect: address of a link.
            host: a name that no other host has; by default this machine's with a number.
            certificates: folder with ca.pem, link.pem and link.key; None without TLS.
            deadline: seconds after which a frame is too old.

        Raises:
            CannotJoin: a value is wrong, or no link of that bus answers.
        """
        host = (
            host or f"{re.sub('[^A-Za-z0-9-]', '-', socket.gethostname())}-{secrets.token_hex(2)}"
        )
        for name, value in (("bus", bus), ("host", host)):
            if not is_name(value):
                raise CannotJoin(f"{name} {value!r} is no name; use letters, digits, '-', '_', '.'")
        try:
            target = endpoint(connect, encrypted=certificates is not None)
        except ValueError as error:
            raise CannotJoin(f"address {connect!r} {error}") from error
        own = LinkId(host, time.monotonic_ns(), secrets.randbits(32))
        self.members = Members(own, int(deadline * 1e9))
        self._frames: queue.Queue[Received] = queue.Queue(MOST_WAITING)
        self._lock = Lock()
        self._next = 0
        self._failure: Exception | None = None
        self._closed = Event()
        self._linked = Event()
        try:
            session = open_session(
                session_config(connect=[target], certificates=certificates, client=True)
            )
        except CannotOpen as error:
            cause = why_unconnected(target, certificates)
            raise CannotJoin(f"{cause.text}; {cause.remedy}" if cause else str(error)) from error
        self._network = Network(session, bus, own, self._fail)
        self._network.start(self._received, self._joined, self.members.left)
        if not self._linked.wait(_FIRST_LINK_SECONDS):
            self.close()
            raise CannotJoin(f"no host of bus {bus} is linked at {target}; check the bus's name")
        Thread(target=self._watch, daemon=True).start()

    def receive(self, timeout: float | None) -> Received | None:
        """Return the next frame; None if there is none within some seconds (None: wait).

        Raises:
            RuntimeError: receiving has ended, because of a bug.
        """
        if self._failure:
            raise RuntimeError("evercan has stopped to receive") from self._failure
        try:
            return self._frames.get(timeout=timeout)
        except queue.Empty:
            return None

    def send(self, frame: bytes) -> None:
        """Send a frame to all hosts.

        Args:
            frame: as the kernel has it, 16 or 72 bytes.
        """
        with self._lock:
            self._put((frame,))

    def close(self) -> None:
        """Leave the bus."""
        self._closed.set()
        self._network.close()

    def _fail(self, error: Exception) -> None:
        self._failure = error

    def _put(self, frames: tuple[bytes, ...]) -> None:
        epoch = self.members.own.epoch
        self._network.send(encode(epoch, self._next, time.monotonic_ns(), frames))
        self._next += len(frames)

    def _received(self, host: str, data: bytes) -> None:
        if host == self.members.own.host:
            return
        try:
            message = decode(data)
        except MalformedMessage:
            return
        with self._lock:
            stream = self.members.stream(host, message.epoch)
            if stream is None:
                return
            for frame in stream.accept(message, time.monotonic_ns())[0]:
                try:
                    self._frames.put_nowait(Received(host, time.time(), frame))
                    stream.counts.delivered += 1
                except queue.Full:
                    stream.counts.failed += 1

    def _joined(self, link: LinkId) -> None:
        self.members.joined(link)
        if link.host != self.members.own.host:
            self._linked.set()
            self._network.ping(link, self._answered)

    def _answered(self, link: LinkId, ping: Ping) -> None:
        with self._lock:
            stream = self.members.stream(link.host, link.epoch)
            if stream:
                stream.clock.add(ping)

    def _watch(self) -> None:
        """Each second ping the other links, and send the next sequence number."""
        while not self._closed.wait(1):
            with self._lock:
                self._put(())
            for link in self.members.others():
                self._network.ping(link, self._answered)
