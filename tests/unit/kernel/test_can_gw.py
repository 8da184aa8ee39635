"""can-gw jobs as bytes, as ``net/can/gw.c`` reads and writes them."""

from __future__ import annotations

import socket
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.kernel import can_gw
from evercan.kernel.can_gw import NotCanGw, decode_rules, decode_with_counts
from evercan.model.rule import Rule, RuleCount
from tests.support.netlink_peer import attribute, message

# linux/can/gw.h
MOD_AND, MOD_SET, HANDLED, DROPPED, SRC_IF, DST_IF, FILTER, DELETED, LIM_HOPS, MOD_UID = (
    1, 4, 7, 8, 9, 10, 11, 12, 13, 14,
)  # fmt: skip
NEWROUTE, DELROUTE = 24, 25
MAX = 2**31 - 1
UNUSED = RuleCount()


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


def job(rule: Rule, count: RuleCount = UNUSED) -> bytes:
    """Write a job as cgw_put_job does: counters that are not 0, hops, mods and filter, ends."""
    payload = struct.pack("=BBH", socket.AF_CAN, 1, rule.flags)
    for kind, value in (
        (HANDLED, count.handled),
        (DROPPED, count.dropped),
        (DELETED, count.deleted),
    ):
        payload += attribute(kind, u32(value)) if value else b""
    payload += attribute(LIM_HOPS, bytes([rule.hops])) if rule.hops else b""
    payload += rule.extras
    payload += attribute(SRC_IF, u32(rule.source)) + attribute(DST_IF, u32(rule.target))
    return message(NEWROUTE, payload, flags=2)


extras = st.lists(
    st.one_of(
        st.builds(
            attribute, st.sampled_from([MOD_AND, MOD_SET]), st.binary(min_size=17, max_size=17)
        ),
        st.builds(attribute, st.just(FILTER), st.binary(min_size=8, max_size=8)),
        st.builds(attribute, st.just(MOD_UID), st.binary(min_size=4, max_size=4)),
    ),
    max_size=3,
).map(b"".join)
indexes = st.one_of(st.integers(1, 300), st.integers(1, MAX))
rules = st.builds(
    Rule,
    indexes,
    indexes,
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.one_of(st.just(b""), extras),
)
counts = st.builds(RuleCount, *[st.one_of(st.just(0), st.integers(0, 2**32 - 1))] * 3)


def counted(jobs: list[tuple[Rule, RuleCount]]) -> Counter[tuple[Rule, RuleCount]]:
    """Return the jobs that have counted frames."""
    return Counter((rule, count) for rule, count in jobs if any(count))


def chunked(jobs: list[bytes], size: int) -> list[bytes]:
    return [b"".join(jobs[at : at + size]) for at in range(0, len(jobs), size)]


@given(st.lists(st.tuples(rules, counts), max_size=20), st.integers(1, 7))
def test_a_dump_is_read_as_a_multiset(jobs: list[tuple[Rule, RuleCount]], size: int) -> None:
    chunks = chunked([job(rule, count) for rule, count in jobs], size)
    assert decode_rules(chunks) == Counter(rule for rule, _ in jobs)
    both, counts = decode_with_counts(chunks)
    assert both == Counter(rule for rule, _ in jobs)
    assert Counter(counts) == counted(jobs)


plain = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([4, 5, 12])).map(
    lambda row: Rule(*row)
)
few_counts = st.builds(RuleCount, *[st.sampled_from([0, 0, 1])] * 3)
runs = st.lists(
    st.tuples(st.one_of(plain, plain, plain, rules), few_counts, st.integers(1, 12)), max_size=12
)


@given(runs, st.integers(1, 200))
def test_neighbours_with_equal_counters_are_read_like_single_jobs(
    runs: list[tuple[Rule, RuleCount, int]], size: int
) -> None:
    jobs = [(rule, count) for rule, count, times in runs for _ in range(times)]
    chunks = chunked([job(rule, count) for rule, count in jobs], size)
    assert decode_rules(chunks) == Counter(rule for rule, _ in jobs)
    both, counts = decode_with_counts(chunks)
    assert both == Counter(rule for rule, _ in jobs)
    assert Counter(counts) == counted(jobs)


@given(st.integers(0, 43), st.integers(0, 255), st.integers(0, 4))
def test_a_message_that_differs_in_one_byte_is_read_correctly(
    at: int, value: int, which: int
) -> None:
    jobs = [job(Rule(3, 7, 4)) for _ in range(5)]
    assert len(jobs[which]) == 44
    # Length and family are read before the job; all other bytes may differ.
    if at in (0, 1, 2, 3, 16):
        return
    jobs[which] = jobs[which][:at] + bytes([value]) + jobs[which][at + 1 :]
    data = b"".join(jobs)
    assert decode_rules([data]) == Counter(rule for rule, _ in can_gw._jobs(data))


@given(rules)
def test_a_rule_that_is_added_or_removed_equals_the_rule_that_is_listed(rule: Rule) -> None:
    for request, kind in ((can_gw.add(rule), NEWROUTE), (can_gw.remove(rule), DELROUTE)):
        assert request.type == kind
        assert decode_rules([message(NEWROUTE, request.payload)]) == Counter([rule])


def test_a_plain_rule_is_added_with_these_bytes() -> None:
    assert can_gw.add(Rule(3, 7, 0x05)).payload == (
        struct.pack("=BBH", 29, 1, 0x05)
        + struct.pack("=HHB3x", 5, LIM_HOPS, 1)
        + struct.pack("=HHI", 8, SRC_IF, 3)
        + struct.pack("=HHI", 8, DST_IF, 7)
    )


@pytest.mark.parametrize("ends", [(0, 0), (0, 5), (5, 0), (-1, 5), (5, -1), (-1, -1)])
def test_a_message_that_would_flush_the_hosts_table_cannot_be_built(
    ends: tuple[int, int],
) -> None:
    for build in (can_gw.add, can_gw.remove):
        with pytest.raises(ValueError, match="two interfaces"):
            build(Rule(*ends, 0x04))


@given(st.integers(-MAX, MAX), st.integers(-MAX, MAX), st.integers(0, 0xFFFF), extras)
def test_a_removal_never_has_both_ifindexes_0(
    source: int, target: int, flags: int, more: bytes
) -> None:
    try:
        payload = can_gw.remove(Rule(source, target, flags, 1, more)).payload
    except ValueError:
        return
    assert payload.endswith(attribute(SRC_IF, u32(source)) + attribute(DST_IF, u32(target)))
    assert source > 0
    assert target > 0


def test_ip_routes_in_the_answer_are_an_error() -> None:
    ip_route = message(NEWROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, 24, *[0] * 7))
    for chunks in ([ip_route], [job(Rule(3, 7, 4)) + ip_route], [job(Rule(3, 7, 4)), ip_route]):
        with pytest.raises(NotCanGw):
            decode_rules(chunks)
        with pytest.raises(NotCanGw):
            decode_with_counts(chunks)


def test_an_empty_table_has_no_rule() -> None:
    assert decode_rules([]) == Counter()


def test_a_listing_asks_for_can_only() -> None:
    request = can_gw.list_all()
    assert request.type == 26
    assert request.payload[0] == socket.AF_CAN


def test_ten_thousand_rules_are_read() -> None:
    table = [job(Rule(n % 100 + 1, n // 100 + 200, 4), RuleCount(n)) for n in range(10_000)]
    assert len(decode_rules(chunked(table, 300))) == 10_000
