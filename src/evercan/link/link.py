"""Composes a link: its threads, and what they share."""

from __future__ import annotations

import logging
import os
import secrets
import time
import traceback
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import NoReturn

from evercan.link.can_socket import Batch, CanSocket, NoInterface, OpenCan
from evercan.link.clock import Ping
from evercan.link.connections import Connections
from evercan.link.diagnosis import Problem
from evercan.link.members import Members
from evercan.link.message import MalformedMessage, decode, encode
from evercan.link.names import LinkId
from evercan.link.outbox import Outbox
from evercan.link.report import ACTIVE, STANDBY, STARTING, Report, Sent
from evercan.link.settings import Settings
from evercan.link.zenoh_session import Network, Session

SETTLE = 0.5
"""Seconds after the start in which a link is quiet, until it knows of older links of its host."""

HEARTBEAT = 1.0
"""Seconds of silence after which a link sends its next sequence number.

So the loss of its last frames is counted soon.
"""

_STALLED = 10.0
_REOPEN = 0.2
_FORGET = 60.0
_log = logging.getLogger("evercan.link")


def new_link_id(host: str) -> LinkId:
    """Return the id of this run of the program."""
    since = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return LinkId(host, since, secrets.randbits(32))


class Link:
    """One link between a bus and the same bus of other hosts."""

    def __init__(self, settings: Settings, own: LinkId, session: Session) -> None:
        """Take how to run, what identifies the link, and the way to the others."""
        bus = settings.bus
        self._bus, self._own, self._rate = bus, own, settings.rate
        self._network = Network(session, bus, own, _end_process)
        self._members = Members(own, settings.deadline, settings.rate)
        self._members_lock = Lock()
        self._outbox = Outbox(settings.playout)
        self._sent = Sent()
        self._can_problem: Problem | None = Problem("no CAN interface is open yet", "wait")
        self._connections = Connections(settings)
        self._limited: set[str] = set()
        self._settled = Event()

    def run(self, open_can: OpenCan, stop: Event) -> None:
        """Run the link until ``stop`` is set.

        Args:
            open_can: opens the CAN socket, again after an interface has gone.
            stop: set to end it.
        """
        self._network.start(self._received, self._joined, self._left)
        for work in (
            lambda: self._read_can(open_can),
            self._outbox.run,
            self._watch,
        ):
            Thread(target=_run, args=(work,), daemon=True).start()
        if not stop.wait(SETTLE):
            self._settled.set()
            if older := self._members.older:
                _log.warning("another link works for host %s (%s); standby", older.host, self._bus)
            stop.wait()
        self._network.close()

    def report(self) -> Report:
        """Return the state of this moment."""
        problems = [
            *([self._can_problem] if self._can_problem else []),
            *self._connections.problems,
        ]
        if self._stalled() > 1:
            problems.append(Problem("the session with Zenoh does not take messages", "wait"))
        return Report(
            bus=self._bus,
            members=self._members,
            state=self._state(),
            sent=self._sent,
            waiting=len(self._outbox),
            connections=len(self._connections.connected),
            denied=self._connections.denied,
            problems=problems,
        )

    def _state(self) -> str:
        if not self._settled.is_set():
            return STARTING
        return STANDBY if self._members.older else ACTIVE

    def _stalled(self) -> float:
        """Return for how many seconds Zenoh has not taken a message."""
        since = self._network.sending_since
        return (time.monotonic_ns() - since) / 1e9 if since else 0.0

    # --- from the bus to the network

    def _read_can(self, open_can: OpenCan) -> None:
        """Send what is on the bus; open the CAN socket again when its interface has gone."""
        while True:
            try:
                can = CanSocket(open_can())
            except OSError as error:
                self._note_can_problem(_can_problem(error))
                time.sleep(_REOPEN)
                continue
            self._note_can_problem(None)
            self._outbox.can = can
            try:
                self._send_from(can)
            except OSError as error:
                self._note_can_problem(_can_problem(error))
            finally:
                self._outbox.can = None
                can.close()

    def _send_from(self, can: CanSocket) -> NoReturn:
        """Send the frames of one socket; raise OSError when its interface has gone."""
        silent_since = time.monotonic_ns()
        while True:
            batch = can.read()
            now = time.monotonic_ns()
            if self._state() != ACTIVE:
                continue
            if batch is not None:
                self._send(batch)
            elif now - silent_since > HEARTBEAT * 1e9:
                self._send(Batch([], now))
            else:
                continue
            silent_since = now

    def _send(self, batch: Batch) -> None:
        sent = self._sent
        sent.error_frames += batch.errors
        sent.overflowed += batch.overflowed
        first = sent.frames + sent.overflowed
        self._network.send(encode(self._own.epoch, first, batch.arrived, batch.frames, batch.later))
        sent.frames += len(batch.frames)
        if not self._members.heard():
            sent.unheard += len(batch.frames)
        sent.messages += 1

    def _note_can_problem(self, problem: Problem | None) -> None:
        if problem != self._can_problem:
            if problem:
                _log.warning("%s; %s", problem.text, problem.remedy)
            else:
                _log.info("the CAN interface is open")
        self._can_problem = problem

    # --- from the network to the bus

    def _received(self, host: str, data: bytes) -> None:
        """Write the frames of a message to the bus. Called in threads of Zenoh."""
        if host == self._own.host or self._state() != ACTIVE:
            return
        try:
            message = decode(data)
        except MalformedMessage as error:
            if not self._sent.malformed:
                _log.warning("a message of host %r is not understood: %s", host[:80], error)
            self._sent.malformed += 1
            return
        with self._members_lock:
            stream = self._members.stream(host, message.epoch)
        if stream is not None:
            self._outbox.put(message, stream, time.monotonic_ns())

    def _joined(self, link: LinkId) -> None:
        with self._members_lock:
            before = self._state()
            self._members.joined(link)
        if link.host != self._own.host:
            _log.info("host %s is linked", link.host)
            self._network.ping(link, self._answered)
        elif before == ACTIVE and self._state() == STANDBY:
            _log.warning("an older link works for host %s; standby", link.host)

    def _left(self, link: LinkId) -> None:
        with self._members_lock:
            before = self._state()
            self._members.left(link)
        if link.host != self._own.host:
            _log.info("host %s is no longer linked", link.host)
        elif before == STANDBY and self._state() == ACTIVE:
            _log.warning("the older link of host %s has gone; this one works now", link.host)

    def _answered(self, link: LinkId, ping: Ping) -> None:
        with self._members_lock:
            stream = self._members.stream(link.host, link.epoch)
            if stream is not None:
                stream.clock.add(ping)

    # --- beside both

    def _watch(self) -> None:
        """Each second ping the other links, and look whether all is well."""
        while True:
            time.sleep(1)
            if self._stalled() > _STALLED:
                raise RuntimeError(f"Zenoh has not taken a message for {_STALLED:.0f} s")
            for link in self._members.others():
                self._network.ping(link, self._answered)
            with self._members_lock:
                self._members.forget_idle(time.monotonic_ns() - int(_FORGET * 1e9))
            self._note_limited()
            self._connections.look(self._network.connections(), heard=self._members.heard())

    def _note_limited(self) -> None:
        """Report hosts that have begun to send more than is taken from them."""
        since = time.monotonic_ns() - int(_FORGET * 1e9)
        limited = {
            name
            for name, host in list(self._members.hosts.items())
            if (host.limit.exceeded_at or since) > since
        }
        for name in sorted(limited - self._limited):
            _log.warning(
                "host %s sends more than %d frames/s; the rest is dropped", name, self._rate
            )
        self._limited = limited


def _can_problem(error: OSError) -> Problem:
    if isinstance(error, NoInterface):
        return Problem(str(error), "connect this container to a CAN network")
    return Problem(
        f"cannot use the CAN interface: {error.strerror or error}",
        "see 'evercan doctor' on this host",
    )


def _run(work: Callable[[], None]) -> None:
    """Run the work of a thread."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - reported, and the process ends
        _end_process(error)


def _end_process(error: Exception) -> None:
    """Report an unforeseen error and end the process, so that the engine starts it again."""
    traceback.print_exception(error)
    os._exit(1)
