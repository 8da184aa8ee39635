"""Count the bits that a frame has on a wire, stuff bits and the space between frames included.

Sources: ISO 11898-1:2015 and ``include/linux/can/length.h`` of the kernel. Whether a frame is sent
more than once, after an error, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from evercan.cli.views.frame import FD_LENGTHS, SWITCH, Frame, parse_frame

_RUN = 5
"""Equal bits after which a stuff bit of the other value follows."""

_CRC15 = 0x4599
_CRC15_BITS = 15

_END = 13
"""CRC delimiter, ACK slot and delimiter, 7 bits end of frame, 3 bits up to the next frame."""

_CRC17_FIELD, _CRC21_FIELD = 27, 32
"""Stuff count, CRC and fixed stuff bits of a CAN FD frame, without the delimiter."""

_CRC17_LENGTH = 16
"""Bytes of payload, at most, with the shorter CRC."""


@dataclass(frozen=True, slots=True)
class FrameBits:
    """The bits of a frame.

    Attributes:
        nominal: bits at the bitrate of the arbitration phase.
        data: bits at the bitrate of the data phase of a CAN FD frame.
    """

    nominal: int
    data: int = 0

    def seconds(self, bitrate: int, dbitrate: int = 0) -> float:
        """Return the time that they take at these bitrates, in bit/s."""
        return self.nominal / bitrate + self.data / (dbitrate or bitrate)


def _after(state: int, bit: int) -> tuple[int, int]:
    """Return the state after a bit, and the stuff bits that follow it.

    A state is the last bit and the number of bits equal to it: ``run * 2 + bit``; 0 is none.
    """
    run = state >> 1
    run = run + 1 if run and state & 1 == bit else 1
    if run < _RUN:
        return run << 1 | bit, 0
    return 1 << 1 | (1 - bit), 1


def _after_byte(state: int, byte: int) -> tuple[int, int]:
    stuffed = 0
    for place in range(7, -1, -1):
        state, more = _after(state, byte >> place & 1)
        stuffed += more
    return state, stuffed


_BYTE = [[_after_byte(state, byte) for byte in range(256)] for state in range(2 * _RUN)]


def _crc_of(value: int) -> int:
    for _ in range(8):
        value = value << 1 ^ (_CRC15 if value >> (_CRC15_BITS - 1) & 1 else 0)
    return value & ((1 << _CRC15_BITS) - 1)


_CRC = [_crc_of(byte << (_CRC15_BITS - 8)) for byte in range(256)]


def crc15(data: Iterable[int]) -> int:
    """Return the CRC of a classic frame; zeros before the first bit make no difference."""
    crc = 0
    for byte in data:
        crc = (crc << 8 ^ _CRC[crc >> (_CRC15_BITS - 8) ^ byte]) & ((1 << _CRC15_BITS) - 1)
    return crc


def _stuff_bits(value: int, bits: int, state: int = 0) -> tuple[int, int]:
    """Return the stuff bits of a sequence of bits, and the state after it."""
    stuffed, rest = 0, bits % 8
    for place in range(bits - 1, bits - 1 - rest, -1):
        state, more = _after(state, value >> place & 1)
        stuffed += more
    whole = bits - rest
    for byte in (value & ((1 << whole) - 1)).to_bytes(whole // 8, "big"):
        state, more = _BYTE[state][byte]
        stuffed += more
    return stuffed, state


def bits_of(frame: Frame) -> FrameBits:
    """Return the bits that a frame has on a wire; none of an error frame."""
    if frame.error:
        return FrameBits(0)
    return _fd_bits(frame) if frame.fd else _classic_bits(frame)


@lru_cache(maxsize=4096)
def bits_of_text(text: str) -> FrameBits:
    """Return the bits of a frame in candump's log format; most frames are sent again and again."""
    frame = parse_frame(text)
    return FrameBits(0) if frame is None else bits_of(frame)


def _classic_bits(frame: Frame) -> FrameBits:
    remote = int(frame.remote)
    if frame.extended:
        # start, 11 bits, SRR and IDE, 18 bits, RTR, two reserved bits
        head = (frame.can_id >> 18 << 2 | 3) << 18 | frame.can_id & 0x3FFFF
        head, size = head << 3 | remote << 2, 1 + 11 + 2 + 18 + 3
    else:
        # start, 11 bits, RTR, IDE, a reserved bit
        head, size = frame.can_id << 3 | remote << 2, 1 + 11 + 3
    head, size = head << 4 | (frame.raw_length or frame.length), size + 4
    data = b"" if frame.remote else frame.data
    head, size = head << 8 * len(data) | int.from_bytes(data, "big"), size + 8 * len(data)
    crc = crc15(head.to_bytes((size + 7) // 8, "big"))
    stuffed, _ = _stuff_bits(head << _CRC15_BITS | crc, size + _CRC15_BITS)
    return FrameBits(size + _CRC15_BITS + stuffed + _END)


def _fd_bits(frame: Frame) -> FrameBits:
    switch = int(bool(frame.flags & SWITCH))
    if frame.extended:
        # start, 11 bits, SRR and IDE, 18 bits, RRS, FDF, a reserved bit, BRS
        head = (frame.can_id >> 18 << 2 | 3) << 18 | frame.can_id & 0x3FFFF
        head, size = head << 4 | 0b0100 | switch, 1 + 11 + 2 + 18 + 4
    else:
        # start, 11 bits, RRS, IDE, FDF, a reserved bit, BRS
        head, size = frame.can_id << 5 | 0b00100 | switch, 1 + 11 + 5
    # On a virtual interface a frame can have a length that a wire does not: it would be padded.
    length = next(fits for fits in FD_LENGTHS if fits >= len(frame.data))
    code = FD_LENGTHS.index(length)
    rest = (frame.flags >> 1 & 1) << 4 | code
    rest = rest << 8 * length | int.from_bytes(frame.data.ljust(length, b"\0"), "big")
    rest_size = 5 + 8 * length
    stuffed, state = _stuff_bits(head, size)
    stuffed_later, _ = _stuff_bits(rest, rest_size, state)
    crc = _CRC17_FIELD if length <= _CRC17_LENGTH else _CRC21_FIELD
    nominal, data = size + stuffed + _END, rest_size + stuffed_later + crc
    return FrameBits(nominal, data) if switch else FrameBits(nominal + data)
