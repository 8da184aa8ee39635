"""Queues and classifiers of faults are decoded as they were encoded.

The kernel shows the attributes that it was given; ``tests/e2e/test_conformance.py`` proves that.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from evercan.kernel.fault_classifiers import add_match, decode_matches
from evercan.kernel.netlink import HEADER, Message
from evercan.kernel.qdiscs import decode_qdiscs, make_queue, set_band
from evercan.kernel.tc import TCMSG
from evercan.model.fault import MAX_FAULTS, FaultCount, FaultMatch, Netem
from evercan.model.steps import SetFaults

INDEX, MARKER = 7, 8
PROBABILITIES = st.integers(0, 0xFFFF_FFFF)
NANOSECONDS = st.integers(0, 60_000_000_000)
SLOTS = st.integers(1, MAX_FAULTS)

matches = st.builds(
    FaultMatch,
    slot=st.integers(0, MAX_FAULTS),
    source=st.sampled_from(["", "vcan0", "vxcan12345678f"]),
    can_id=st.integers(0, 0xFFFF_FFFF),
    mask=st.integers(0, 0xFFFF_FFFF),
    one_in=st.just(0),
    local=st.just(False),
)
bands = st.builds(
    Netem,
    loss=PROBABILITIES,
    duplicate=PROBABILITIES,
    corrupt=PROBABILITIES,
    delay=NANOSECONDS,
    jitter=NANOSECONDS,
    limit=st.integers(1, 1_000_000),
)


def shown(request: Message, handle: int | None = None) -> bytes:
    """Return the message of a dump about what a request makes, with the kernel's handle."""
    family, index, given_handle, parent, info = TCMSG.unpack_from(request.payload)
    head = TCMSG.pack(family, index, given_handle if handle is None else handle, parent, info)
    payload = head + request.payload[TCMSG.size :]
    return HEADER.pack(HEADER.size + len(payload), request.type, 0, 1, 1) + payload


def step(marker: int) -> SetFaults:
    """Return a step about an interface, or about one with limits."""
    return SetFaults("vcan0", None, INDEX, "vxcan1", marker, None)


@given(st.lists(matches), st.booleans())
def test_classifiers(found: list[FaultMatch], marked: bool) -> None:
    of_step = step(MARKER if marked else 0)
    dump = [shown(add_match(of_step, match), 0x8000_0800) for match in found]
    expected = found[::-1] if marked else found  # the last mark counts
    assert decode_matches(dump, marks=marked) == expected


@given(matches.flatmap(lambda match: st.builds(match._replace, one_in=st.integers(2, 0xFFFF))))
@example(FaultMatch(0, local=True))
def test_classifiers_of_a_queue_alone(match: FaultMatch) -> None:
    dump = [shown(add_match(step(0), match), 0x8000_0800)]
    assert decode_matches(dump, marks=False) == [match]


@given(st.dictionaries(SLOTS, st.none() | bands))
def test_queues(found: dict[int, Netem | None]) -> None:
    dump = [shown(make_queue(INDEX))]
    dump += [shown(set_band(INDEX, slot, band)) for slot, band in found.items()]
    decoded = decode_qdiscs(dump)[INDEX]
    assert {slot: band.netem for slot, band in decoded.items()} == found
    assert all(band.counted == FaultCount() for band in decoded.values())
