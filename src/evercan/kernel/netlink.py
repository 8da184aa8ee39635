"""A netlink socket: sends batches, reads acknowledgements and complete dumps.

Blocking, for use in a worker thread: the kernel answers rtnetlink requests
within the system call that sends them. Framing is that of
``linux/netlink.h``; this module does not know what the messages mean.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self, TypeVar  # noqa: TID251 - a pass makes thousands of them

from evercan.errors import KernelError
from evercan.kernel.alike import RUN, Layout
from evercan.kernel.port import Checkpoint, go_on

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ERROR = struct.Struct("=i")

NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP = 0x01, 0x04, 0x300
DUMP_INTR = 0x10
CAPPED, ACK_TLVS = 0x100, 0x200
NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK, _STRICT_CHK = 10, 11, 12
_SO_RCVBUFFORCE = 33

_BATCH = 400
"""Messages sent at once: their errors, each at most a page, fit the receive buffer."""
_RECEIVE_BUFFER = 4 << 20
_CHUNK = 1 << 16
_TIMEOUT = 5.0
_DUMP_ATTEMPTS = 10
_MAX_ERRNO = 4095
_DUMP_SEQUENCE = 0x8000_0000
"""Above the numbers of other requests, which are 31 bits."""

_START = struct.Struct("=IH")  # length, type

_T = TypeVar("_T")


class Message(NamedTuple):
    """A request without its header: ``RTM_*`` type, extra ``NLM_F_*`` flags, payload."""

    type: int
    flags: int
    payload: bytes


class Reply(NamedTuple):
    """The kernel's reply to one message.

    Attributes:
        code: the errno, positive; 0 is success.
        words: the kernel's own message, if it gave one.
    """

    code: int
    words: str = ""


def align(length: int) -> int:
    """Round up to the four bytes that netlink aligns to."""
    return (length + 3) & ~3


class NetlinkSocket:
    """A ``NETLINK_ROUTE`` socket of this process.

    After an error in an exchange the rest of its answer may still be waiting, and a dump
    that was not read to its end makes the kernel reject the next one (EBUSY). So the next
    exchange begins with a new socket.

    Attributes:
        checkpoint: as of ``port.Kernel``.

    Raises:
        KernelError: the socket cannot be created, or the kernel does not answer.
    """

    def __init__(self) -> None:
        """Open it; needs no privilege until something is changed."""
        self.checkpoint: Checkpoint = go_on
        self._socket = _open()
        self._broken = False
        self._interrupted = False
        self._sequence = 0

    def __enter__(self) -> Self:
        """Return the socket itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it; what was done stays done."""
        self._socket.close()

    def dump(self, message: Message) -> list[bytes]:
        """Ask for a table; return the datagrams, each a run of whole messages.

        Raises:
            KernelError: the kernel rejected the dump.
        """
        return self.read(message, list)

    def read(self, message: Message, decode: Callable[[Iterator[bytes]], _T]) -> _T:
        """Ask for a table; return what ``decode`` makes of the datagrams as they come.

        So a large table is never in memory as it was sent. A dump during which the table
        changed is requested and decoded again (``NLM_F_DUMP_INTR``); of a table that changes
        all the time the last dump is taken, since the next observation corrects what it missed.

        Args:
            message: the request.
            decode: takes the datagrams; an error that it raises is passed on.

        Raises:
            KernelError: the kernel rejected the dump.
        """
        for _ in range(_DUMP_ATTEMPTS):
            self._interrupted = False
            with self._exchange():
                chunks = self._chunks(message)
                decoded = decode(chunks)
                for _ in chunks:
                    pass  # what is left would be taken for the next dump
            if not self._interrupted:
                break
        return decoded

    def _chunks(self, message: Message) -> Iterator[bytes]:
        """Yield the datagrams of a dump; note whether the table changed meanwhile.

        Each dump of a table has the same sequence number, so that an unchanged table is the
        same bytes. What is received cannot be the rest of an earlier one: each is read to its
        end, or the socket is replaced.
        """
        sequence = self._send([message], DUMP, _DUMP_SEQUENCE + message.type)
        while True:
            self.checkpoint()
            data = self._receive()
            length, kind, flags, seen, _ = HEADER.unpack_from(data)
            if seen != sequence:
                continue  # the rest of an answer that an earlier error cut short
            self._interrupted |= bool(flags & DUMP_INTR)
            if kind == NLMSG_ERROR:
                raise self._error("read the kernel's table", _reply(data, 0, length, flags))
            offset = _offset_of_done(data)
            if offset is None:
                yield data
                continue
            length, _, flags, _, _ = HEADER.unpack_from(data, offset)
            self._interrupted |= bool(flags & DUMP_INTR)
            if offset:
                yield data[:offset]
            if length >= HEADER.size + 4:
                (code,) = ERROR.unpack_from(data, offset + HEADER.size)
                if code < 0:
                    raise self._error("read the kernel's table", Reply(_errno(code)))
            return

    def batch(self, messages: Iterable[Message]) -> list[Reply]:
        """Send requests in order and return the kernel's answer to each.

        They are taken batch by batch: those of a large mesh are not in memory all at once.

        Only the last message of a batch asks for an acknowledgement: the kernel
        handles them in order and reports every error without being asked
        (``netlink_rcv_skb``), so one reply says that all were handled.
        """
        answers: list[Reply] = []
        waiting = iter(messages)
        while batch := list(islice(waiting, _BATCH)):
            with self._exchange():
                answers += self._batch_once(batch)
        return answers

    def _batch_once(self, messages: Sequence[Message]) -> list[Reply]:
        last = self._send(messages, 0)
        first = last - len(messages) + 1
        answers = [Reply(0)] * len(messages)
        while True:
            data = self._receive()
            for part in messages_of(data):
                if part.kind == NLMSG_ERROR and first <= part.sequence <= last:
                    answers[part.sequence - first] = _reply(
                        data, part.offset, part.length, part.flags
                    )
                    if part.sequence == last:
                        return answers

    def request(self, message: Message) -> tuple[bytes | None, Reply]:
        """Send one request that is answered by at most one message; return its datagram."""
        with self._exchange():
            return self._request_once(message)

    def _request_once(self, message: Message) -> tuple[bytes | None, Reply]:
        sequence = self._send([message], 0)
        answer: bytes | None = None
        while True:
            data = self._receive()
            length, kind, flags, seen, _ = HEADER.unpack_from(data)
            if seen != sequence:
                continue
            if kind == NLMSG_ERROR:
                return answer, _reply(data, 0, length, flags)
            answer = data

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """Run one exchange; after any error the next one begins with a new socket."""
        if self._broken:
            self._socket.close()
            self._socket = _open()
            self._broken = False
        try:
            yield
        except struct.error as error:
            self._broken = True
            raise KernelError(
                "read an answer of the kernel", errno.EBADMSG, "evercan tries again"
            ) from error
        except BaseException:
            self._broken = True
            raise

    def _send(self, messages: Sequence[Message], flags: int, sequence: int = 0) -> int:
        """Send messages under fresh sequence numbers, or one under that given; return the last."""
        parts: list[bytes] = []
        number = sequence
        for position, message in enumerate(messages, start=1):
            if not sequence:
                number = self._sequence = (self._sequence % 0x7FFF_FFFF) + 1
            acknowledge = ACK if not flags and position == len(messages) else 0
            length = HEADER.size + len(message.payload)
            parts.append(
                HEADER.pack(
                    length,
                    message.type,
                    REQUEST | acknowledge | flags | message.flags,
                    number,
                    0,
                )
            )
            parts.append(message.payload)
            parts.append(b"\0" * (align(length) - length))
        try:
            self._socket.send(b"".join(parts))
        except OSError as error:
            raise self._failure("send to the kernel", error) from error
        return number

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_CHUNK)
        except OSError as error:
            raise self._failure("receive from the kernel", error) from error

    @staticmethod
    def _failure(doing: str, error: OSError) -> KernelError:
        code = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or errno.EIO
        return KernelError(doing, code, "evercan tries again at the next check")

    @staticmethod
    def _error(doing: str, reply: Reply) -> KernelError:
        return KernelError(doing, reply.code, reply.words or os.strerror(reply.code))


def _open() -> socket.socket:
    """Open a socket.

    Raises:
        KernelError: it cannot be created.
    """
    try:
        opened = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
    except OSError as error:
        raise KernelError(
            "open a netlink socket", error.errno or errno.EIO, "this host has no rtnetlink"
        ) from error
    for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHK):
        opened.setsockopt(_SOL_NETLINK, option, 1)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    opened.settimeout(_TIMEOUT)
    opened.bind((0, 0))
    return opened


class Part(NamedTuple):
    """Where a message is in a datagram, and what its header says (``struct nlmsghdr``)."""

    offset: int
    length: int
    kind: int
    flags: int
    sequence: int


def messages_of(data: bytes) -> Iterator[Part]:
    """Yield the messages of a datagram.

    A length that is impossible ends the datagram, so that it cannot keep a loop running.
    """
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield Part(offset, length, kind, flags, sequence)
        offset += align(length)


def _offset_of_done(data: bytes) -> int | None:
    """Find NLMSG_DONE, the last message of a dump; a datagram may have 500 others before it.

    Neighbours mostly have one length and type: they are skipped by loops that run in C.
    """
    offset, ran = 0, True
    while offset + HEADER.size <= len(data):
        length, kind = _START.unpack_from(data, offset)
        if kind == NLMSG_DONE:
            return offset
        if length < HEADER.size:
            return None
        size = align(length)
        if ran:
            alike = Layout([(0, data[offset : offset + _START.size])], f"{size}x")
            end = alike.end(data[offset:])
            ran = end >= RUN
            size = max(end, size)
        offset += size
    return None


def _reply(data: bytes, offset: int, length: int, flags: int) -> Reply:
    """Read an NLMSG_ERROR: the errno and, from the extended part, the kernel's message."""
    (code,) = ERROR.unpack_from(data, offset + HEADER.size)
    words = ""
    if flags & ACK_TLVS:
        at = offset + HEADER.size + ERROR.size + HEADER.size
        if not flags & CAPPED:
            (echoed,) = struct.unpack_from("=I", data, offset + HEADER.size + ERROR.size)
            at += align(echoed) - HEADER.size
        while at + 4 <= offset + length:
            size, kind = struct.unpack_from("=HH", data, at)
            if kind & 0x3FFF == NLMSGERR_ATTR_MSG:
                words = data[at + 4 : at + size].rstrip(b"\0").decode(errors="replace")
            at += max(align(size), 4)
    return Reply(_errno(code), words)


def _errno(code: int) -> int:
    """Return the errno of a reply, which has it negative; a number that is none is EBADMSG."""
    return -code if -_MAX_ERRNO <= code <= 0 else errno.EBADMSG
