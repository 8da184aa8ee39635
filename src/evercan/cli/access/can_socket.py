"""Read the frames of this host's CAN interfaces, in the format of ``candump -L -x``."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

from evercan.cli.errors import CliError

_RECEIVE_BUFFER = 4 << 20
"""Bytes of waiting frames; the kernel limits it to net.core.rmem_max, except for root."""

_HEAD = struct.Struct("=IBBBB")
_STAMP = struct.Struct("@ll")
_COUNT = struct.Struct("=I")
_CLASSIC, _FD = 16, 72
_EXTENDED, _REMOTE, _ERROR = 0x80000000, 0x40000000, 0x20000000
_ERROR_FILTER = 2  # CAN_RAW_ERR_FILTER, which the socket module does not name
_ALL_ERRORS = 0x1FFFFFFF  # CAN_ERR_MASK
_RECEIVE_BUFFER_BY_FORCE = 33  # SO_RCVBUFFORCE, which the socket module does not name
_TIMESTAMP_NS = 35  # SO_TIMESTAMPNS, the same; the control message has the same number
_LOST = 40  # SO_RXQ_OVFL, the same


def frames(*, errors: bool = False) -> Iterator[str]:
    """Yield every frame of every interface of this network namespace, without end.

    Error frames are among them if they are asked for.

    The first line is empty; frames that are sent after it are read.

    Raises:
        CliError: the kernel has no raw CAN sockets.
    """
    if sys.platform != "linux":
        raise no_socket_can()
    try:
        listener = open_listener()
    except OSError as error:
        raise CliError(
            f"cannot open a raw CAN socket ({error.strerror})",
            "run 'modprobe can-raw' on the host, then 'evercan doctor'",
        ) from error
    with listener:
        listener.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        if errors:
            listener.setsockopt(socket.SOL_CAN_RAW, _ERROR_FILTER, _ALL_ERRORS)
        listener.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
        try:
            listener.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_BY_FORCE, _RECEIVE_BUFFER)
        except PermissionError:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, _LOST, 1)
        listener.bind(("",))
        room = socket.CMSG_SPACE(_STAMP.size) + socket.CMSG_SPACE(_COUNT.size)
        lost = 0
        yield ""
        while True:
            data, control, flags, address = listener.recvmsg(_FD, room)
            metadata = {kind: value for level, kind, value in control if level == socket.SOL_SOCKET}
            seconds, nanoseconds = _STAMP.unpack_from(metadata.get(_TIMESTAMP_NS, bytes(16)))
            (now_lost,) = _COUNT.unpack_from(metadata.get(_LOST, bytes(4)))
            if now_lost != lost:
                yield f"DROPCOUNT: dropped {now_lost - lost} CAN frames"
                lost = now_lost
            # The kernel sets this flag on frames that a program of this host sent.
            mark = "T" if flags & socket.MSG_DONTROUTE else "R"
            yield (
                f"({seconds:010d}.{nanoseconds // 1000:06d}) {address[0]} {text_of(data)} {mark}"
            )


def no_socket_can() -> CliError:
    """Explain that only Linux has CAN sockets."""
    return CliError("this system has no SocketCAN", "set DOCKER_HOST to an engine on a Linux host")


def open_listener() -> socket.socket:
    """Open a raw CAN socket; raise OSError if the kernel has none."""
    return socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)


def text_of(data: bytes) -> str:
    """Format a ``struct can_frame`` or ``struct canfd_frame`` as ``candump -L`` does."""
    can_id, length, flags, _, raw_length = _HEAD.unpack_from(data)
    wide = can_id & (_EXTENDED | _ERROR)
    number = f"{can_id & 0x3FFFFFFF:08X}" if wide else f"{can_id & 0x7FF:03X}"
    payload = data[_HEAD.size : _HEAD.size + length].hex().upper()
    if len(data) == _FD:
        return f"{number}##{flags & 0xF:X}{payload}"
    if can_id & _REMOTE:
        return f"{number}#R{length or ''}"
    tail = f"_{raw_length:X}" if length == 8 and 8 < raw_length < 16 else ""
    return f"{number}#{payload}{tail}"
