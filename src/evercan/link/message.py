"""The format of the messages between links.

A message is a header and up to `MOST_FRAMES` frames, little-endian::

    u8 version (1)   u8 flags (0)   u16 number of frames   u32 epoch of the sender
    u64 sequence number of the first frame   u64 source time: ns of the sender's monotonic clock
    offsets: u16 for each frame but the first: how much later it arrived, in units of 10 us
    frames: u32 CAN id with the kernel's flags   u8 length   u8 CAN FD flags   u8 0   u8 raw DLC
            data, as long as the length says

A frame is thus the start of the kernel's ``struct can_frame`` or ``struct canfd_frame``, without
the unused end. Bit 2 of the flags (``CANFD_FDF``) tells a CAN FD frame from a classic one. A
message without frames is a heartbeat: it carries the sequence number that comes next.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

MOST_FRAMES = 64
"""Frames in one message at most."""

VERSION = 1
CLASSIC_SIZE, FD_SIZE = 16, 72
"""Bytes of ``struct can_frame`` and ``struct canfd_frame``."""

ERROR_FRAME = 0x20000000
"""CAN_ERR_FLAG in a CAN id: no frame of the bus, but a report of the controller."""

_HEADER = Struct("<BBHIQQ")
_HEAD = 8
_UNIT = 10_000  # ns
_MOST_UNITS = 0xFFFF
_FDF = 0x04
_FD_FLAGS = 0x03  # CANFD_BRS and CANFD_ESI
_LENGTHS = frozenset([*range(9), 12, 16, 20, 24, 32, 48, 64])


class MalformedMessage(ValueError):  # noqa: N818 - reads as the fact that it states
    """Bytes that are no message of this version; nothing of them is used."""


class Message(NamedTuple):
    """What one link sends to all others.

    Attributes:
        epoch: which run of the sender's program it is.
        sequence: number of the first frame, or of the next one if there is none.
        source_time: when the oldest frame arrived, in ns of the sender's monotonic clock.
        frames: as the kernel has them, 16 bytes (classic) or 72 bytes (CAN FD) each.
        later: how many ns after the source time each frame but the first arrived.
    """

    epoch: int
    sequence: int
    source_time: int
    frames: tuple[bytes, ...]
    later: tuple[int, ...] = ()

    def offset(self, index: int) -> int:
        """Return how many ns after the source time a frame arrived."""
        return self.later[index - 1] if index else 0


def encode(
    epoch: int,
    sequence: int,
    source_time: int,
    frames: Sequence[bytes],
    later: Sequence[int] = (),
) -> bytes:
    """Return the bytes of a message; see `Message` for the arguments."""
    count = len(frames)
    header = _HEADER.pack(VERSION, 0, count, epoch, sequence, source_time)
    if count > 1:
        units = [min(max(offset, 0) // _UNIT, _MOST_UNITS) for offset in later] or [0] * (count - 1)
        header += Struct(f"<{count - 1}H").pack(*units)
    return header + b"".join([_packed(frame) for frame in frames])


def decode(data: bytes) -> Message:
    """Return the message that has these bytes.

    Raises:
        MalformedMessage: they are none of this version.
    """
    if len(data) < _HEADER.size:
        raise MalformedMessage(f"{len(data)} bytes are fewer than a header has")
    version, _, count, epoch, sequence, source_time = _HEADER.unpack_from(data)
    if version != VERSION:
        raise MalformedMessage(f"version {version} is unknown; this link has version {VERSION}")
    if count > MOST_FRAMES:
        raise MalformedMessage(f"{count} frames are more than {MOST_FRAMES}")
    offsets = Struct(f"<{max(count - 1, 0)}H")
    place = _HEADER.size + offsets.size
    if len(data) < place:
        raise MalformedMessage("it ends inside its offsets")
    later = tuple([offset * _UNIT for offset in offsets.unpack_from(data, _HEADER.size)])
    return Message(epoch, sequence, source_time, _decoded_frames(data, place, count), later)


def _decoded_frames(data: bytes, place: int, count: int) -> tuple[bytes, ...]:
    """Return the frames from a place in a message on.

    Raises:
        MalformedMessage: they are not as many, or one is no frame.
    """
    frames = []
    for _ in range(count):
        if len(data) < place + _HEAD:
            raise MalformedMessage("it ends inside a frame")
        length, flags = data[place + 4], data[place + 5]
        is_fd = flags & _FDF
        end = place + _HEAD + length
        if length not in _LENGTHS or (length > 8 and not is_fd):
            raise MalformedMessage(f"no frame has {length} bytes of data")
        if len(data) < end:
            raise MalformedMessage("it ends inside a frame")
        frames.append(_unpacked(data[place:end], fd=bool(is_fd)))
        place = end
    if place != len(data):
        raise MalformedMessage(f"{len(data) - place} bytes follow its last frame")
    return tuple(frames)


def _packed(frame: bytes) -> bytes:
    """Return a frame of the kernel as it is sent."""
    length = frame[4]
    if len(frame) == FD_SIZE:
        head = bytes((length, frame[5] & _FD_FLAGS | _FDF, 0, 0))
    else:
        head = bytes((length, 0, 0, frame[7]))
    return _id(frame[:4]) + head + frame[_HEAD : _HEAD + length]


def _unpacked(sent: bytes, *, fd: bool) -> bytes:
    """Return a sent frame as the kernel takes it."""
    if fd:
        head = bytes((sent[4], sent[5] & (_FD_FLAGS | _FDF), 0, 0))
        return (_id(sent[:4]) + head + sent[_HEAD:]).ljust(FD_SIZE, b"\0")
    return (_id(sent[:4]) + sent[4:5] + b"\0\0" + sent[7:]).ljust(CLASSIC_SIZE, b"\0")


if sys.byteorder == "little":

    def _id(four: bytes) -> bytes:
        """Return the CAN id in the other byte order, if the kernel's is not the message's."""
        return four

else:  # pragma: no cover - no wheel of Zenoh is built for such a machine

    def _id(four: bytes) -> bytes:
        """Return the CAN id in the other byte order, if the kernel's is not the message's."""
        return four[::-1]
