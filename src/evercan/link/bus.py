"""The bus of python-can: ``can.Bus(interface="evercan", channel=BUS, connect=ADDRESS)``."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from typing import Any

import can

from evercan.link.desk import CannotJoin, Desk
from evercan.link.message import CLASSIC_SIZE, FD_SIZE

_HEAD = Struct("=IBBBB")
_EXTENDED, _REMOTE = 0x80000000, 0x40000000
_BRS, _ESI, _FDF = 0x01, 0x02, 0x04


class EvercanBus(can.BusABC):
    """A bus of other hosts, through one of its links; it needs no CAN in the kernel."""

    def __init__(
        self,
        channel: str,
        connect: str = "",
        *,
        host: str = "",
        certs: str | None = None,
        deadline: float = 0.1,
        **kwargs: Any,
    ) -> None:
        """Join the bus.

        Args:
            channel: the bus's name.
            connect: address of a link, ``10.0.0.5:7447``.
            host: a name that no other host has; by default this machine's with a number.
            certs: folder with ca.pem, link.pem and link.key.
            deadline: seconds after which a frame is too old.
            **kwargs: as for every bus, such as ``can_filters``.

        Raises:
            can.CanInitializationError: a value is wrong, or no link answers.
        """
        try:
            self._desk = Desk(
                channel,
                connect,
                host=host,
                certificates=Path(certs) if certs else None,
                deadline=deadline,
            )
        except CannotJoin as error:
            self._is_shutdown = True
            raise can.CanInitializationError(str(error)) from error
        self.channel_info = f"evercan {channel} at {connect}"
        self._can_protocol = can.CanProtocol.CAN_FD
        super().__init__(channel, **kwargs)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send a message to all hosts; it never waits."""
        if msg.is_error_frame:
            raise can.CanOperationError("an error frame cannot be sent")
        self._desk.send(frame_of(msg))

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        received = self._desk.receive(timeout)
        if received is None:
            return None, False
        return message_of(received.frame, received.time, received.host), False

    def shutdown(self) -> None:
        """Leave the bus."""
        super().shutdown()
        self._desk.close()


def frame_of(message: can.Message) -> bytes:
    """Return a message as the kernel has it."""
    can_id = message.arbitration_id
    can_id |= _EXTENDED if message.is_extended_id else 0
    can_id |= _REMOTE if message.is_remote_frame else 0
    flags = 0
    if message.is_fd:
        flags = _FDF
        flags |= _BRS if message.bitrate_switch else 0
        flags |= _ESI if message.error_state_indicator else 0
    size = FD_SIZE if message.is_fd else CLASSIC_SIZE
    head = _HEAD.pack(can_id, message.dlc, flags, 0, 0)
    return (head + bytes(message.data)).ljust(size, b"\0")


def message_of(frame: bytes, time: float, host: str) -> can.Message:
    """Return a frame of the kernel as a message; its channel is the sender's host."""
    can_id, length, flags, _, _ = _HEAD.unpack_from(frame)
    extended, remote = bool(can_id & _EXTENDED), bool(can_id & _REMOTE)
    is_fd = len(frame) == FD_SIZE
    return can.Message(
        timestamp=time,
        arbitration_id=can_id & (0x1FFFFFFF if extended else 0x7FF),
        is_extended_id=extended,
        is_remote_frame=remote,
        dlc=length,
        data=None if remote else frame[_HEAD.size : _HEAD.size + length],
        is_fd=is_fd,
        bitrate_switch=is_fd and bool(flags & _BRS),
        error_state_indicator=is_fd and bool(flags & _ESI),
        channel=host,
        is_rx=True,
    )
