"""Test which of a host's links works, and the names of links."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evercan.link.accounting import Stream
from evercan.link.members import MOST_HOSTS, MOST_STREAMS, Members
from evercan.link.message import Message
from evercan.link.names import LinkId, link_key, link_of

LINKS = st.builds(LinkId, st.just("a"), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
SEEN = st.lists(LINKS, min_size=1, max_size=6, unique_by=lambda link: link.epoch)


@given(SEEN)
def test_exactly_one_link_of_a_host_works_and_others_listen_to_the_same(
    links: list[LinkId],
) -> None:
    seen = [Members(link, 1) for link in links]
    other = Members(LinkId("b", 0, 0), 1)
    for link in links:
        for members in (*seen, other):
            members.joined(link)
    [working] = [members.own for members in seen if members.older is None]
    heard = [link for link in links if other.stream("a", link.epoch)]
    assert heard == [working] == [min(links, key=lambda link: link.age_order)]


@given(SEEN)
def test_the_next_oldest_link_takes_over(links: list[LinkId]) -> None:
    oldest, *others = sorted(links, key=lambda link: link.age_order)
    for index, link in enumerate(others):
        members = Members(link, 1)
        for other in links:
            members.joined(other)
        assert members.older == oldest
        members.left(oldest)
        assert (members.older is None) == (index == 0)


def test_a_link_does_not_forget_itself() -> None:
    own = LinkId("a", 5, 1)
    members = Members(own, 1)
    members.left(own)
    members.joined(LinkId("a", 9, 2))
    assert members.older is None


@given(LINKS)
def test_a_key_names_its_link(link: LinkId) -> None:
    assert link_of(link_key("bus", link)) == link


def test_other_keys_name_no_link() -> None:
    for key in ("evercan/bus/a", "evercan/bus/a/b", "evercan/bus/a/0-0", "a/b/c/d/e", ""):
        assert link_of(key) is None


def test_a_stranger_does_not_fill_the_memory() -> None:
    members = Members(LinkId("own", 0, 0), 1)
    for number in range(1000):
        members.joined(LinkId(f"host{number}", number, number))
        members.joined(LinkId("host0", number, number))
        members.stream("host0", number)
        members.stream(f"bad name {number}", 0)
    assert len(members.hosts) == MOST_HOSTS
    assert all(
        len(host.links) <= MOST_STREAMS and len(host.streams) <= MOST_STREAMS
        for host in members.hosts.values()
    )


def test_the_stream_of_a_former_run_is_forgotten_once_it_is_silent() -> None:
    members = Members(LinkId("b", 0, 0), 1)
    former, latest = LinkId("a", 1, 7), LinkId("a", 2, 8)
    members.joined(former)
    first = heard(members, 7, sequence=0, now=5)
    members.left(former)
    members.joined(latest)
    heard(members, 8, sequence=0, now=20)
    members.forget_idle(5)
    assert members.stream("a", 7) is first
    members.forget_idle(6)
    assert members.stream("a", 7) is not first


def test_frames_of_a_cut_are_counted_as_lost_however_long_it_was() -> None:
    members = Members(LinkId("b", 0, 0), 1)
    link = LinkId("a", 1, 7)
    members.joined(link)
    stream = heard(members, 7, sequence=0, now=5)
    members.left(link)
    members.forget_idle(10**15)
    members.joined(link)
    assert heard(members, 7, sequence=400, now=10**15) is stream
    assert stream.counts.lost == 400


def heard(members: Members, epoch: int, *, sequence: int, now: int) -> Stream:
    """Let a run of host a say which frame is its next one; return its stream."""
    stream = members.stream("a", epoch)
    assert stream is not None
    stream.accept(Message(epoch, sequence, now, ()), now)
    return stream
