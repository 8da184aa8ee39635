"""What the kernel says unasked, from bytes on a socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from evercan.kernel.events import LinkEvents, NamespaceEvents
from tests.support.netlink_peer import attribute, message

NEWLINK, DELLINK, NEWNSID, DELNSID = 16, 17, 88, 89
CAN, ETHERNET = 280, 1


def link(kind: int, hardware: int) -> bytes:
    return message(kind, struct.pack("=BxHiII", 0, hardware, 7, 0, 0))


def namespace(kind: int, nsid: int) -> bytes:
    return message(kind, b"\0\0\0\0" + attribute(1, struct.pack("=i", nsid)))


class Kernel:
    """The sending end; puts itself in the place of a listener's socket."""

    def __init__(self, listener: LinkEvents | NamespaceEvents) -> None:
        self.says, hears = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hears.setblocking(False)
        listener._socket.close()
        listener._socket = hears


@pytest.fixture
def links() -> Iterator[LinkEvents]:
    events = LinkEvents()
    yield events
    events.close()


@pytest.fixture
def namespaces() -> Iterator[NamespaceEvents]:
    events = NamespaceEvents()
    yield events
    events.close()


@pytest.mark.parametrize(
    ("datagrams", "concerned"),
    [
        ([], False),
        ([link(NEWLINK, CAN)], True),
        ([link(DELLINK, CAN)], True),
        ([link(NEWLINK, ETHERNET)], False),
        ([link(NEWLINK, ETHERNET) + link(NEWLINK, CAN)], True),
        ([link(NEWLINK, CAN), link(NEWLINK, ETHERNET)], True),
        ([message(20, struct.pack("=BxHiII", 0, CAN, 7, 0, 0))], False),
        ([namespace(DELNSID, 3)], True),
        ([namespace(NEWNSID, 3)], False),
    ],
)
def test_only_can_interfaces_and_ends_of_namespaces_ask_for_a_look(
    links: LinkEvents, datagrams: list[bytes], concerned: bool
) -> None:
    kernel = Kernel(links)
    for each in datagrams:
        kernel.says.send(each)
    assert links.drain() is concerned
    assert links.drain() is False
    kernel.says.close()


def test_namespaces_that_ended_are_told_those_that_began_are_not(
    namespaces: NamespaceEvents,
) -> None:
    kernel = Kernel(namespaces)
    kernel.says.send(namespace(NEWNSID, 3) + namespace(DELNSID, 5))
    kernel.says.send(namespace(DELNSID, 0))
    assert namespaces.drain() == frozenset({0, 5})
    assert namespaces.drain() == frozenset()
    kernel.says.close()


class Overrun:
    """A socket whose buffer ran over once."""

    def __init__(self) -> None:
        self._answers: list[Exception] = [OSError(105, "No buffer space"), BlockingIOError()]

    def recv(self, _: int) -> bytes:
        raise self._answers.pop(0)

    def close(self) -> None:
        """Nothing to let go of."""


def test_events_that_got_lost_are_taken_for_events(links: LinkEvents) -> None:
    links._socket.close()
    links._socket = Overrun()  # type: ignore[assignment] # it has what is used of a socket
    assert links.drain() is True


def test_namespace_events_that_got_lost_leave_no_number_to_trust(
    namespaces: NamespaceEvents,
) -> None:
    namespaces._socket.close()
    namespaces._socket = Overrun()  # type: ignore[assignment] # it has what is used of a socket
    assert namespaces.drain() is None
