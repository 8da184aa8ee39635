"""The kernel's end of a netlink socket: whole datagrams, built by hand.

Framing as in ``linux/netlink.h``, written independently of the code under test.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from evercan.kernel.netlink import NetlinkSocket

_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_MULTI, _DUMP_INTR, _CAPPED, _ACK_TLVS = 0x02, 0x10, 0x100, 0x200


class Sent(NamedTuple):
    """One request as it was sent."""

    type: int
    flags: int
    sequence: int
    payload: bytes


Answers = Callable[[list[Sent]], list[bytes]]


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return pad(struct.pack("=HH", 4 + len(value), kind) + value)


def message(kind: int, payload: bytes, *, sequence: int = 0, flags: int = 0) -> bytes:
    return pad(_HEADER.pack(16 + len(payload), kind, flags, sequence, 0) + payload)


def part(kind: int, payload: bytes, to: Sent, *, interrupted: bool = False) -> bytes:
    """Return one entry of a dump."""
    flags = _MULTI | (_DUMP_INTR if interrupted else 0)
    return message(kind, payload, sequence=to.sequence, flags=flags)


def done(to: Sent, *, code: int = 0, interrupted: bool = False) -> bytes:
    """Return the end of a dump."""
    flags = _MULTI | (_DUMP_INTR if interrupted else 0)
    return message(_DONE, struct.pack("=i", -code), sequence=to.sequence, flags=flags)


def error(to: Sent, code: int = 0, words: str = "", *, capped: bool = True) -> bytes:
    """Return an acknowledgement, or an errno with the kernel's message."""
    echoed = _HEADER.pack(16 + len(to.payload), to.type, to.flags, to.sequence, 0)
    if not capped:
        echoed += pad(to.payload)
    flags = (_CAPPED if capped else 0) | (_ACK_TLVS if words else 0)
    offset = attribute(2, struct.pack("=I", 20)) if words else b""
    text = attribute(1, words.encode() + b"\0") if words else b""
    payload = struct.pack("=i", -code) + echoed + offset + text
    return message(_ERROR, payload, sequence=to.sequence, flags=flags)


class NetlinkPeer:
    """Replaces a socket: gives every request to ``answers``."""

    def __init__(self, answers: Answers) -> None:
        self.sent: list[list[Sent]] = []
        self.pending: list[bytes] = []
        self._answers = answers

    def send(self, data: bytes) -> int:
        requests: list[Sent] = []
        offset = 0
        while offset < len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            assert length >= 16
            requests.append(Sent(kind, flags, sequence, data[offset + 16 : offset + length]))
            offset += length + -length % 4
        self.sent.append(requests)
        self.pending += self._answers(requests)
        return len(data)

    def recv(self, _: int) -> bytes:
        if not self.pending:
            raise TimeoutError
        return self.pending.pop(0)

    def close(self) -> None:
        """Do nothing: there is no descriptor."""


def connected_to(peer: NetlinkPeer) -> NetlinkSocket:
    """Return a netlink socket whose other end is a test's."""
    netlink = NetlinkSocket()
    netlink._socket.close()
    netlink._socket = peer  # type: ignore[assignment] # it has the methods that are used
    return netlink
