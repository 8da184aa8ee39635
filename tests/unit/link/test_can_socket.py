"""Test when frames count as arrived, with a socket that has the kernel's timestamps."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from evercan.link.can_socket import CanSocket
from tests.support.links import classic
from tools.common.polling import wait_until

HOUR = 3_600_000_000_000
PAUSE = 0.05


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, CanSocket]]:
    """Yield two ends of a UDP connection: the kernel stamps what is received."""
    here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    there.bind(("127.0.0.1", 0))
    here.connect(there.getsockname())
    can = CanSocket(there)

    def stamped() -> bool:
        """Return whether the kernel does so already; it begins a moment after it was asked to."""
        here.send(classic(0))
        time.sleep(PAUSE)
        read_at = time.monotonic_ns()
        batch = can.read()
        return batch is not None and read_at - batch.arrived > PAUSE * 0.9e9

    wait_until(stamped, 10, "the kernel to stamp frames")
    yield here, can
    here.close()
    can.close()


def test_frames_that_wait_have_arrived_when_the_kernel_had_them(
    ends: tuple[socket.socket, CanSocket],
) -> None:
    here, can = ends
    for number in range(3):
        here.send(classic(number))
        time.sleep(PAUSE)
    here.send(classic(0x20000000, bytes(8)))
    read_at = time.monotonic_ns()
    batch = can.read()
    assert batch is not None
    assert batch.frames == [classic(number) for number in range(3)]
    assert batch.errors == 1
    assert PAUSE * 3e9 <= read_at - batch.arrived < PAUSE * 3e9 + 2e9
    first, second = batch.later
    assert first >= PAUSE * 1e9
    assert second - first >= PAUSE * 1e9


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_set_clock_makes_no_frame_old(
    ends: tuple[socket.socket, CanSocket], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    here, can = ends
    today = time.time_ns
    here.send(classic(1))
    monkeypatch.setattr(time, "time_ns", lambda: today() + step)
    batch = can.read()
    assert batch is not None
    assert 0 <= time.monotonic_ns() - batch.arrived < 1e9
