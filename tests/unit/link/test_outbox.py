"""Test how received frames wait for a slow bus, or for the time at which they are written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

from evercan.link.accounting import Received, Stream
from evercan.link.can_socket import CanSocket
from evercan.link.message import Message
from evercan.link.outbox import MOST_OF_ONE, Outbox
from tests.support.links import Bus, classic
from tools.common.polling import wait_until

SECOND = 1_000_000_000


def message(sequence: int, count: int, can_id: int, spacing: int = 0) -> Message:
    """Return a message of frames that have arrived just now, with a spacing in ns."""
    frames = tuple(classic(can_id, bytes([number])) for number in range(count))
    later = tuple(spacing * number for number in range(1, count))
    return Message(1, sequence, time.monotonic_ns(), frames, later)


def with_bus(test: Callable[[Outbox, Bus], None], playout: int = 0) -> None:
    """Run a test with a working outbox and its bus."""
    bus, outbox = Bus(), Outbox(playout)
    outbox.can = CanSocket(bus.theirs)
    threading.Thread(target=outbox.run, daemon=True).start()
    try:
        test(outbox, bus)
    finally:
        outbox.can = None
        bus.close()


def fill(outbox: Outbox, stream: Stream, can_id: int, count: int) -> None:
    """Put frames in messages of 64."""
    for first in range(0, count, 64):
        outbox.put(message(first, 64, can_id), stream, time.monotonic_ns())


def test_a_host_that_floods_a_slow_bus_leaves_room_for_others() -> None:
    def test(outbox: Outbox, bus: Bus) -> None:
        flood, other = (Stream(Received(), SECOND * 60) for _ in range(2))
        fill(outbox, flood, 1, 8 * MOST_OF_ONE)  # more than the socket and the outbox hold
        assert flood.counts.failed > 0
        fill(outbox, other, 2, 128)
        assert other.counts == Received()
        written, waiting = flood.counts.delivered, len(outbox)
        seen = [frame[0] for frame in bus.receive(written + waiting)]
        assert seen[:written] == [1] * written
        assert seen[written:].count(1) == MOST_OF_ONE
        assert seen[written : written + 258].count(2) == 128
        wait_until(lambda: other.counts.delivered == 128, 5, "the counts")

    with_bus(test)


def test_frames_keep_their_spacing_with_a_playout_delay() -> None:
    def test(outbox: Outbox, bus: Bus) -> None:
        stream = Stream(Received(), SECOND)
        sent = message(0, 4, 1, 20_000_000)
        outbox.put(sent, stream, sent.source_time)
        moments = []
        for frame in sent.frames:
            assert bus.receive(1) == [frame]
            moments.append(time.monotonic_ns())
        early = [moment - sent.source_time for moment in moments]
        assert all(age >= 100_000_000 + 20_000_000 * n for n, age in enumerate(early))
        assert all(later - earlier > 5_000_000 for earlier, later in pairwise(moments))
        wait_until(lambda: stream.counts == Received(delivered=4), 5, "the counts")

    with_bus(test, 100_000_000)


def test_a_frame_that_is_due_earlier_does_not_wait_for_one_of_another_host() -> None:
    def test(outbox: Outbox, bus: Bus) -> None:
        late, early = (Stream(Received(), SECOND * 60) for _ in range(2))
        now = time.monotonic_ns()
        outbox.put(Message(1, 0, now, (classic(1),)), early, now)
        # Its clock begins with this message, so that the next one was made ten seconds later.
        outbox.put(Message(1, 0, 0, (classic(2),)), late, now)
        outbox.put(Message(1, 1, 10 * SECOND, (classic(3),)), late, now)
        assert bus.receive(2, 3) == [classic(1), classic(2)]
        outbox.put(Message(1, 1, time.monotonic_ns(), (classic(4),)), early, time.monotonic_ns())
        assert bus.receive(1, 3) == [classic(4)]
        wait_until(lambda: len(outbox) == 1, 5, "only one frame to wait")

    with_bus(test, 200_000_000)
