"""A full bus over a link for some seconds, or with EVERCAN_LONG for half an hour."""

from __future__ import annotations

import os

from bench.figures import WIRE
from bench.link import linked, undisturbed

SLICE = 5.0
"""Seconds; after each the memory is read."""

SLICES = 360 if os.environ.get("EVERCAN_LONG") else 4
GROWTH = 3.0
"""MB that the memory of a link may grow by after the first slice."""


def test_a_full_bus_loses_no_frame_and_memory_is_flat() -> None:
    # The deadline is longer than a busy machine keeps a program waiting.
    with undisturbed(), linked(deadline="5000") as way:
        first: list[float] = []
        for number in range(SLICES):
            run = way.run(WIRE, SLICE)
            assert (run.received, run.disordered) == (run.sent, 0), f"slice {number}"
            assert run.reached > 0.9 * WIRE, f"slice {number}"
            memory = way.memory()
            first = first or memory
            assert max(now - then for now, then in zip(memory, first, strict=True)) < GROWTH
            assert max(memory) < 60, f"slice {number}: {memory} MB"
