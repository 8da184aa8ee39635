"""Reads and writes frames of the container's CAN interface, classic and CAN FD."""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evercan.link.message import ERROR_FRAME, FD_SIZE, MOST_FRAMES

_ARPHRD_CAN = 280
_NET = Path("/sys/class/net")
_RECEIVE_BUFFER = 4 << 20  # bytes; the kernel limits it to net.core.rmem_max
_TIMESTAMP_NS = 35  # SO_TIMESTAMPNS; the control message has the same number
_LOST = 40  # SO_RXQ_OVFL, the same
_STAMP = struct.Struct("@ll")
_COUNT = struct.Struct("=I")
_ROOM = socket.CMSG_SPACE(_STAMP.size) + socket.CMSG_SPACE(_COUNT.size)
_ERROR_FILTER, _ERROR_MASK = 2, 0x1FFFFFFF  # CAN_RAW_ERR_FILTER, CAN_ERR_MASK
_WAIT = struct.pack("@ll", 0, 250_000)  # a quarter of a second, as a struct timeval
_SET = 5_000_000  # ns between two frames by which the time of day is not adjusted, but set
_BUSY = frozenset([errno.EAGAIN, errno.ENOBUFS])


class NoInterface(OSError):  # noqa: N818 - reads as the fact that it states
    """There is no CAN interface to use, or more than one to choose from."""


class Batch(NamedTuple):
    """Frames that were waiting together.

    Attributes:
        frames: as the kernel has them; error frames are not among them.
        arrived: when the oldest of them arrived, by the monotonic clock, ns.
        overflowed: frames before these that the kernel had no room for.
        errors: error frames among them.
        later: how many ns after the oldest each other one of the frames arrived.
    """

    frames: list[bytes]
    arrived: int
    overflowed: int = 0
    errors: int = 0
    later: tuple[int, ...] = ()


def can_interfaces(folder: Path = _NET) -> list[str]:
    """Return the names of the CAN interfaces of this network namespace."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            kind = int((path / "type").read_text())
        except (OSError, ValueError):
            continue  # it has gone meanwhile
        if kind == _ARPHRD_CAN:
            found.append(path.name)
    return found


def choose_interface(wanted: str, present: list[str]) -> str:
    """Return the interface to use: the one that is named, else the only one.

    Raises:
        NoInterface: there is none, or several and none is named.
    """
    if wanted:
        if wanted in present:
            return wanted
        raise NoInterface(f"there is no CAN interface {wanted}")
    if len(present) == 1:
        return present[0]
    if not present:
        raise NoInterface("there is no CAN interface")
    raise NoInterface(f"LINK_INTERFACE must choose one of {', '.join(present)}")


def open_can(wanted: str) -> socket.socket:
    """Open a raw CAN socket on the interface to use.

    Frames that are written to a socket are not read from it again (CAN_RAW_RECV_OWN_MSGS is off).

    Raises:
        OSError: there is no such interface, or no kernel module.
    """
    interface = choose_interface(wanted, can_interfaces())
    opened = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    try:
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        opened.setsockopt(socket.SOL_CAN_RAW, _ERROR_FILTER, _ERROR_MASK)
        opened.bind((interface,))
    except OSError:
        opened.close()
        raise
    return opened


class CanSocket:
    """One open socket: frames in batches, with what the kernel has dropped.

    One thread reads; another one may write at the same time.
    """

    def __init__(self, opened: socket.socket) -> None:
        """Take an open socket of whole frames."""
        self._socket = opened
        self._lost: int | None = None
        self._shift = time.time_ns() - time.monotonic_ns()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        opened.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
        opened.setsockopt(socket.SOL_SOCKET, _LOST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _WAIT)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> Batch | None:
        """Wait for a frame, and return all that wait, at most `MOST_FRAMES`.

        Returns:
            None if there was no frame for a quarter of a second.

        Raises:
            OSError: the interface is down or gone.
        """
        try:
            data, control, _, _ = self._socket.recvmsg(FD_SIZE, _ROOM)
        except BlockingIOError:
            return None
        now, today = time.monotonic_ns(), time.time_ns()
        # The kernel's times are times of the day. They say nothing if that was set meanwhile.
        shift, self._shift = self._shift, today - now
        usable = abs(self._shift - shift) < _SET
        overflowed = self._overflowed(control)
        frames, times = [data], [_stamp(control) if usable else None]
        try:
            while len(frames) < MOST_FRAMES:
                data, control, _, _ = self._socket.recvmsg(FD_SIZE, _ROOM, socket.MSG_DONTWAIT)
                if lost := self._overflowed(control):
                    overflowed += lost
                frames.append(data)
                times.append(_stamp(control) if usable else None)
        except BlockingIOError:
            pass
        if len(frames) == 1 and not data[3] & _ERROR_BYTE:
            return Batch(frames, now - max(today - (times[0] or today), 0), overflowed)
        kept = [index for index, frame in enumerate(frames) if not frame[3] & _ERROR_BYTE]
        moments = [times[index] or today for index in kept]
        first = moments[0] if moments else today
        return Batch(
            [frames[index] for index in kept],
            now - max(today - first, 0),
            overflowed,
            len(frames) - len(kept),
            tuple([moment - first for moment in moments[1:]]),
        )

    def _overflowed(self, control: list[tuple[int, int, bytes]]) -> int:
        """Return how many frames the kernel has dropped since the last frame."""
        for _, kind, value in control:
            if kind == _LOST:
                (total,) = _COUNT.unpack(value)
                before, self._lost = self._lost or 0, total
                return int(total - before) & 0xFFFFFFFF
        return 0

    def write(self, frame: bytes) -> bool:
        """Write a frame; return False if the interface has no room for it now.

        Raises:
            OSError: the interface does not take it.
        """
        try:
            self._socket.send(frame, socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
        return True


def _stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    """Return when a frame arrived, by the time of day in ns; None if the kernel does not say."""
    for _, kind, value in control:
        if kind == _TIMESTAMP_NS and len(value) == _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack(value)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


_ERROR_BYTE = ERROR_FRAME >> 24  # of the CAN id, little-endian

OpenCan = Callable[[], socket.socket]
"""Opens the socket; raises OSError as long as it cannot."""
