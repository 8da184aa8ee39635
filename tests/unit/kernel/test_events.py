"""Events are read from the bytes that the kernel sends."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from evercan.errors import KernelError
from evercan.kernel.events import BusEvents, BusOffEvents, LinkEvents, NamespaceEvents
from tests.support.netlink_peer import attribute, message

NEWLINK, DELLINK, NEWNSID, DELNSID = 16, 17, 88, 89
CAN, ETHERNET = 280, 1


def link(kind: int, hardware: int) -> bytes:
    return message(kind, struct.pack("=BxHiII", 0, hardware, 7, 0, 0))


def namespace(kind: int, nsid: int) -> bytes:
    return message(kind, b"\0\0\0\0" + attribute(1, struct.pack("=i", nsid)))


class Kernel:
    """The sending end; replaces the socket of a listener."""

    def __init__(self, listener: LinkEvents | NamespaceEvents | BusOffEvents) -> None:
        self.sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        receiver.setblocking(False)
        listener.close()
        listener._socket = receiver


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
def test_only_can_interfaces_and_ends_of_namespaces_need_an_observation(
    links: LinkEvents, datagrams: list[bytes], concerned: bool
) -> None:
    kernel = Kernel(links)
    for datagram in datagrams:
        kernel.sender.send(datagram)
    assert links.drain() is concerned
    assert links.drain() is False
    kernel.sender.close()


def test_namespaces_that_ended_are_returned_and_new_ones_are_not(
    namespaces: NamespaceEvents,
) -> None:
    kernel = Kernel(namespaces)
    kernel.sender.send(namespace(NEWNSID, 3) + namespace(DELNSID, 5))
    kernel.sender.send(namespace(DELNSID, 0))
    assert namespaces.drain() == frozenset({0, 5})
    assert namespaces.drain() == frozenset()
    kernel.sender.close()


class Overrun:
    """A socket whose buffer overran once."""

    def __init__(self) -> None:
        self._answers: list[Exception] = [OSError(105, "No buffer space"), BlockingIOError()]

    def recv(self, _: int) -> bytes:
        raise self._answers.pop(0)

    def close(self) -> None:
        """Do nothing: there is no descriptor."""


def test_lost_events_count_as_events(links: LinkEvents) -> None:
    links._socket.close()
    links._socket = Overrun()  # type: ignore[assignment] # it has the methods that are used
    assert links.drain() is True


def test_after_lost_namespace_events_no_number_is_certain(
    namespaces: NamespaceEvents,
) -> None:
    namespaces._socket.close()
    namespaces._socket = Overrun()  # type: ignore[assignment] # it has the methods that are used
    assert namespaces.drain() is None


# --- bus-off ---------------------------------------------------------------------------


def test_an_error_frame_announces_that_a_controller_went_bus_off() -> None:
    events = BusOffEvents()
    kernel = Kernel(events)
    assert not events.drain()
    kernel.sender.send(bytes(16))
    kernel.sender.send(bytes(16))
    assert events.drain()
    assert not events.drain()
    events.close()
    kernel.sender.close()


def test_without_can_sockets_nothing_announces_bus_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def rejected(*_: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", rejected)
    events = BusOffEvents()
    assert (events.fileno(), events.drain()) == (None, False)
    events.close()


def test_a_socket_that_cannot_be_read_is_an_error() -> None:
    events = BusOffEvents()
    kernel = Kernel(events)
    assert events._socket is not None
    events._socket.close()
    with pytest.raises(KernelError, match="receive error frames"):
        events.drain()
    kernel.sender.close()


@pytest.mark.parametrize("source", ["link", "bus-off"])
def test_both_sources_of_events_wake_the_one_who_watches(source: str) -> None:
    links, bus_off = LinkEvents(), BusOffEvents()
    kernels = {"link": Kernel(links), "bus-off": Kernel(bus_off)}
    events = BusEvents(links, bus_off)
    assert select.select([events], [], [], 0)[0] == []
    kernels[source].sender.send(link(NEWLINK, CAN))
    assert select.select([events], [], [], 5)[0] == [events]
    assert events.drain()
    assert select.select([events], [], [], 0)[0] == []
    events.close()
    for kernel in kernels.values():
        kernel.sender.close()
