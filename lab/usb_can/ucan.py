"""A CAN adapter with the UCAN protocol: classic CAN, and a driver that can restart it.

The kernel's driver is ``drivers/net/can/usb/ucan.c``, where the numbers are from; the protocol is
in its ``Documentation/networking/device_drivers/can/can_ucan_protocol.rst``. After bus-off the
kernel restarts it: after ``restart-ms``, or on request.
"""

import struct
from collections.abc import Hashable
from enum import IntEnum
from typing import Final

from lab.usb_can.error_frames import error_frame
from lab.usb_can.usb import Device, Identity, Pipe, Request
from lab.usb_can.wire import Errors, ErrorState, Frame, Listener, Node, Setup, Wire

_IN, _OUT = 1, 2
_VENDOR, _PRODUCT = 0x2294, 0x425B
_READ, _READ_DEVICE, _WRITE = 0xC1, 0xC0, 0x41
"""Request types: vendor's, of the interface or the device to the host, and from the host."""

_INFO, _VERSION = 0, 1
_PROTOCOL: Final = 3
_FIRMWARE: Final = b"evercan lab\0"


class _Command(IntEnum):
    """Commands that the driver gives."""

    START = 0
    STOP = 1
    RESET = 4
    GET = 5
    SET_BITTIMING = 7
    RESTART = 8


_CLOCK: Final = 48_000_000
_QUEUE: Final = 16
_SILENT: Final = 1 << 1
_LIMITS: Final = struct.Struct("<I6BHIIHHH")
_TIMING: Final = struct.Struct("<IHHBBBB")  # tq, brp, sample point, prop_seg, two phases, sjw
_HEAD: Final = struct.Struct("<HBB")  # length, type, subtype
_ID: Final = struct.Struct("<I")
_SENT, _FRAME = 1, 2
_SUCCESS: Final = 1
_REMOTE: Final = 0x4000_0000


def adapter(wire: Wire, serial: str) -> tuple[Device, Node]:
    """Make an adapter on a wire."""
    pipe = Pipe()
    function = _Ucan(wire, pipe)
    identity = Identity(
        _VENDOR, _PRODUCT, "evercan lab", "UCAN adapter", serial, (0x80 | _IN, _OUT)
    )
    return Device(identity, {_IN: pipe}, function), function.node


class _Ucan:
    """Implements ``lab.usb_can.usb.Function``."""

    def __init__(self, wire: Wire, pipe: Pipe) -> None:
        self.node = Node(wire, Listener(self._received, self._sent, self._changed))
        self._pipe = pipe
        self._bitrate = 0

    def control(self, request: Request) -> bytes | None:
        if request.kind == _READ_DEVICE:
            return _FIRMWARE
        if request.kind == _READ and request.number == _Command.GET:
            if request.value == _VERSION:
                return struct.pack("<I", _PROTOCOL)
            # tx queue, sjw, tseg1, tseg2, brp's step and limits, modes, filters, mailboxes
            return _LIMITS.pack(_CLOCK, _QUEUE, 4, 1, 16, 1, 8, 1, 1, 1024, _SILENT, 0, 1)
        return self._command(request) if request.kind == _WRITE else None

    def _command(self, request: Request) -> bytes | None:
        match request.number:
            case _Command.SET_BITTIMING:
                _, prescaler, _, prop_seg, phase_seg1, phase_seg2, _ = _TIMING.unpack(request.data)
                self._bitrate = _CLOCK // prescaler // (1 + prop_seg + phase_seg1 + phase_seg2)
            case _Command.START:
                (mode,) = struct.unpack("<H", request.data)
                self._pipe.drop_packets()
                self.node.start(Setup(self._bitrate, listen_only=bool(mode & _SILENT)))
            case _Command.STOP | _Command.RESET:
                self._pipe.drop_packets()
                self.node.stop()
            case _Command.RESTART:
                self.node.set_errors(Errors())
            case _:
                return None
        return b""

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        if endpoint != _OUT:
            return
        frame, number = decode_message(data)
        if self.node.errors.state is ErrorState.BUS_OFF:
            self._complete(number, success=False)
        else:
            self.node.send(frame, number)

    def unplugged(self) -> None:
        self.node.stop()

    def _received(self, frame: Frame) -> None:
        self._pipe.put(encode_message(frame))

    def _sent(self, token: Hashable) -> None:
        assert isinstance(token, int)  # noqa: S101 - bulk_out has passed it
        self._complete(token, success=True)

    def _complete(self, number: int, *, success: bool) -> None:
        self._pipe.put(
            _HEAD.pack(_HEAD.size + 2, _SENT, 0) + bytes([number, _SUCCESS if success else 0])
        )

    def _changed(self, errors: Errors) -> None:
        if self.node.setup is not None:
            self._pipe.put(encode_message(error_frame(errors)))


def decode_message(data: bytes) -> tuple[Frame, int]:
    """Decode ``struct ucan_message_out``: a frame, and the number that its completion names."""
    length, _, number = _HEAD.unpack_from(data)
    (can_id,) = _ID.unpack_from(data, _HEAD.size)
    payload = data[_HEAD.size + _ID.size : length]
    if can_id & _REMOTE:
        return Frame(can_id, payload[0] if payload else 0, b""), number
    return Frame(can_id, len(payload), payload), number


def encode_message(frame: Frame) -> bytes:
    """Encode a frame of another node, or an error frame, as ``struct ucan_message_in``."""
    payload = bytes([frame.dlc]) if frame.can_id & _REMOTE else frame.data
    length = _HEAD.size + _ID.size + len(payload)
    return _HEAD.pack(length, _FRAME, 0) + _ID.pack(frame.can_id) + payload
