"""Test the format of messages between links."""

from __future__ import annotations

from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.link.message import (
    MOST_FRAMES,
    MalformedMessage,
    decode,
    encode,
)

HEAD = Struct("<IBBBB")
IDS = st.integers(0, 0xDFFFFFFF).filter(lambda can_id: not can_id & 0x20000000)
CLASSIC = st.builds(
    lambda can_id, data, raw: HEAD.pack(can_id, len(data), 0, 0, raw) + data.ljust(8, b"\0"),
    IDS,
    st.binary(max_size=8),
    st.integers(0, 15),
)
FD_DATA = st.sampled_from([*range(9), 12, 16, 20, 24, 32, 48, 64]).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)
FD = st.builds(
    lambda can_id, data, flags: (
        HEAD.pack(can_id, len(data), flags | 4, 0, 0) + data.ljust(64, b"\0")
    ),
    IDS,
    FD_DATA,
    st.integers(0, 3),
)
FRAMES = st.lists(CLASSIC | FD, max_size=MOST_FRAMES)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


@given(U32, U64, U64, FRAMES)
def test_a_message_is_decoded_as_it_was_encoded(
    epoch: int, sequence: int, source_time: int, frames: list[bytes]
) -> None:
    decoded = decode(encode(epoch, sequence, source_time, frames))
    assert decoded[:4] == (epoch, sequence, source_time, tuple(frames))


@given(st.lists(CLASSIC, min_size=1, max_size=MOST_FRAMES), st.data())
def test_a_message_says_when_each_frame_arrived(frames: list[bytes], data: st.DataObject) -> None:
    count = len(frames) - 1
    later = data.draw(st.lists(st.integers(-(10**9), 10**9), min_size=count, max_size=count))
    decoded = decode(encode(1, 2, 3, frames, later))
    assert decoded.offset(0) == 0
    for index, offset in enumerate(later, 1):
        known = min(max(offset, 0), 0xFFFF * 10_000)
        assert 0 <= known - decoded.offset(index) < 10_000


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_rejected(data: bytes) -> None:
    try:
        message = decode(data)
    except MalformedMessage:
        return
    assert all(len(frame) in (16, 72) for frame in message.frames)


@given(FRAMES.filter(bool), st.data())
def test_a_truncated_message_is_rejected(frames: list[bytes], data: st.DataObject) -> None:
    whole = encode(1, 2, 3, frames)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedMessage):
        decode(whole[:end])


@given(FRAMES, st.binary(min_size=1, max_size=80))
def test_bytes_behind_the_last_frame_are_rejected(frames: list[bytes], rest: bytes) -> None:
    with pytest.raises(MalformedMessage, match="follow its last frame"):
        decode(encode(1, 2, 3, frames) + rest)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "fewer than a header"),
        (b"\x02" + bytes(23), "version 2 is unknown"),
        (encode(1, 2, 3, [bytes(16)] * 65), "65 frames are more than 64"),
        (b"\1\0\1\0" + bytes(20) + HEAD.pack(1, 9, 0, 0, 0) + bytes(9), "9 bytes"),
        (b"\1\0\1\0" + bytes(20) + HEAD.pack(1, 12, 0, 0, 0) + bytes(12), "12 bytes"),
        (b"\1\0\1\0" + bytes(20) + HEAD.pack(1, 13, 4, 0, 0) + bytes(13), "13 bytes"),
    ],
)
def test_what_is_wrong_with_a_message_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        decode(data)


def test_a_full_message_of_classic_frames_has_18_bytes_for_each() -> None:
    frame = HEAD.pack(0x123, 8, 0, 0, 0) + bytes(8)
    assert len(encode(0, 0, 0, [frame] * 64)) == 24 + 63 * 2 + 64 * 16


def test_what_a_program_left_in_unused_bytes_is_not_sent() -> None:
    dirty = HEAD.pack(0x123, 2, 0xFF, 0xFF, 0) + b"\1\2leftov"
    assert decode(encode(0, 0, 0, [dirty])).frames == (
        HEAD.pack(0x123, 2, 0, 0, 0) + b"\1\2" + bytes(6),
    )
