"""Test the words for error frames."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.views.error_frame import error_words
from evercan.cli.views.frame import Frame, parse_frame
from tests.support.evercan_host import Host
from tests.unit.cli.conftest import frames_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20000000#0000000000000000", "an error without details"),
        ("20000001#", "a frame was not sent in time"),
        ("20000002#0000000000000000", "arbitration lost"),
        ("20000002#0B00000000000000", "arbitration lost in bit 11"),
        ("20000004#0000000000000000", "controller problem"),
        (
            "20000204#0008000000006000",
            "error-warning: many errors while sending; error counters: 96 tx, 0 rx",
        ),
        ("20000004#0010000000000000", "error-passive: too many errors while receiving"),
        ("20000004#0003000000000000", "receive buffer overflow; send buffer overflow"),
        ("20000004#0040000000000000", "error-active again"),
        ("20000008#0000000000000000", "protocol error"),
        ("20000088#0000821900000000", "form error, while sending in acknowledgement; bus error"),
        ("20000010#0000000000000000", "transceiver"),
        ("20000010#0000000074000000", "transceiver: CAN high: no wire, CAN low: short to ground"),
        ("20000020#", "no other node acknowledged a frame"),
        ("20000040#", "bus-off"),
        ("20000100#", "restarted"),
    ],
)
def test_error_frames_in_words(text: str, words: str) -> None:
    frame = parse_frame(text)
    assert frame is not None
    assert frame.error
    assert error_words(frame) == words


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))
def test_every_error_frame_has_words(classes: int, data: bytes) -> None:
    assert error_words(Frame(classes, data, error=True, length=len(data)))


LINES = [
    "(1790000001.000000) vcan0 123#01 R",
    "(1790000001.000100) vcan0 20000204#0008000000006000 R",
    "(1790000001.000200) vcan0 456#02 R",
]


def test_dump_prints_errors_in_words_whatever_the_filter_of_ids(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = frames_of(monkeypatch, *LINES)
    ended = powertrain.run("dump", "powertrain", "--errors", "--filter", "123", "-n", "2")
    assert ended.status == 0
    frame, error = ended.out.splitlines()
    assert frame == "(1790000001.000000) vcan0 123#01"
    assert error.startswith("(1790000001.000100) vcan0 20000204#0008000000006000 :: error-warning")
    assert error.endswith("; error counters: 96 tx, 0 rx")
    assert asked == [{"errors": True}]


def test_dump_of_error_frames_only_as_json(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_of(monkeypatch, *LINES)
    ended = powertrain.run(
        *("dump", "powertrain", "--errors", "--filter", "20000000:20000000", "--json", "-n", "1")
    )
    document = json.loads(ended.out)
    assert (document["error"], document["id"]) == (True, 0x204)
    assert document["error_words"].startswith("error-warning")


def test_without_errors_the_kernel_is_not_asked_for_them(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = frames_of(monkeypatch, LINES[0])
    assert powertrain.run("dump", "powertrain", "-n", "1").status == 0
    assert asked == [{"errors": False}]
