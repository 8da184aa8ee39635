"""The bus of python-can and ``evercan link join``, with a link over a real Zenoh."""

from __future__ import annotations

import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing

import can
import pytest
from hypothesis import given

from evercan.cli import main
from evercan.link.bus import EvercanBus, frame_of, message_of
from tests.support import links as support
from tests.support.links import Links, classic, fd, free_port
from tests.unit.link.test_message import CLASSIC, FD
from tools.common.checkout import ROOT


@pytest.fixture
def links() -> Iterator[Links]:
    """Start links, and end them after the test."""
    yield from support.links()


@given(CLASSIC | FD)
def test_a_frame_is_the_same_after_python_can_had_it(frame: bytes) -> None:
    message = message_of(frame, 0, "a")
    again = message_of(frame_of(message), 0, "a")
    assert again.equals(message, timestamp_delta=0)
    assert len(frame_of(message)) == len(frame)


def test_python_can_finds_the_bus_by_the_name_evercan() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    target = project["entry-points"]["can.interface"]["evercan"]
    assert target == f"{EvercanBus.__module__}:{EvercanBus.__name__}"


def test_a_program_exchanges_frames_with_a_bus(links: Links) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}")
    a.wait_for("active")
    bus = EvercanBus("powertrain", f"127.0.0.1:{port}", host="desk")
    with closing(bus_closer(bus)):
        a.wait_for("active", "desk")
        a.bus.send(classic(0x123, b"frame"), fd(0x80001234, bytes(64)))
        first, second = bus.recv(5), bus.recv(5)
        assert first is not None
        assert (first.arbitration_id, bytes(first.data)) == (0x123, b"frame")
        assert (first.channel, first.is_extended_id, first.is_fd) == ("a", False, False)
        assert second is not None
        assert (second.arbitration_id, second.dlc) == (0x1234, 64)
        assert (second.is_extended_id, second.is_fd, second.bitrate_switch) == (True, True, True)
        bus.send(can.Message(arbitration_id=0x321, data=b"desk", is_extended_id=False))
        assert a.bus.receive(1) == [classic(0x321, b"desk")]
        assert bus.recv(0.3) is None


class bus_closer:  # noqa: N801 - for closing()
    """Closes a bus of python-can."""

    def __init__(self, bus: can.BusABC) -> None:
        self.close = bus.shutdown


def test_what_keeps_a_program_from_joining_is_named(links: Links) -> None:
    port = free_port()
    with pytest.raises(can.CanInitializationError, match=r"cannot connect to tcp/127\.0\.0\.1:"):
        EvercanBus("powertrain", f"127.0.0.1:{port}")
    with pytest.raises(can.CanInitializationError, match="is no endpoint"):
        EvercanBus("powertrain", "")
    links.start("a", listen=f"127.0.0.1:{port}").wait_for("active")
    with pytest.raises(can.CanInitializationError, match="no host of bus body is linked"):
        EvercanBus("body", f"127.0.0.1:{port}")


def test_join_prints_frames_as_candump_does(
    links: Links, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    a = links.start("a", listen=f"127.0.0.1:{port}")
    a.wait_for("active")
    ended = threading.Event()

    def send() -> None:
        while not ended.wait(0.05):
            a.bus.send(classic(0x123, b"\x01\x02"))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert main(["link", "join", "powertrain", f"127.0.0.1:{port}", "-n", "2"]) == 0
    finally:
        ended.set()
        sender.join()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["a 123#0102"] * 2
    assert abs(float(lines[0].split(" ")[0].strip("()")) - time.time()) < 60
