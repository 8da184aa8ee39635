"""Test that the frames of a bus are found once, in order, with their sender."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.access.can_socket import text_of
from evercan.cli.access.wiring import derived_wiring
from evercan.cli.errors import CliError
from evercan.cli.views.docker import DockerNetwork
from evercan.cli.views.traffic import (
    COLUMN,
    HOLD,
    BusFrame,
    CapturedFrame,
    Merger,
    as_json,
    columns,
    parse,
    parse_filter,
    passes,
    write,
)

BUS, A, B = "vcan0", "vxcan0000000a", "vxcan0000000b"


def merged(*captured: CapturedFrame, ends: tuple[str, ...] = (A, B)) -> list[tuple[int, str, str]]:
    merger = Merger(BUS, set(ends))
    for frame in captured:
        merger.push(frame, 0.0)
    return [(frame.stamp, frame.sender, frame.text) for frame in merger.rest()]


def test_an_echo_is_not_a_second_frame() -> None:
    assert merged(
        CapturedFrame(10, A, "123#00", local=False), CapturedFrame(11, BUS, "123#00", local=False)
    ) == [(10, A, "123#00")]


def test_an_echo_with_the_stamp_of_its_frame_that_is_read_first() -> None:
    assert merged(
        CapturedFrame(10, BUS, "123#00", local=False), CapturedFrame(10, A, "123#00", local=False)
    ) == [(10, A, "123#00")]


def test_equal_frames_of_two_senders_are_two_frames() -> None:
    echoes = [CapturedFrame(12 + number, BUS, "123#00", local=False) for number in range(2)]
    sent = [
        CapturedFrame(10, A, "123#00", local=False),
        CapturedFrame(11, B, "123#00", local=False),
    ]
    assert merged(*echoes, *sent) == [(10, A, "123#00"), (11, B, "123#00")]


def test_a_frame_of_a_host_program_belongs_to_the_bus_if_a_container_sends_the_same() -> None:
    assert merged(
        CapturedFrame(10, A, "123#00", local=False),
        CapturedFrame(11, BUS, "123#00", local=True),
        CapturedFrame(12, BUS, "123#00", local=False),
    ) == [(10, A, "123#00"), (11, BUS, "123#00")]


def test_a_frame_from_the_wire_belongs_to_the_bus() -> None:
    assert merged(CapturedFrame(10, BUS, "123#00", local=False)) == [(10, BUS, "123#00")]


def test_a_frame_without_echo_does_not_hide_a_later_frame_from_the_wire() -> None:
    late = CapturedFrame(10 + 1_000_001, BUS, "123#00", local=False)
    assert merged(CapturedFrame(10, A, "123#00", local=False), late) == [
        (10, A, "123#00"),
        (10 + 1_000_001, BUS, "123#00"),
    ]


def test_a_frame_of_the_host_at_a_host_end_belongs_to_the_bus() -> None:
    assert merged(CapturedFrame(10, A, "1#", local=True)) == [(10, BUS, "1#")]


def test_frames_of_other_interfaces_are_ignored() -> None:
    assert merged(CapturedFrame(10, "vcan9", "123#00", local=False)) == []


def test_a_frame_is_held_back_for_earlier_frames() -> None:
    merger = Merger(BUS, {A, B})
    merger.push(CapturedFrame(20, A, "2#", local=False), 100.0)
    assert list(merger.ready(100.0 + HOLD / 2)) == []
    merger.push(CapturedFrame(10, B, "1#", local=False), 100.0 + HOLD / 2)
    assert [frame.text for frame in merger.rest()] == ["1#", "2#"]


def test_a_recording_waits_longer_for_a_host_that_is_busy() -> None:
    merger = Merger(BUS, {A, B}, hold=1.0)
    merger.push(CapturedFrame(20, A, "2#", local=False), 100.0)
    assert list(merger.ready(100.9)) == []
    merger.push(CapturedFrame(10, B, "1#", local=False), 100.9)
    assert [frame.text for frame in merger.ready(101.95)] == ["1#", "2#"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, "wire", "host"]),
            st.sampled_from(["123#00", "7FF#", "123##1AA"]),
            st.integers(1, 400),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_frames_come_once_and_in_order_for_any_order_of_reading(
    sendings: list[tuple[str, str, int]], random: object
) -> None:
    """Any frames of any senders: as many lines as frames, and no wrong container."""
    captured: list[CapturedFrame] = []
    stamp = 0
    for sender, text, gap in sendings:
        stamp += 2000 + gap
        if sender in (A, B):
            captured += [CapturedFrame(stamp, sender, text, local=False)]
            captured += [CapturedFrame(stamp + gap, BUS, text, local=False)]
        else:
            captured.append(CapturedFrame(stamp, BUS, text, local=sender == "host"))
    random.shuffle(captured)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    found = merged(*captured)
    assert Counter((sender, text) for _, sender, text in found) == Counter(
        (sender if sender in (A, B) else BUS, text) for sender, text, _ in sendings
    )
    assert [stamp for stamp, *_ in found] == sorted(stamp for stamp, *_ in found)


# --- lines ------------------------------------------------------------------------


def test_lines_of_candump_are_parsed() -> None:
    assert parse("(1790000001.467548)  vcan0  123#C0FFEE R\n") == CapturedFrame(
        1_790_000_001_467_548, "vcan0", "123#C0FFEE", local=False
    )
    assert parse("(1790000001.467548) can0 1FFFFFFF##5AB T") == CapturedFrame(
        1_790_000_001_467_548, "can0", "1FFFFFFF##5AB", local=True
    )
    assert parse("(1790000001.467548) can0 123#R4 T B E") is not None


@pytest.mark.parametrize(
    "line",
    ["", "DROPCOUNT: dropped 3 CAN frames", "(1.2) can0 123#", "read: Network is down"],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert parse(line) is None


@given(st.text(max_size=60))
def test_any_line_can_be_parsed(line: str) -> None:
    parse(line)


@given(
    st.integers(0, 4_000_000_000_000_000),
    st.integers(0, 0x7FF),
    st.binary(max_size=8),
)
def test_a_written_line_can_be_parsed(stamp: int, can_id: int, data: bytes) -> None:
    text = f"{can_id:03X}#{data.hex().upper()}"
    line = write(BusFrame(stamp, A, text), "dashboard")
    assert parse(line) == CapturedFrame(stamp, "dashboard", text, local=False)


def frame(can_id: int, data: bytes, *, flags: int = 0, fd: bool = False, raw: int = 0) -> bytes:
    head = struct.pack("=IBBBB", can_id, len(data), flags, 0, raw)
    return head + data.ljust(64 if fd else 8, b"\0")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (frame(0x123, b"\xc0\xff"), "123#C0FF"),
        (frame(0x123, b""), "123#"),
        (frame(0x80000123, b"\x01"), "00000123#01"),
        (frame(0x9FFFFFFF, b""), "1FFFFFFF#"),
        (frame(0x40000123, b""), "123#R"),
        (struct.pack("=IBBBB8x", 0x40000123, 4, 0, 0, 0), "123#R4"),
        (frame(0x123, bytes(8), raw=12), "123#0000000000000000_C"),
        (frame(0x123, b"\xaa\xbb", flags=1, fd=True), "123##1AABB"),
        (frame(0x80000001, bytes(12), fd=True), f"00000001##0{'00' * 12}"),
    ],
)
def test_frames_of_the_kernel_are_written_as_by_candump(data: bytes, text: str) -> None:
    assert text_of(data) == text
    captured = parse(f"(0000000001.000000) vcan0 {text} R")
    assert captured is not None
    assert captured.text == text


LOG = [
    BusFrame(1_790_000_001_467_548, A, "123#C0FFEE"),
    BusFrame(1_790_000_001_467_549, B, "00000123#"),
    BusFrame(1_790_000_001_467_550, BUS, "123##1AABB"),
    BusFrame(1_790_000_002_000_000, B, "7FF#R2"),
]
NAMES = columns({A: "dashboard", B: "myproject-gateway-1"}, BUS)
assert NAMES[B] == "~ject-gateway-1"


def written() -> str:
    return "".join(f"{write(entry, NAMES[entry.sender])}\n" for entry in LOG)


def test_python_can_reads_a_log_with_the_senders_as_channels() -> None:
    read = list(can.CanutilsLogReader(io.StringIO(written())))
    assert [message.channel for message in read] == ["dashboard", NAMES[B], "vcan0", NAMES[B]]
    assert [message.arbitration_id for message in read] == [0x123, 0x123, 0x123, 0x7FF]
    assert bytes(read[0].data) == b"\xc0\xff\xee"
    assert read[2].is_fd
    assert read[3].is_remote_frame


def test_log2asc_reads_a_log_with_a_channel_for_each_sender(tmp_path: Path) -> None:
    if shutil.which("log2asc") is None:
        pytest.skip("can-utils are not installed here; e2e replays a log in the lab")
    log = tmp_path / "x.log"
    log.write_text(written())
    done = subprocess.run(
        ["log2asc", "-I", log, "dashboard", NAMES[B], "vcan0"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in done.stdout.splitlines() if line[:1] == " "]
    assert [line[1] for line in lines if line[1] != "CANFD"] == ["1", "2", "2"]
    assert sum(line[1] == "CANFD" for line in lines) == 1


# --- names and filters -----------------------------------------------------------


@given(st.dictionaries(st.text("0123456789abcdef", min_size=8, max_size=8), st.text(max_size=30)))
def test_columns_fit_differ_and_have_no_spaces(names: dict[str, str]) -> None:
    given_names = columns({f"vxcan{key}": name for key, name in names.items()}, BUS)
    assert len(set(given_names.values())) == len(names) + 1
    for name in given_names.values():
        assert 0 < len(name) <= COLUMN
        assert len(name.split()) == 1
    assert given_names[BUS] == BUS


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("123", 0x123, 0x124), ("100:700", 0x1FF, 0x200), ("100~700", 0x200, 0x1FF)],
)
def test_filters(text: str, inside: int, outside: int) -> None:
    wanted = [parse_filter(text)]
    assert passes(wanted, inside)
    assert not passes(wanted, outside)
    assert passes([], outside)


@pytest.mark.parametrize("text", ["", "xyz", "1:", ":1", "123456789", "1:2:3"])
def test_an_invalid_filter_is_an_error(text: str) -> None:
    with pytest.raises(CliError, match="neither ID:MASK"):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123#C0FF", {"id": 0x123, "extended": False, "length": 2, "data": "C0FF"}),
        ("00000123#01", {"id": 0x123, "extended": True, "length": 1, "data": "01"}),
        ("123#", {"length": 0, "data": ""}),
        ("123#R", {"remote": True, "length": 0, "data": ""}),
        ("123#R4", {"remote": True, "length": 4, "data": ""}),
        ("123#0000000000000000_C", {"length": 8, "data": "00" * 8}),
        ("123##0AABB", {"fd": True, "bitrate_switch": False, "data": "AABB", "length": 2}),
        ("123##3AA", {"fd": True, "bitrate_switch": True, "error_state_indicator": True}),
        ("20000004#0001", {"error": True, "extended": False, "id": 4}),
    ],
)
def test_a_frame_as_json(text: str, expected: dict[str, object]) -> None:
    document = as_json(BusFrame(1_790_000_001_467_548, A, text), "dashboard", BUS)
    assert document["time"] == 1790000001.467548
    assert (document["sender"], document["bus"]) == ("dashboard", BUS)
    assert {key: document[key] for key in expected} == expected


def test_a_number_that_the_plugin_has_chosen_is_not_guessed() -> None:
    numbered = DockerNetwork("a" * 64, "powertrain", {"vxcan.id": "auto"}, (), ())
    named = DockerNetwork("b" * 64, "body", {"vxcan.dev": "can_", "vxcan.id": "main"}, (), ())
    with pytest.raises(CliError, match=r"vxcan\.id=auto, and only the plugin knows"):
        derived_wiring(numbered, [numbered, named])
    assert derived_wiring(named, [numbered, named]).bus == "can_main"
