"""Receives what the kernel announces: links that change, controllers that fail, namespaces.

``BusEvents`` wakes the event loop. It joins ``LinkEvents``, which says that a CAN interface
appears, changes or goes, or a namespace ends, and ``BusOffEvents``. ``NamespaceEvents`` is
read by the kernel thread at each observation, so that none trusts the number of a namespace
that has ended: numbers are reused (``net/core/net_namespace.c``).
"""

from __future__ import annotations

import errno
import select
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

_CAN_RAW_FILTER, _CAN_RAW_ERR_FILTER = 1, 2
_SOL_CAN_RAW = 101
_CAN_ERR_BUSOFF = struct.pack("=I", 0x40)


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


class BusOffEvents:
    """Announces that a controller of the host went bus-off.

    A driver that calls ``can_bus_off`` takes the carrier away, which is a link event. gs_usb
    of kernel 6.12 does not. All drivers pass an error frame to the sockets that ask for it;
    this one asks for nothing else. A kernel without CAN sockets announces nothing: then a
    check finds what happened.
    """

    def __init__(self) -> None:
        """Open the socket, if the kernel has the module can_raw."""
        self._socket: socket.socket | None = None
        self._open()

    def fileno(self) -> int | None:
        """Return the descriptor to watch; None if there is no socket."""
        return None if self._socket is None else self._socket.fileno()

    def drain(self) -> bool:
        """Read what is there; return whether there was anything.

        Raises:
            KernelError: the socket cannot be read.
        """
        announced = False
        while self._socket is not None:
            try:
                self._socket.recv(_CHUNK)
                announced = True
            except BlockingIOError:
                break
            except OSError as error:
                raise KernelError(
                    "receive error frames", error.errno or errno.EIO, "evercan tries again"
                ) from error
        return announced

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()

    def _open(self) -> None:
        try:
            opened = socket.socket(
                socket.AF_CAN,
                socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                socket.CAN_RAW,
            )
        except OSError:
            return  # no module: without CAN there are no controllers
        opened.setsockopt(_SOL_CAN_RAW, _CAN_RAW_FILTER, b"")
        opened.setsockopt(_SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, _CAN_ERR_BUSOFF)
        opened.bind(("",))  # the interfaces that there are, and that will be
        self._socket = opened


class BusEvents:
    """All that calls for an observation, behind one descriptor."""

    def __init__(self, links: LinkEvents, bus_off: BusOffEvents) -> None:
        """Join the two; ``close`` closes both."""
        self._sources = (links, bus_off)
        self._epoll = select.epoll()
        for source in self._sources:
            if (number := source.fileno()) is not None:
                self._epoll.register(number, select.EPOLLIN)

    def fileno(self) -> int:
        """Return the descriptor, for an event loop to watch."""
        return self._epoll.fileno()

    def drain(self) -> bool:
        """Read what is there; return whether any of it calls for an observation."""
        drained = [source.drain() for source in self._sources]  # both, whatever the first says
        return any(drained)

    def close(self) -> None:
        """Stop listening."""
        self._epoll.close()
        for source in self._sources:
            source.close()


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
