"""A CAN adapter with the gs_usb protocol, as candleLight and CANable have it.

The kernel's driver is ``drivers/net/can/usb/gs_usb.c``, where the numbers are from. In kernel
6.12 it has no restart: after bus-off only a stop and a start help.
"""

import struct
from collections.abc import Hashable
from enum import IntEnum
from typing import Final

from lab.usb_can.error_frames import error_frame
from lab.usb_can.usb import Device, Identity, Pipe, Request
from lab.usb_can.wire import LENGTHS, Errors, Frame, Listener, Node, Setup, Wire

_IN, _OUT = 1, 2
_VENDOR, _PRODUCT = 0x1D50, 0x606F
_READ, _WRITE = 0xC1, 0x41
"""Request types: vendor's, of an interface, to the host and from it."""


class _Number(IntEnum):
    """``enum gs_usb_breq``, as far as a plain adapter needs it."""

    HOST_FORMAT = 0
    BITTIMING = 1
    MODE = 2
    LIMITS = 4
    CONFIG = 5
    DATA_BITTIMING = 10
    DATA_LIMITS = 11
    STATE = 14


_MODE_START: Final = 1
_LISTEN_ONLY, _LOOP_BACK, _ONE_SHOT, _FD = 1 << 0, 1 << 1, 1 << 3, 1 << 8
_HAS_DATA_LIMITS, _REPORTS_ERRORS, _HAS_STATE = 1 << 10, 1 << 12, 1 << 13
_CLASSIC_FEATURES: Final = _LISTEN_ONLY | _LOOP_BACK | _ONE_SHOT | _REPORTS_ERRORS | _HAS_STATE
_FD_FEATURES: Final = _CLASSIC_FEATURES | _FD | _HAS_DATA_LIMITS

_CLOCK: Final = 80_000_000
_ARBITRATION: Final = (1, 256, 1, 128, 128, 1, 512, 1)
_DATA: Final = (1, 32, 1, 16, 16, 1, 32, 1)
"""Limits of the two phases: tseg1, tseg2 (lowest and highest), sjw, brp, its step."""

_TIMING: Final = struct.Struct("<5I")  # prop_seg, phase_seg1, phase_seg2, sjw, brp
_HEAD: Final = struct.Struct("<IIBBBx")  # echo id, CAN id, dlc, channel, flags
_NOT_AN_ECHO: Final = 0xFFFF_FFFF
_FLAG_FD, _FLAG_BRS, _FLAG_ESI = 1 << 1, 1 << 2, 1 << 3
_CLASSIC_SIZE, _FD_SIZE = 8, 64


def adapter(wire: Wire, serial: str, *, fd: bool = True) -> tuple[Device, Node]:
    """Make an adapter on a wire; ``fd`` says whether its controller has CAN FD."""
    pipe = Pipe()
    function = _GsUsb(wire, pipe, fd=fd)
    identity = Identity(
        _VENDOR, _PRODUCT, "evercan lab", "gs_usb adapter", serial, (0x80 | _IN, _OUT)
    )
    return Device(identity, {_IN: pipe}, function), function.node


class _GsUsb:
    """Implements ``lab.usb_can.usb.Function``."""

    def __init__(self, wire: Wire, pipe: Pipe, *, fd: bool) -> None:
        self.node = Node(wire, Listener(self._received, self._sent, self._changed))
        self._pipe = pipe
        self._features = _FD_FEATURES if fd else _CLASSIC_FEATURES
        self._bitrate = self._data_bitrate = 0

    def control(self, request: Request) -> bytes | None:
        if request.kind == _READ:
            return self._read(request.number)
        if request.kind == _WRITE:
            return self._write(request.number, request.data)
        return None

    def _read(self, number: int) -> bytes | None:
        limits = struct.pack("<10I", self._features, _CLOCK, *_ARBITRATION)
        match number:
            case _Number.LIMITS:
                return limits
            case _Number.CONFIG:  # one channel, software version 2, hardware version 1
                return struct.pack("<4B2I", 0, 0, 0, 0, 2, 1)
            case _Number.DATA_LIMITS if self._features & _FD:
                return limits + struct.pack("<8I", *_DATA)
            case _Number.STATE:
                errors = self.node.errors
                return struct.pack("<3I", errors.state, errors.rx, errors.tx)
        return None

    def _write(self, number: int, data: bytes) -> bytes | None:
        match number:
            case _Number.HOST_FORMAT:
                pass
            case _Number.BITTIMING:
                self._bitrate = _bitrate(data)
            case _Number.DATA_BITTIMING if self._features & _FD:
                self._data_bitrate = _bitrate(data)
            case _Number.MODE:
                self._set_mode(*struct.unpack_from("<II", data))
            case _:
                return None
        return b""

    def _set_mode(self, mode: int, flags: int) -> None:
        self._pipe.drop_packets()
        if mode != _MODE_START:
            self.node.stop()
            return
        data_bitrate = self._data_bitrate if flags & _FD else 0
        self.node.start(Setup(self._bitrate, data_bitrate, bool(flags & _LISTEN_ONLY)))

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        if endpoint == _OUT:
            self.node.send(decode_frame(data), data)

    def unplugged(self) -> None:
        self.node.stop()

    def _received(self, frame: Frame) -> None:
        self._pipe.put(encode_frame(frame))

    def _sent(self, token: Hashable) -> None:
        # The echo is what the host sent, with its number: only so the driver knows it again.
        assert isinstance(token, bytes)  # noqa: S101 - bulk_out has passed it
        self._pipe.put(token)

    def _changed(self, errors: Errors) -> None:
        if self.node.setup is not None:
            self._pipe.put(encode_frame(error_frame(errors)))


def _bitrate(timing: bytes) -> int:
    prop_seg, phase_seg1, phase_seg2, _, prescaler = _TIMING.unpack_from(timing)
    return int(_CLOCK // prescaler // (1 + prop_seg + phase_seg1 + phase_seg2))


def decode_frame(data: bytes) -> Frame:
    """Decode ``struct gs_host_frame``."""
    _, can_id, dlc, _, flags = _HEAD.unpack_from(data)
    size = LENGTHS[dlc & 0xF] if flags & _FLAG_FD else min(dlc, _CLASSIC_SIZE)
    payload = data[_HEAD.size : _HEAD.size + size]
    fd, brs, esi = (bool(flags & flag) for flag in (_FLAG_FD, _FLAG_BRS, _FLAG_ESI))
    return Frame(can_id, dlc, payload, fd, brs, esi)


def encode_frame(frame: Frame) -> bytes:
    """Encode a frame of another node as ``struct gs_host_frame``."""
    pairs = ((frame.fd, _FLAG_FD), (frame.brs, _FLAG_BRS), (frame.esi, _FLAG_ESI))
    flags = sum(flag for given, flag in pairs if given)
    head = _HEAD.pack(_NOT_AN_ECHO, frame.can_id, frame.dlc, 0, flags)
    return head + frame.data.ljust(_FD_SIZE if frame.fd else _CLASSIC_SIZE, b"\0")
