"""A table is decoded again only if its dump has changed, and what is read is what it holds."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import KernelError
from evercan.kernel.netlink import HEADER, Message, messages_of
from evercan.kernel.table import Table
from tests.support.netlink_peer import NetlinkPeer, Sent, connected_to, done, part

ROW = 24


class Rows:
    """A table whose rows a test sets, and what is decoded of its dumps."""

    def __init__(self, *, together: bool = False) -> None:
        self.rows: list[bytes] = []
        self.decoded: list[list[bytes]] = []
        self.dumps = 0
        self._together = together
        self._netlink = connected_to(NetlinkPeer(self._answer))
        self.table = Table(self._netlink, Message(26, 0, b"ask!"), self._decode)

    def _answer(self, sent: list[Sent]) -> list[bytes]:
        self.dumps += 1
        rows = [part(ROW, row, sent[0]) for row in self.rows]
        if self._together:
            return [b"".join([*rows, done(sent[0])])]
        return [*rows, done(sent[0])]

    def _decode(self, chunks: Iterable[bytes]) -> list[bytes]:
        rows = [
            data[found.offset + HEADER.size : found.offset + found.length]
            for data in chunks
            for found in messages_of(data)
        ]
        self.decoded.append(rows)
        return rows


def test_an_unchanged_table_is_decoded_two_times_and_then_only_read() -> None:
    made = Rows()
    made.rows = [b"one.", b"two."]
    assert [made.table.read() for _ in range(5)] == [made.rows] * 5
    assert (len(made.decoded), made.dumps) == (2, 5)


def test_a_change_is_seen_at_once_and_the_next_dumps_are_read_one_time_each() -> None:
    made = Rows()
    for _ in range(3):
        made.table.read()
    made.rows = [b"one."]
    dumps = made.dumps
    assert made.table.read() == [b"one."]
    assert made.dumps == dumps + 2, "the comparison, and the dump that is decoded"
    for number in range(4):
        made.rows = [struct.pack("=I", number)]
        dumps = made.dumps
        assert made.table.read() == made.rows
        assert made.dumps == dumps + 1


@pytest.mark.parametrize("together", [True, False], ids=["one datagram", "one each"])
@given(
    states=st.lists(
        st.lists(st.binary(min_size=1, max_size=9), max_size=4).filter(
            lambda rows: all(len(row) % 4 == 0 for row in rows)
        )
        | st.lists(st.sampled_from([b"row.", b"other...", b"DONE"]), max_size=9),
        max_size=4,
    ),
    order=st.lists(st.integers(0, 3), max_size=20),
)
def test_what_is_read_is_what_the_table_holds(
    together: bool, states: list[list[bytes]], order: list[int]
) -> None:
    made = Rows(together=together)
    for number in order:
        if number < len(states):
            made.rows = states[number]
        assert made.table.read() == made.rows


def test_after_a_failed_dump_the_table_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Rows()
    made.rows = [b"one."]
    for _ in range(3):
        made.table.read()
    peer = made._netlink._socket
    monkeypatch.setattr("evercan.kernel.netlink._open", lambda: peer)
    made._netlink.checkpoint = fail
    with pytest.raises(KernelError, match="stopped"):
        made.table.read()
    made._netlink.checkpoint = lambda: None
    peer.pending.clear()  # type: ignore[attr-defined] # a new socket has nothing to receive
    made.rows = [b"two."]
    assert made.table.read() == [b"two."]


def fail() -> None:
    raise KernelError("stopped", 5, "for the test")


def sizes() -> st.SearchStrategy[list[int]]:
    """Return sizes of rows: runs of equal ones, and some others."""
    run = st.tuples(st.integers(0, 9), st.integers(1, 40)).map(lambda pair: [4 * pair[0]] * pair[1])
    return st.lists(run, max_size=5).map(lambda runs: [size for some in runs for size in some])


@given(sizes())
def test_the_end_is_found_after_any_messages(sizes: list[int]) -> None:
    def answer(sent: list[Sent]) -> list[bytes]:
        rows = [part(ROW, bytes(size), sent[0]) for size in sizes]
        return [b"".join([*rows, done(sent[0])])]

    def lengths(chunks: Iterator[bytes]) -> list[int]:
        return [found.length - HEADER.size for data in chunks for found in messages_of(data)]

    netlink = connected_to(NetlinkPeer(answer))
    assert netlink.read(Message(26, 0, b""), lengths) == sizes
