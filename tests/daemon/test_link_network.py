"""Links over a network that stops for some time, and three hosts of which one sends too much."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.link import relayed
from tests.support import links as support
from tests.support.links import LinkProcess, Links, classic, free_port
from tools.common.polling import wait_until

CUTS = (1, 10, 600) if os.environ.get("EVERCAN_LONG") else (1, 10)
RESULTS = ("delivered", "late", "lost", "doubled", "limited", "failed")


@pytest.fixture
def links() -> Iterator[Links]:
    """Start links, and end them after the test."""
    yield from support.links()


def send(link: LinkProcess, can_id: int, count: int, pause: float) -> None:
    """Send numbered frames."""
    for number in range(count):
        link.bus.send(classic(can_id, number.to_bytes(4, "big")))
        time.sleep(pause)


def results(link: LinkProcess, host: str) -> dict[str, int]:
    """Return what has become of a host's frames, without what did not happen."""
    counts: dict[str, Any] = link.counts(host)
    return {result: counts[result] for result in RESULTS if counts[result]}


class Flood:
    """Sends as many frames as a program can, in bursts, until it is ended."""

    FRAME = classic(0x7FF, bytes(8))

    def __init__(self, link: LinkProcess) -> None:
        self._link, self._sent = link, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.002):
            self._link.bus.send(*[self.FRAME] * 20)
            self._sent += 20

    def end(self) -> int:
        """End it; return how many frames were sent."""
        self._ended.set()
        self._thread.join()
        return self._sent


class Reader(threading.Thread):
    """Keeps what a link writes to its bus, until it is silent for three seconds."""

    def __init__(self, link: LinkProcess) -> None:
        super().__init__()
        self.link = link
        self.frames: list[bytes] = []
        self.start()

    def run(self) -> None:
        """Read."""
        while frames := self.link.bus.receive(1, 3):
            self.frames += frames


@pytest.mark.parametrize("seconds", CUTS)
def test_after_a_cut_each_frame_is_there_or_counted_and_none_is_old(
    links: Links, seconds: float
) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}")
    with relayed(port, 0.001) as (through, relay):
        b = links.start("b", connect=f"127.0.0.1:{through}")
        a.wait_for("active", "b")
        b.wait_for("active", "a")
        send(b, 1, 50, 0.002)
        wait_until(lambda: results(a, "b") == {"delivered": 50}, 10, "the frames before the cut")
        assert len(a.bus.receive(50)) == 50
        relay.send_signal(signal.SIGSTOP)
        send(b, 2, 400, 0.001)
        time.sleep(seconds - 0.4)
        relay.send_signal(signal.SIGCONT)
        a.wait_for("active", "b")
        b.wait_for("active", "a")
        wait_until(lambda: sum(results(a, "b").values()) == 450, 10, "a to count all")
        send(b, 3, 50, 0.002)
        wait_until(lambda: sum(results(a, "b").values()) == 500, 10, "a to count the last ones")
        received = a.bus.receive(500, 0.5)
    last = [frame for frame in received if frame[0] == 3]
    assert last == [classic(3, number.to_bytes(4, "big")) for number in range(50)]
    counted = results(a, "b")
    assert counted["delivered"] == 50 + len(received)
    # Frames of the last 100 ms of the cut could still be delivered; those of its start were sent
    # half a second before its end.
    assert len(received) == len(last)
    assert "doubled" not in counted
    assert "failed" not in counted


def test_of_three_hosts_one_that_floods_is_limited_and_named(links: Links) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}", rate="1000", deadline="5000")
    b, c = (
        links.start(host, connect=f"127.0.0.1:{port}", rate="1000", deadline="5000")
        for host in "bc"
    )
    for link, others in ((a, "bc"), (b, "ac"), (c, "ab")):
        link.wait_for("active", *others)
    flood, readers = Flood(b), [Reader(a), Reader(c)]
    send(c, 1, 500, 0.004)
    sent = flood.end()
    expected = [classic(1, number.to_bytes(4, "big")) for number in range(500)]
    for reader in readers:
        reader.join()
    assert [frame for frame in readers[0].frames if frame[0] == 1] == expected
    assert results(a, "c") == results(b, "c") == {"delivered": 500}
    for reader in readers:
        assert sum(results(reader.link, "b").values()) == sent
        counted = results(reader.link, "b")
        assert counted["limited"] > counted["delivered"]
        assert reader.frames.count(Flood.FRAME) == counted["delivered"]
        reader.link.kill()
        line = "host b sends more than 1000 frames/s; the rest is dropped"
        assert reader.link.output().count(line) == 1
