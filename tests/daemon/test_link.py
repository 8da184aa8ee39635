"""Two and three links over a real Zenoh on the loopback interface, with sockets as buses."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.support import links as support
from tests.support.links import LinkProcess, Links, classic, fd, free_port
from tools.common.polling import wait_until


@pytest.fixture
def links() -> Iterator[Links]:
    """Start links, and end them after the test."""
    yield from support.links()


def two_linked(links: Links, deadline: str = "100") -> tuple[LinkProcess, LinkProcess]:
    """Start the links of hosts a and b, and wait until they know each other."""
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}", deadline=deadline)
    b = links.start("b", connect=f"127.0.0.1:{port}", deadline=deadline)
    know_each_other(a, b)
    return a, b


def know_each_other(a: LinkProcess, b: LinkProcess) -> None:
    a.wait_for("active", "b")
    b.wait_for("active", "a")


def test_frames_cross_both_ways_once_and_in_order(links: Links) -> None:
    a, b = two_linked(links)
    there = [classic(0x100 + i % 8, i.to_bytes(4, "big")) for i in range(600)]
    back = [fd(0x80000000 | i, i.to_bytes(4, "big") * 16) for i in range(600)]
    for first, second in zip(there, back, strict=True):
        a.bus.send(first)
        b.bus.send(second)
        time.sleep(0.0005)
    assert b.bus.receive(600) == there
    assert a.bus.receive(600) == back
    assert b.bus.receive(1, 0.3) == a.bus.receive(1, 0.3) == []
    counts = b.counts("a")
    assert (counts["delivered"], counts["lost"], counts["late"]) == (600, 0, 0)
    assert 'evercan_link_received_frames_total{bus="powertrain",host="b",from="a",' in b.metrics()
    b.signal(signal.SIGTERM)
    assert b.process.wait(5) == 0


def test_links_that_connect_to_the_same_one_hear_each_other(links: Links) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}")
    b = links.start("b", connect=f"127.0.0.1:{port}")
    c = links.start("c", connect=f"127.0.0.1:{port}")
    for link, others in ((a, "bc"), (b, "ac"), (c, "ab")):
        link.wait_for("active", *others)
    b.bus.send(classic(0x123, b"b"))
    assert a.bus.receive(1) == c.bus.receive(1) == [classic(0x123, b"b")]
    assert a.bus.receive(1, 0.3) == b.bus.receive(1, 0.3) == c.bus.receive(1, 0.3) == []


def test_a_second_link_of_a_host_is_quiet_until_the_first_has_gone(links: Links) -> None:
    port, shared = free_port(), links.bus()
    b = links.start("b", listen=f"127.0.0.1:{port}")
    b.wait_for("active")
    first = links.start("a", connect=f"127.0.0.1:{port}")
    first.wait_for("active", "b")
    second = links.start("a", shared, connect=f"127.0.0.1:{port}")
    second.wait_for("standby", "b")
    shared.send(classic(1, b"quiet"))
    b.bus.send(classic(2, b"once"))
    assert first.bus.receive(1) == [classic(2, b"once")]
    assert shared.receive(1, 0.5) == b.bus.receive(1, 0.1) == []
    first.kill()
    second.wait_for("active", "b")
    shared.send(classic(3, b"now"))
    assert b.bus.receive(1) == [classic(3, b"now")]
    b.bus.send(classic(4, b"now"))
    assert shared.receive(1) == [classic(4, b"now")]


def test_a_link_that_is_killed_and_started_again_continues(links: Links) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}")
    b = links.start("b", connect=f"127.0.0.1:{port}")
    b.wait_for("active", "a")
    a.kill()
    wait_until(lambda: not b.health()["healthy"], 10, "b's health")
    assert "Connection refused" in b.health()["problems"][0]["text"]
    b.bus.send(classic(1, b"nobody"))
    time.sleep(0.3)
    a = links.start("a", listen=f"127.0.0.1:{port}")
    a.wait_for("active", "b")
    b.wait_for("active", "a")
    b.bus.send(classic(2, b"there"))
    assert a.bus.receive(1) == [classic(2, b"there")]
    assert a.bus.receive(1, 0.3) == []
    wait_until(lambda: b.health()["healthy"], 10, "b's health")


def test_frames_that_wait_behind_a_stalled_link_are_late_and_not_replayed(links: Links) -> None:
    # A busy machine may take longer than the usual deadline for frames that nothing holds up.
    a, b = two_linked(links, deadline="1000")
    a.bus.send(classic(1, b"first"))
    assert b.bus.receive(1) == [classic(1, b"first")]
    b.stall()
    for number in range(200):
        a.bus.send(classic(2, number.to_bytes(2, "big")))
        time.sleep(0.001)
    # They are as old as the moment at which the sender has read them.
    wait_until(lambda: a.read_from_bus() == 201, 10, "a to read all of them")
    time.sleep(1.2)
    b.signal(signal.SIGCONT)
    know_each_other(a, b)
    # What was lost at the end is known once another frame has come.
    a.bus.send(classic(3, b"last"))
    assert b.bus.receive(1) == [classic(3, b"last")]

    def counted() -> bool:
        counts = b.counts("a")
        return (counts["delivered"], counts["late"] + counts["lost"]) == (2, 200)

    wait_until(counted, 10, "b to count")
    assert b.bus.receive(1, 0.3) == []


def test_a_receiver_that_stands_still_never_holds_up_the_sender(links: Links) -> None:
    a, b = two_linked(links)
    a.bus.send(classic(1, b"first"))
    wait_until(lambda: b.counts("a")["delivered"] == 1, 10, "the first frame")
    b.stall()
    a.bus.ours.settimeout(1)  # what the bus takes at most for one frame
    end = time.monotonic() + 4
    sent = 1
    while time.monotonic() < end:
        a.bus.send(fd(1, bytes(64)))
        sent += 1
    assert a.health()["state"] == "active"
    b.signal(signal.SIGCONT)
    know_each_other(a, b)
    sent += 1
    a.bus.send(classic(3, b"last"))
    results = ("delivered", "late", "lost", "failed")
    wait_until(lambda: sum(b.counts("a")[k] for k in results) == sent, 15, "b to count all")
    delivered = b.bus.receive(sent, 0.5)
    assert len(delivered) == b.counts("a")["delivered"] < sent
    assert delivered[-1] == classic(3, b"last")


def test_error_frames_stay_on_their_host(links: Links) -> None:
    a, b = two_linked(links)
    a.bus.send(classic(0x20000004, bytes(8)), classic(5, b"frame"))
    assert b.bus.receive(1) == [classic(5, b"frame")]
    assert a.health()["sent"]["error_frames"] == 1
