"""How long frames take on a virtual bus with a bitrate."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evercan.cli.views import bits
from evercan.kernel.wire_queues import labels
from evercan.model.controller import ControllerSettings
from evercan.model.wire import (
    CLASSIC_TOKENS,
    FD_TOKENS,
    Shape,
    Wire,
    bits_of,
    grouped,
    shapes,
    wire_of,
)

WIRES = st.builds(
    Wire, st.integers(5_000, 1_000_000), st.just(0) | st.integers(1_000_000, 20_000_000)
)
SHAPES = st.sampled_from([*shapes(fd=False), *shapes(fd=True)])


def exact(shape: Shape, can_id: int, payload: bytes, wire: Wire) -> float:
    """Return the bits of one frame on a wire, stuff bits counted, as bits of its bitrate."""
    name = f"{can_id & 0x1FFF_FFFF:08X}" if shape.extended else f"{can_id & 0x7FF:03X}"
    if shape.length is None:
        text = f"{name}#R0"
    elif shape.fd:
        text = f"{name}##{int(shape.switched)}{payload[: shape.length].hex().upper()}"
    else:
        text = f"{name}#{payload[: shape.length].hex().upper()}"
    counted = bits.bits_of_text(text)
    return counted.seconds(wire.bitrate, wire.dbitrate) * wire.bitrate


@given(SHAPES, st.integers(0, 0x1FFF_FFFF), st.binary(min_size=64, max_size=64), WIRES)
def test_a_frame_is_charged_for_within_a_tenth_of_what_it_takes_at_random(
    shape: Shape, can_id: int, payload: bytes, wire: Wire
) -> None:
    assume(not shape.switched or wire.dbitrate)
    takes = exact(shape, can_id, payload, wire)
    # Stuff bits depend on the id and the payload, and are at most one for four bits.
    assert takes * 0.8 <= bits_of(shape, wire) <= takes * 1.1


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (Shape(False, False, None), 48),
        (Shape(False, False, 0), 48),
        (Shape(False, False, 8), 115),
        (Shape(False, True, 8), 135),
        (Shape(True, False, 64), 600),
        (Shape(True, False, 64, switched=True), 173),
    ],
)
def test_bits_of_known_frames(shape: Shape, wanted: int) -> None:
    assert bits_of(shape, Wire(500_000, 2_000_000)) == wanted


@given(WIRES, st.booleans())
def test_groups_are_few_and_close_to_what_their_frames_take(wire: Wire, fd: bool) -> None:
    groups = FD_TOKENS if fd else CLASSIC_TOKENS
    found = grouped(wire, fd=fd, groups=groups)
    assert len(found) <= groups
    grouped_shapes = [shape for group in found.values() for shape in group]
    assert len(grouped_shapes) == len(set(grouped_shapes)) == len(shapes(fd=fd))
    error = max(
        abs(charged - bits_of(shape, wire)) / bits_of(shape, wire)
        for charged, group in found.items()
        for shape in group
    )
    assert error <= (0.08 if fd else 0.0)


@given(WIRES)
def test_tokens_of_different_costs_have_different_lengths(wire: Wire) -> None:
    costs: dict[int, int] = {}
    for shape, number, charged in labels(wire):
        assert 1 <= number <= 31, "a classifier has at most 32 actions"
        length = (72 if shape.fd else 16) + 4 * number
        assert length not in (16, 72), "a token has the length of a frame"
        assert costs.setdefault(length, charged) == charged
    assert len(labels(wire)) == len(shapes(fd=False)) + len(shapes(fd=True))


def test_only_a_bitrate_makes_a_wire() -> None:
    assert wire_of(ControllerSettings()) is None
    assert wire_of(ControllerSettings(fd=True)) is None
    assert wire_of(ControllerSettings(bitrate=500_000, dbitrate=2_000_000)) == Wire(
        500_000, 2_000_000
    )
    assert Wire(500_000, 2_000_000).words() == "500000 bit/s, 2000000 in FD frames"
