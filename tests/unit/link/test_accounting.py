"""Test what becomes of received frames, and the estimate of another host's clock."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from evercan.link.accounting import Received, Stream
from evercan.link.clock import ClockOffset, Ping
from evercan.link.limit import Limit
from evercan.link.message import Message

MS = 1_000_000
DEADLINE = 100 * MS


def numbered(first: int, count: int, source_time: int = 0) -> Message:
    """Return a message whose frames are their sequence numbers."""
    frames = tuple(number.to_bytes(4, "big") for number in range(first, first + count))
    return Message(1, first, source_time, frames)


@st.composite
def received(draw: st.DrawFn) -> tuple[int, list[Message]]:
    """Return a number of frames, and their messages as a bad network hands them over."""
    sizes = draw(st.lists(st.integers(1, 64), min_size=1, max_size=12))
    sent, first = [], 0
    for size in sizes:
        sent.append(numbered(first, size))
        first += size
    # The first message fixes where the stream begins; the heartbeat at the end shows the rest.
    middle = draw(st.permutations(sent[1:]))
    kept = [message for message in middle if draw(st.booleans())]
    doubled = [message for message in kept if draw(st.booleans())]
    return first, [sent[0], *kept, *doubled, numbered(first, 0)]


@given(received())
def test_each_frame_is_delivered_once_and_in_order_or_counted_as_lost(
    case: tuple[int, list[Message]],
) -> None:
    sent, messages = case
    stream = Stream(Received(), DEADLINE)
    delivered = [frame for message in messages for frame in stream.accept(message, 0)[0]]
    assert delivered == sorted(set(delivered))
    assert len(delivered) + stream.counts.lost == sent
    handed_over = sum(len(message.frames) for message in messages)
    assert stream.counts.doubled == handed_over - len(delivered)
    assert stream.counts.late == 0


@given(st.integers(-(10**15), 10**15), st.integers(0, 300 * MS), st.integers(0, 90 * MS))
def test_frames_older_than_the_deadline_are_late_whatever_the_clocks_show(
    offset: int, age: int, way: int
) -> None:
    stream = Stream(Received(), DEADLINE)
    now = 10**15
    stream.clock.add(Ping(now - 2 * way, now - way + offset, now))
    frames, _ = stream.accept(numbered(0, 3, source_time=now + offset - age), now)
    assert (len(frames), stream.counts.late) == ((3, 0) if age <= DEADLINE else (0, 3))


def test_the_first_message_counts_as_new_until_a_ping_is_answered() -> None:
    stream = Stream(Received(), DEADLINE)
    assert stream.accept(numbered(0, 1, source_time=5_000 * MS), 20 * MS)[0]
    assert not stream.accept(numbered(1, 1, source_time=5_000 * MS), 130 * MS)[0]
    assert stream.counts == Received(late=1)


def test_a_late_frame_is_not_lost_too() -> None:
    stream = Stream(Received(), DEADLINE)
    stream.accept(numbered(0, 1), 0)
    stream.accept(numbered(1, 4), 200 * MS)
    stream.accept(numbered(7, 0, 400 * MS), 400 * MS)
    assert asdict(stream.counts) == {
        "delivered": 0,
        "late": 4,
        "doubled": 0,
        "lost": 2,
        "failed": 0,
        "limited": 0,
    }


@given(
    st.integers(1, 20_000),
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(1, 64)), min_size=1, max_size=60),
)
def test_a_host_is_held_to_its_limit_and_what_is_more_is_counted(
    rate: int, messages: list[tuple[int, int]]
) -> None:
    stream = Stream(Received(), DEADLINE, Limit(rate))
    now = sent = taken = 0
    for pause, count in messages:
        now += pause
        taken += len(stream.accept(numbered(sent, count, now), now)[0])
        sent += count
    assert taken + stream.counts.limited == sent
    burst = max(rate / 10, 64)
    assert taken <= burst + rate * now / 1e9 + 1
    if sent <= burst:
        assert taken == sent


def test_a_host_that_keeps_to_its_limit_loses_nothing() -> None:
    stream = Stream(Received(), DEADLINE, Limit(8000))
    for number in range(20_000):
        now = number * 125_000
        assert stream.accept(numbered(number, 1, now), now) == (numbered(number, 1).frames, 0)
    assert stream.counts == Received()


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 50 * MS)), min_size=1, max_size=30),
)
def test_the_error_of_the_offset_is_at_most_half_the_shortest_round_trip(
    offset: int, ways: list[tuple[int, int]]
) -> None:
    clock = ClockOffset()
    now = 0
    for there, back in ways:
        clock.add(Ping(now, now + there + offset, now + there + back))
        now += 1000 * MS
    shortest = min(there + back for there, back in ways[-16:])
    assert clock.offset is not None
    assert abs(clock.offset - offset) <= shortest / 2 + 1


def test_a_clock_that_stood_still_is_believed_at_the_next_ping() -> None:
    clock = ClockOffset()
    clock.add(Ping(0, 1 * MS, 2 * MS))
    clock.add(Ping(1000 * MS, 501 * MS, 1010 * MS))  # the other machine was suspended
    assert clock.offset == -504 * MS
    assert clock.round_trip == 10 * MS
