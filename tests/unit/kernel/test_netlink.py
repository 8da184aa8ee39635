"""Requests are sent in batches, errors reach their message, and dumps are complete."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.errors import KernelError
from evercan.kernel import can_gw, links
from evercan.kernel.netlink import Message, NetlinkSocket, Reply
from evercan.kernel.port import go_on
from evercan.model.rule import Rule, RuleCount
from evercan.model.rule_table import RuleTable
from tests.support.netlink_peer import (
    Answers,
    NetlinkPeer,
    Sent,
    attribute,
    connected_to,
    done,
    error,
    message,
    part,
)

_REQUEST, _ACK, _DUMP = 0x01, 0x04, 0x300
ROW = 24


def batch(answers: Answers, messages: list[Message]) -> tuple[list[Reply], NetlinkPeer]:
    peer = NetlinkPeer(answers)
    return connected_to(peer).batch(messages), peer


def dump(answers: Answers) -> tuple[list[bytes], NetlinkPeer]:
    peer = NetlinkPeer(answers)
    return connected_to(peer).dump(Message(26, 0, b"ask!")), peer


def requests(number: int) -> list[Message]:
    return [Message(ROW, 0x400, bytes([n % 256]) * (n % 7)) for n in range(number)]


# --- batches --------------------------------------------------------------------


def test_only_the_last_of_a_batch_asks_for_an_acknowledgement() -> None:
    answers, peer = batch(lambda sent: [error(sent[-1])], requests(3))
    assert answers == [Reply(0)] * 3
    (sent,) = peer.sent
    assert [request.flags & _ACK for request in sent] == [0, 0, _ACK]
    assert all(request.flags & _REQUEST and request.flags & 0x400 for request in sent)
    assert [request.payload for request in sent] == [request.payload for request in requests(3)]


@given(st.integers(1, 900), st.data())
def test_every_error_reaches_its_own_message(number: int, data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.integers(0, number - 1), max_size=20))
    size = data.draw(st.integers(1, 5))
    seen = 0

    def reject(sent: list[Sent]) -> list[bytes]:
        nonlocal seen
        answers = [
            error(request, errno.EINVAL, f"row {seen + n}")
            for n, request in enumerate(sent)
            if seen + n in failing
        ]
        if seen + len(sent) - 1 not in failing:
            answers.append(error(sent[-1]))
        seen += len(sent)
        return [b"".join(answers[at : at + size]) for at in range(0, len(answers), size)]

    answers, _ = batch(reject, requests(number))
    assert {n for n, answer in enumerate(answers) if answer.code} == failing
    assert all(answers[n] == Reply(errno.EINVAL, f"row {n}") for n in failing)


def test_a_large_batch_is_sent_in_pieces_in_order() -> None:
    _, peer = batch(lambda sent: [error(sent[-1])], requests(1000))
    assert 1 < len(peer.sent) < 10
    sequences = [request.sequence for sent in peer.sent for request in sent]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 1000


def test_an_empty_batch_sends_nothing() -> None:
    answers, peer = batch(lambda _: [], [])
    assert (answers, peer.sent) == ([], [])


@pytest.mark.parametrize("capped", [True, False], ids=["header echoed", "whole request echoed"])
def test_the_kernels_own_message_is_read(capped: bool) -> None:
    words = "operation is not possible"
    answers, _ = batch(
        lambda sent: [error(sent[0], errno.EOPNOTSUPP, words, capped=capped)],
        [Message(16, 0, b"seven!!")],
    )
    assert answers == [Reply(errno.EOPNOTSUPP, words)]


def test_an_error_without_a_message_is_an_errno() -> None:
    answers, _ = batch(lambda sent: [error(sent[0], errno.EEXIST)], requests(1))
    assert answers == [Reply(errno.EEXIST, "")]


def test_answers_to_earlier_requests_are_ignored() -> None:
    def answer(sent: list[Sent]) -> list[bytes]:
        stale = sent[0]._replace(sequence=sent[0].sequence + 5000)
        return [error(stale, errno.EPERM), part(ROW, b"left", stale), error(sent[-1])]

    answers, _ = batch(answer, requests(2))
    assert answers == [Reply(0), Reply(0)]


def test_a_missing_answer_is_an_error() -> None:
    with pytest.raises(KernelError, match=r"receive from the kernel.*ETIMEDOUT"):
        batch(lambda _: [], requests(1))


# --- dumps ----------------------------------------------------------------------


def test_a_dump_is_all_datagrams_up_to_the_end() -> None:
    chunks, peer = dump(
        lambda sent: [
            part(ROW, b"one.", sent[0]) + part(ROW, b"two.", sent[0]),
            part(ROW, b"three...", sent[0]) + done(sent[0]),
        ]
    )
    whole = b"".join(chunks)
    assert all(word in whole for word in (b"one.", b"two.", b"three..."))
    (sent,) = peer.sent[0]
    assert sent.flags == _REQUEST | _DUMP


def test_an_empty_table_has_no_datagram() -> None:
    chunks, _ = dump(lambda sent: [done(sent[0])])
    assert chunks == []


@pytest.mark.parametrize("where", ["first part", "end"])
def test_an_interrupted_dump_is_requested_again(where: str) -> None:
    tries: Iterator[bool] = iter([True, True, False])

    def answer(sent: list[Sent]) -> list[bytes]:
        torn = next(tries)
        row = b"torn" if torn else b"good"
        first, end = torn and where == "first part", torn and where == "end"
        return [
            part(ROW, row, sent[0], interrupted=first),
            done(sent[0], interrupted=end),
        ]

    chunks, peer = dump(answer)
    assert len(peer.sent) == 3
    assert b"torn" not in b"".join(chunks)
    assert b"good" in b"".join(chunks)


def test_a_dump_that_is_always_interrupted_is_returned_as_last_read() -> None:
    chunks, peer = dump(lambda sent: [part(ROW, b"row.", sent[0], interrupted=True), done(sent[0])])
    assert b"row." in b"".join(chunks)
    assert 2 < len(peer.sent) < 50


def test_a_rejected_dump_is_an_error_with_the_kernels_message() -> None:
    with pytest.raises(KernelError, match=r"Operation not permitted.*not for you") as rejection:
        dump(lambda sent: [error(sent[0], errno.EPERM, "not for you")])
    assert rejection.value.code == errno.EPERM


def test_a_dump_that_fails_at_its_end_is_an_error() -> None:
    with pytest.raises(KernelError) as rejection:
        dump(lambda sent: [part(ROW, b"row.", sent[0]), done(sent[0], code=errno.EINVAL)])
    assert rejection.value.code == errno.EINVAL


def test_the_rest_of_an_earlier_answer_is_skipped() -> None:
    def answer(sent: list[Sent]) -> list[bytes]:
        stale = sent[0]._replace(sequence=sent[0].sequence - 1)
        return [
            part(ROW, b"old!", stale),
            done(stale),
            part(ROW, b"new!", sent[0]),
            done(sent[0]),
        ]

    chunks, _ = dump(answer)
    assert b"old!" not in b"".join(chunks)
    assert b"new!" in b"".join(chunks)


# --- dumps that are decoded as they come --------------------------------------------


def rule_of(source: int, to: Sent, *, interrupted: bool = False) -> bytes:
    """Return an entry of a dump of rules, one that has handled as many frames as its source."""
    payload = can_gw.add(Rule(source, 9, 4)).payload
    handled = attribute(can_gw.HANDLED, struct.pack("=I", source))
    return part(ROW, payload[:4] + handled + payload[4:], to, interrupted=interrupted)


def test_datagrams_are_decoded_before_the_next_one_is_received() -> None:
    peer = NetlinkPeer(
        lambda sent: [*(rule_of(source, sent[0]) for source in (3, 4, 5)), done(sent[0])]
    )
    left: list[int] = []

    def decode(chunks: Iterator[bytes]) -> list[RuleTable]:
        tables = []
        for chunk in chunks:
            left.append(len(peer.pending))
            tables.append(can_gw.decode_rules([chunk]))
        return tables

    tables = connected_to(peer).read(can_gw.list_all(), decode)
    assert tables == [RuleTable.of([Rule(source, 9, 4)]) for source in (3, 4, 5)]
    assert left == [3, 2, 1]


def test_a_dump_is_received_to_its_end_even_if_decoding_ends_before_it() -> None:
    peer = NetlinkPeer(
        lambda sent: [*(rule_of(source, sent[0]) for source in (3, 4, 5)), done(sent[0])]
    )
    netlink = connected_to(peer)
    assert netlink.read(can_gw.list_all(), lambda chunks: len(next(chunks))) > 0
    assert peer.pending == []
    assert netlink.read(can_gw.list_all(), can_gw.decode_rules).total() == 3


@pytest.mark.parametrize("where", ["first part", "end"])
def test_nothing_of_an_interrupted_dump_is_decoded_into_the_next(where: str) -> None:
    tries: Iterator[bool] = iter([True, False])

    def answer(sent: list[Sent]) -> list[bytes]:
        torn = next(tries)
        first, end = torn and where == "first part", torn and where == "end"
        return [
            rule_of(3, sent[0], interrupted=first),
            rule_of(7 if torn else 4, sent[0]),
            done(sent[0], interrupted=end),
        ]

    peer = NetlinkPeer(answer)
    rules, counts = connected_to(peer).read(can_gw.list_all(), can_gw.decode_with_counts)
    assert len(peer.sent) == 2
    assert rules == RuleTable.of([Rule(3, 9, 4), Rule(4, 9, 4)])
    assert list(counts) == [(Rule(3, 9, 4), RuleCount(3)), (Rule(4, 9, 4), RuleCount(4))]


def test_after_an_error_while_decoding_the_next_exchange_has_a_new_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ip_route = struct.pack("=BBBBBBBBI", socket.AF_INET, 24, *[0] * 7)
    peer = NetlinkPeer(
        lambda sent: [part(ROW, ip_route, sent[0]), rule_of(3, sent[0]), done(sent[0])]
    )
    netlink = connected_to(peer)
    with pytest.raises(can_gw.NotCanGw):
        netlink.read(can_gw.list_all(), can_gw.decode_rules)
    assert len(peer.pending) == 2  # the rest of the dump was not read
    fresh = NetlinkPeer(lambda sent: [rule_of(4, sent[0]) + done(sent[0])])
    monkeypatch.setattr("evercan.kernel.netlink._open", lambda: fresh)
    rules = netlink.read(can_gw.list_all(), can_gw.decode_rules)
    assert rules == RuleTable.of([Rule(4, 9, 4)])


def test_a_checkpoint_ends_a_dump_between_two_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = NetlinkPeer(
        lambda sent: [rule_of(3, sent[0]), rule_of(4, sent[0]), rule_of(5, sent[0]), done(sent[0])]
    )
    netlink = connected_to(peer)
    left = 2

    def checkpoint() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    netlink.checkpoint = checkpoint
    with pytest.raises(InterruptedError):
        netlink.read(can_gw.list_all(), can_gw.decode_rules)
    assert len(peer.pending) == 2  # the rest of the dump was not read
    netlink.checkpoint = go_on
    fresh = NetlinkPeer(lambda sent: [rule_of(6, sent[0]) + done(sent[0])])
    monkeypatch.setattr("evercan.kernel.netlink._open", lambda: fresh)
    rules = netlink.read(can_gw.list_all(), can_gw.decode_rules)
    assert rules == RuleTable.of([Rule(6, 9, 4)])


# --- a single answer ---------------------------------------------------------------


def test_a_request_gets_its_one_answer() -> None:
    peer = NetlinkPeer(lambda sent: [part(ROW, b"row.", sent[0]), error(sent[0])])
    answer, reply = connected_to(peer).request(Message(18, 0, b""))
    assert answer is not None
    assert b"row." in answer
    assert reply == Reply(0)


# --- the kernel that the tests run on -----------------------------------------------------------


def test_the_real_kernel_answers_a_batch() -> None:
    with NetlinkSocket() as netlink:
        answers = netlink.batch(
            [links.delete(0x7FFF_FFF0), links.bring_up("nosuch-evercan"), links.delete(0x7FFF_FFF1)]
        )
    assert len(answers) == 3
    assert {answer.code for answer in answers} <= {errno.ENODEV, errno.EPERM, errno.EINVAL}
    assert all(answer.code for answer in answers)


def test_a_dump_of_the_real_kernel_is_complete_messages() -> None:
    with NetlinkSocket() as netlink:
        for data in netlink.dump(links.list_all()):
            at = 0
            while at < len(data):
                (length,) = struct.unpack_from("=I", data, at)
                assert length >= 16
                at += length + -length % 4
            assert at == len(data)


def test_a_message_is_padded_to_four_bytes_and_its_length_is_not() -> None:
    assert message(ROW, b"abc")[:4] == struct.pack("=I", 19)
    _, peer = batch(
        lambda sent: [error(sent[-1])], [Message(ROW, 0, b"abc"), Message(ROW, 0, b"d")]
    )
    assert [request.payload for request in peer.sent[0]] == [b"abc", b"d"]


# --- errors in an exchange ---------------------------------------------------------------


class BusyPeer(NetlinkPeer):
    """Has a dump running from the first request on, as a kernel whose dump was not read."""

    def __init__(self) -> None:
        super().__init__(lambda sent: [error(sent[-1], errno.EBUSY)])
        self.closed = False

    def recv(self, size: int) -> bytes:
        if len(self.sent) == 1:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return super().recv(size)

    def close(self) -> None:
        self.closed = True


EXCHANGES: dict[str, Callable[[NetlinkSocket], object]] = {
    "dump": lambda netlink: netlink.dump(Message(26, 0, b"")),
    "batch": lambda netlink: netlink.batch(requests(2)),
    "request": lambda netlink: netlink.request(Message(ROW, 0, b"")),
}


@pytest.mark.parametrize("fails", EXCHANGES.values(), ids=EXCHANGES)
def test_after_an_error_the_next_exchange_has_a_new_socket(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[NetlinkSocket], object]
) -> None:
    """A dump that was begun and not read to its end makes the kernel answer EBUSY."""
    busy = BusyPeer()
    netlink = connected_to(busy)
    with pytest.raises(KernelError, match="ENOBUFS"):
        fails(netlink)
    fresh = NetlinkPeer(lambda sent: [done(sent[-1])])
    monkeypatch.setattr("evercan.kernel.netlink._open", lambda: fresh)
    assert netlink.dump(Message(26, 0, b"")) == []
    assert busy.closed
    assert len(busy.sent) == 1
    # A socket that works is kept.
    assert netlink.dump(Message(26, 0, b"")) == []
    assert len(fresh.sent) == 2


@pytest.mark.parametrize("fails", EXCHANGES.values(), ids=EXCHANGES)
@pytest.mark.parametrize("data", [b"", b"\x10", bytes(15)], ids=["empty", "one byte", "15 bytes"])
def test_a_datagram_that_cannot_be_decoded_is_an_error_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[NetlinkSocket], object], data: bytes
) -> None:
    netlink = connected_to(NetlinkPeer(lambda _: [data]))
    monkeypatch.setattr(
        "evercan.kernel.netlink._open", lambda: NetlinkPeer(lambda sent: [done(sent[-1])])
    )
    with pytest.raises(KernelError):
        fails(netlink)
    assert netlink.dump(Message(26, 0, b"")) == []


def test_a_socket_that_cannot_be_opened_again_is_tried_at_the_next_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netlink = connected_to(BusyPeer())
    with pytest.raises(KernelError, match="ENOBUFS"):
        netlink.dump(Message(26, 0, b""))

    def no_descriptor() -> NetlinkPeer:
        raise KernelError("open a netlink socket", errno.EMFILE, "close some")

    with monkeypatch.context() as patch:
        patch.setattr("evercan.kernel.netlink._open", no_descriptor)
        with pytest.raises(KernelError, match="EMFILE"):
            netlink.dump(Message(26, 0, b""))
    monkeypatch.setattr(
        "evercan.kernel.netlink._open", lambda: NetlinkPeer(lambda sent: [done(sent[-1])])
    )
    assert netlink.dump(Message(26, 0, b"")) == []
