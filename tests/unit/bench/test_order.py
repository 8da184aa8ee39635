"""Frames that overtake others are counted."""

from __future__ import annotations

import socket

import pytest

from bench.host_tasks import order

QUIET = 0.2


@pytest.mark.parametrize(
    ("numbers", "late"),
    [([], 0), ([0, 1, 2, 3], 0), ([0, 2, 1, 3], 1), ([3, 0, 1, 2], 3), ([0, 5, 6], 0)],
)
def test_frames_that_come_after_a_later_one_are_late(
    monkeypatch: pytest.MonkeyPatch, numbers: list[int], late: int
) -> None:
    monkeypatch.setattr(order, "QUIET", QUIET)
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        for number in numbers:
            sender.send(order.NUMBERED.pack(0x123, 8, number))
        assert order.late(receiver) == (len(numbers), late)
