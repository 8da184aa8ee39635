"""Test the bits that frames have on a wire, against a plain reading of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.views.bits import FrameBits, bits_of, bits_of_text
from evercan.cli.views.frame import FD_LENGTHS, SWITCH, Frame, parse_frame


def stuffed(bits: str) -> str:
    """Insert the stuff bits, one bit after the other."""
    out = ""
    for bit in bits:
        out += bit
        if _run(out) == 5:
            out += "1" if bit == "0" else "0"
    return out


def _run(bits: str) -> int:
    return len(bits) - len(bits.rstrip(bits[-1]))


def crc(bits: str) -> str:
    register = 0
    for bit in bits:
        feedback = int(bit) ^ register >> 14
        register = register << 1 & 0x7FFF ^ (0x4599 if feedback else 0)
    return f"{register:015b}"


def identifier(frame: Frame, remote: str) -> str:
    if frame.extended:
        number = f"{frame.can_id:029b}"
        return f"0{number[:11]}11{number[11:]}{remote}"
    return f"0{frame.can_id:011b}{remote}0"


def payload(frame: Frame) -> str:
    return "".join(f"{byte:08b}" for byte in frame.data)


def classic(frame: Frame) -> str:
    head = identifier(frame, "1" if frame.remote else "0") + ("00" if frame.extended else "0")
    body = head + f"{frame.length:04b}" + payload(frame)
    return stuffed(body + crc(body)) + "1" * 13


def fd(frame: Frame) -> tuple[str, str]:
    switch = "1" if frame.flags & SWITCH else "0"
    head = identifier(frame, "0") + f"10{switch}"
    state = "1" if frame.flags & 2 else "0"
    whole = stuffed(head + state + f"{FD_LENGTHS.index(len(frame.data)):04b}" + payload(frame))
    first = stuffed(head)
    protected = 4 + (17 if len(frame.data) <= 16 else 21)
    fixed = -(-protected // 4)  # one before each four bits
    field = "0" * (protected + fixed)
    return first + "1" * 13, whole[len(first) :] + field


ids = st.integers(0, 0x1FFFFFFF)
fd_payloads = st.sampled_from(FD_LENGTHS).flatmap(
    lambda length: st.binary(min_size=length, max_size=length)
)


@given(ids, st.booleans(), st.binary(max_size=8) | st.sampled_from([bytes(8), b"\xff" * 8]))
def test_classic_frames(number: int, extended: bool, data: bytes) -> None:
    frame = Frame(number if extended else number & 0x7FF, data, extended=extended, length=len(data))
    assert bits_of(frame) == FrameBits(len(classic(frame)))


@given(ids, st.booleans(), st.integers(0, 8))
def test_remote_frames(number: int, extended: bool, length: int) -> None:
    can_id = number if extended else number & 0x7FF
    frame = Frame(can_id, extended=extended, remote=True, length=length)
    assert bits_of(frame) == FrameBits(len(classic(frame)))


@given(ids, st.booleans(), fd_payloads, st.integers(0, 3))
def test_fd_frames(number: int, extended: bool, data: bytes, flags: int) -> None:
    can_id = number if extended else number & 0x7FF
    frame = Frame(can_id, data, extended=extended, fd=True, flags=flags, length=len(data))
    nominal, faster = map(len, fd(frame))
    expected = FrameBits(nominal, faster) if flags & SWITCH else FrameBits(nominal + faster)
    assert bits_of(frame) == expected


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        # 34 zeros have 6 stuff bits; 13 bits of the end have none.
        ("000#", 34 + 6 + 13),
        ("20000004#0008000000000000", 0),
        ("not a frame", 0),
    ],
)
def test_frames_whose_bits_are_known(text: str, bits: int) -> None:
    assert bits_of_text(text) == FrameBits(bits)


def test_time_of_a_frame_with_two_bitrates() -> None:
    frame = parse_frame("123##1" + "55" * 64)
    assert frame is not None
    bits = bits_of(frame)
    assert bits.data > 8 * 64
    assert bits.seconds(500_000, 2_000_000) == pytest.approx(
        bits.nominal / 500_000 + bits.data / 2_000_000
    )
    assert bits.seconds(500_000) == pytest.approx((bits.nominal + bits.data) / 500_000)
    longest = bits_of(Frame(0x123, b"\x55" * 40, fd=True, length=40))
    assert longest == bits_of(Frame(0x123, b"\x55" * 40 + bytes(8), fd=True, length=48))
