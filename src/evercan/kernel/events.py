"""Receives what the kernel announces: links that change, namespaces that end.

Two sockets with two readers. ``LinkEvents`` wakes the event loop when a CAN
interface appears, changes or goes, or a namespace ends. ``NamespaceEvents`` is read by the
kernel thread at each observation, so that none trusts the number of a namespace that has
ended: numbers are reused (``net/core/net_namespace.c``).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

from evercan.errors import KernelError
from evercan.kernel.links import ARPHRD_CAN, RTM_DELLINK, RTM_NEWLINK
from evercan.kernel.netlink import HEADER, Part, align, messages_of

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RTNLGRP_LINK, _RTNLGRP_NSID = 1, 28
_RTM_DELNSID = 89
_NETNSA_NSID = 1
_BUFFER = 1 << 20
_CHUNK = 1 << 16


class _Listening:
    """A non-blocking netlink socket in some multicast groups."""

    def __init__(self, *groups: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            socket.NETLINK_ROUTE,
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((0, 0))
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Return the descriptor, for an event loop to watch."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _datagrams(self) -> tuple[list[bytes], bool]:
        """Read what is there; the second value says that the kernel had to drop some.

        Raises:
            KernelError: the socket cannot be read.
        """
        datagrams: list[bytes] = []
        lost = False
        while True:
            try:
                datagrams.append(self._socket.recv(_CHUNK))
            except BlockingIOError:
                return datagrams, lost
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                if error.errno != errno.ENOBUFS:
                    raise KernelError(
                        "receive announcements of the kernel",
                        error.errno or errno.EIO,
                        "evercan tries again",
                    ) from error
                lost = True


class LinkEvents(_Listening):
    """Announces when CAN interfaces of the host change, and when namespaces end.

    A container whose pair was deleted before ends without an event about a link.
    """

    def __init__(self) -> None:
        """Join ``RTNLGRP_LINK`` and ``RTNLGRP_NSID``."""
        super().__init__(_RTNLGRP_LINK, _RTNLGRP_NSID)

    def drain(self) -> bool:
        """Read what is there; return whether any of it calls for an observation."""
        datagrams, concerned = self._datagrams()
        for data in datagrams:
            for part in messages_of(data):
                concerned |= part.kind == _RTM_DELNSID or _is_of_can_link(data, part)
        return concerned


class NamespaceEvents(_Listening):
    """Announces which namespace numbers no longer mean the same namespace.

    A number that begins (``RTM_NEWNSID``) takes nothing away: the end of its former
    namespace was announced before.
    """

    def __init__(self) -> None:
        """Join ``RTNLGRP_NSID``."""
        super().__init__(_RTNLGRP_NSID)

    def drain(self) -> frozenset[int] | None:
        """Return the numbers that ended since the last call; None if some were lost."""
        datagrams, lost = self._datagrams()
        if lost:
            return None
        ended: set[int] = set()
        for data in datagrams:
            for part in messages_of(data):
                if part.kind == _RTM_DELNSID:
                    ended.update(_numbers_in(data, part))
        return frozenset(ended)


def _is_of_can_link(data: bytes, part: Part) -> bool:
    """Whether a message is about a CAN interface (``ifi_type`` of ``struct ifinfomsg``)."""
    at = part.offset + HEADER.size + 2
    if part.kind not in (RTM_NEWLINK, RTM_DELLINK) or at + 2 > len(data):
        return False
    (hardware,) = struct.unpack_from("=H", data, at)
    return bool(hardware == ARPHRD_CAN)


def _numbers_in(data: bytes, part: Part) -> Iterator[int]:
    """Yield the namespace numbers of an announcement (``struct rtgenmsg`` and attributes)."""
    at, end = part.offset + HEADER.size + 4, min(part.offset + part.length, len(data))
    while at + 8 <= end:
        size, attribute, nsid = struct.unpack_from("=HHi", data, at)
        if attribute == _NETNSA_NSID:
            yield nsid
        at += max(align(size), 4)
