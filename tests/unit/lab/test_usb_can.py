"""The USB CAN adapters that the lab plays: descriptors, protocol, wire and transport."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.usb_adapters import zipped
from lab.usb_can import gs_usb, ucan, usbip
from lab.usb_can.error_frames import error_frame
from lab.usb_can.interfaces import interface_of
from lab.usb_can.service import Adapters, CommandError
from lab.usb_can.usb import Device, Identity, Pipe, Request
from lab.usb_can.wire import Errors, ErrorState, Frame, Node, Setup, Wire

READ, WRITE = 0xC1, 0x41
BITTIMING, MODE, LIMITS, DATA_BITTIMING, DATA_LIMITS, STATE = 1, 2, 4, 10, 11, 14
FD_MODE = 1 << 8
SLOW = struct.pack("<5I", 69, 70, 20, 10, 1)  # 80 MHz / (1 + 69 + 70 + 20) = 500 kbit/s
FAST = struct.pack("<5I", 14, 15, 10, 5, 1)  # 2 Mbit/s


def request(number: int, data: bytes = b"", *, kind: int = WRITE, length: int = 64) -> Request:
    return Request(kind, number, 0, 0, length if kind == READ else len(data), data)


class Host:
    """A host that has started an adapter and reads its frames."""

    def __init__(self, wire: Wire, serial: str, *, fd: bool = True) -> None:
        self.device, self.node = gs_usb.adapter(wire, serial, fd=fd)
        self.packets: list[bytes] = []
        self.numbers = iter(range(1000))
        self.read()

    def read(self) -> None:
        """Ask for many packets, as a driver does."""
        for _ in range(30):
            self.device.pipes[1].ask(next(self.numbers), self.packets.append)

    def start(self, *, fd: bool = True, timing: bytes = SLOW) -> None:
        self.device.control(request(BITTIMING, timing))
        if fd:
            self.device.control(request(DATA_BITTIMING, FAST))
        self.device.control(request(MODE, struct.pack("<II", 1, FD_MODE if fd else 0)))

    def send(self, frame: Frame, echo: int = 0) -> bytes:
        packet = struct.pack("<I", echo) + gs_usb.encode_frame(frame)[4:]
        self.device.function.bulk_out(2, packet)
        return packet

    def frames(self) -> list[Frame]:
        """Return the frames of other nodes, and forget them."""
        found = [
            gs_usb.decode_frame(packet)
            for packet in self.packets
            if packet.startswith(b"\xff\xff\xff\xff")
        ]
        self.packets.clear()
        return found


@pytest.fixture
def pair() -> tuple[Host, Host]:
    wire = Wire()
    return Host(wire, "FD0"), Host(wire, "FD1")


CLASSIC = Frame(0x123, 3, b"\1\2\3")
LONG = Frame(0x80000456, 15, bytes(range(64)), fd=True, brs=True)


# --- the wire and the protocol ---------------------------------------------------------


@pytest.mark.parametrize("frame", [CLASSIC, LONG, Frame(0x40000001, 0, b"")])
def test_a_frame_reaches_every_other_node_once_and_the_sender_gets_its_echo(
    pair: tuple[Host, Host], frame: Frame
) -> None:
    first, second = pair
    first.start()
    second.start()
    packet = first.send(frame, echo=7)
    assert first.packets == [packet]
    assert second.frames() == [frame]


def test_a_frame_waits_until_somebody_acknowledges_it(pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.start()
    packet = first.send(CLASSIC)
    assert first.frames() == [error_frame(Errors(ErrorState.PASSIVE, 128))]
    second.start()
    assert second.frames() == [CLASSIC]
    assert packet in first.packets
    assert first.frames() == [error_frame(Errors())]


@pytest.mark.parametrize("reason", ["another bitrate", "classic frames only", "bus-off"])
def test_a_node_that_cannot_decode_a_frame_does_not_receive_it(
    pair: tuple[Host, Host], reason: str
) -> None:
    first, second = pair
    first.start()
    second.start(fd=reason != "classic frames only", timing=FAST if "bitrate" in reason else SLOW)
    if reason == "bus-off":
        second.node.set_errors(Errors(ErrorState.BUS_OFF, 255))
        second.frames()
    first.send(LONG)
    assert second.frames() == []
    assert first.node.errors.state is ErrorState.PASSIVE


def test_a_node_that_is_bus_off_sends_nothing_until_it_is_started_again(
    pair: tuple[Host, Host],
) -> None:
    first, second = pair
    first.start()
    second.start()
    first.node.set_errors(Errors(ErrorState.BUS_OFF, 255))
    first.send(CLASSIC)
    assert second.frames() == []
    first.device.control(request(MODE, struct.pack("<II", 0, 0)))
    first.start()
    assert second.frames() == []  # what waited is lost, as in a controller that is reset
    first.send(LONG)
    assert second.frames() == [LONG]


def test_a_listening_node_receives_and_acknowledges_nothing() -> None:
    wire = Wire()
    sender, listener = Host(wire, "A"), Host(wire, "B")
    sender.start()
    listener.start()
    listener.node.start(Setup(500_000, 2_000_000, listen_only=True))
    sender.send(CLASSIC)
    assert listener.frames() == []  # a frame without acknowledgement is repeated, not received
    third = Host(wire, "C")
    third.start()
    assert (listener.frames(), third.frames()) == ([CLASSIC], [CLASSIC])


@pytest.mark.parametrize(
    ("errors", "can_id", "detail"),
    [
        (Errors(), 0x20000204, 0x40),
        (Errors(ErrorState.WARNING, 96), 0x20000204, 0x08),
        (Errors(ErrorState.WARNING, 0, 97), 0x20000204, 0x04),
        (Errors(ErrorState.PASSIVE, 128), 0x20000204, 0x20),
        (Errors(ErrorState.PASSIVE, 1, 130), 0x20000204, 0x10),
        (Errors(ErrorState.BUS_OFF, 256), 0x20000240, 0),
    ],
)
def test_an_error_state_is_an_error_frame_with_the_counters(
    errors: Errors, can_id: int, detail: int
) -> None:
    frame = error_frame(errors)
    counters = bytes([min(errors.tx, 255), errors.rx])
    assert (frame.can_id, frame.data) == (can_id, bytes([0, detail, 0, 0, 0, 0]) + counters)


def test_the_host_can_ask_for_state_and_limits(pair: tuple[Host, Host]) -> None:
    host, _ = pair
    host.start()
    host.node.set_errors(Errors(ErrorState.WARNING, 100, 3))
    assert host.device.control(request(STATE, kind=READ)) == struct.pack("<3I", 1, 3, 100)
    limits = host.device.control(request(LIMITS, kind=READ))
    both = host.device.control(request(DATA_LIMITS, kind=READ, length=128))
    assert limits is not None
    assert both is not None
    assert (len(limits), len(both), both[:40]) == (40, 72, limits)
    assert host.device.control(request(99, kind=READ)) is None


def test_an_adapter_without_fd_says_so_and_has_no_second_bitrate() -> None:
    host = Host(Wire(), "C0", fd=False)
    limits = host.device.control(request(LIMITS, kind=READ))
    assert limits is not None
    assert not struct.unpack_from("<I", limits)[0] & FD_MODE
    assert host.device.control(request(DATA_LIMITS, kind=READ)) is None
    assert host.device.control(request(DATA_BITTIMING, FAST)) is None


# --- UCAN -----------------------------------------------------------------------------


class UcanHost:
    """A host that has started an UCAN adapter."""

    def __init__(self, wire: Wire) -> None:
        self.device, self.node = ucan.adapter(wire, "RE0")
        self.packets: list[bytes] = []
        for number in range(30):
            self.device.pipes[1].ask(number, self.packets.append)
        # 48 MHz / 6 / (1 + 5 + 8 + 2) = 500 kbit/s
        timing = struct.pack("<IHHBBBB", 125, 6, 875, 5, 8, 2, 1)
        assert self.device.control(request(7, timing)) == b""
        assert self.device.control(request(0, b"\0\0")) == b""

    def taken(self) -> list[bytes]:
        found, self.packets[:] = list(self.packets), []
        return found


def test_an_ucan_adapter_exchanges_classic_frames_with_others_of_its_bitrate() -> None:
    wire = Wire()
    other, host = Host(wire, "FD1"), UcanHost(wire)
    other.start(fd=False)
    message = struct.pack("<HBBI", 11, 2, 5, 0x123) + b"\1\2\3"
    host.device.function.bulk_out(2, message)
    assert host.taken() == [struct.pack("<HBBBB", 6, 1, 0, 5, 1)]
    assert other.frames() == [CLASSIC]
    other.send(CLASSIC)
    assert host.taken() == [struct.pack("<HBBI", 11, 2, 0, 0x123) + b"\1\2\3"]
    other.send(Frame(0x40000001, 4, bytes(4)))
    assert host.taken() == [struct.pack("<HBBIB", 9, 2, 0, 0x40000001, 4)]


def test_an_ucan_adapter_that_is_bus_off_fails_frames_until_it_is_restarted() -> None:
    wire = Wire()
    other, host = Host(wire, "FD1"), UcanHost(wire)
    other.start(fd=False)
    host.node.set_errors(Errors(ErrorState.BUS_OFF, 255))
    message = struct.pack("<HBBI", 8, 2, 1, 0x123)
    host.device.function.bulk_out(2, message)
    off, failed = host.taken()
    assert (off[:8], failed[-2:]) == (struct.pack("<HBBI", 16, 2, 0, 0x20000240), b"\1\0")
    assert other.frames() == []
    assert host.device.control(request(8)) == b""  # restart
    host.device.function.bulk_out(2, message)
    assert other.frames() == [Frame(0x123, 0, b"")]


def test_an_ucan_adapter_tells_its_limits() -> None:
    device = UcanHost(Wire()).device
    limits = device.control(Request(READ, 5, 0, 0, 128))
    assert limits is not None
    assert (len(limits), struct.unpack_from("<I", limits)) == (26, (48_000_000,))
    assert device.control(Request(READ, 5, 1, 0, 128)) == struct.pack("<I", 3)
    assert device.control(Request(0xC0, 0, 0, 0, 128)) == b"evercan lab\0"
    assert device.control(request(99)) is None


# --- USB -------------------------------------------------------------------------------


def test_the_descriptors_name_the_driver_and_the_serial_number() -> None:
    identity = Identity(0x1D50, 0x606F, "maker", "model", "FD0", (0x81, 2))
    device = identity.device()
    assert (len(device), struct.unpack_from("<HH", device, 8)) == (18, (0x1D50, 0x606F))
    configuration = identity.configuration()
    assert struct.unpack_from("<H", configuration, 2) == (len(configuration),) == (32,)
    assert identity.string(3) == b"\x08\x03F\0D\x000\0"
    assert identity.string(4) is None


@pytest.mark.parametrize(
    ("kind", "number", "value", "answer"),
    [(0x80, 0, 0, b"\0\0"), (0x80, 8, 0, b"\1"), (0, 9, 1, b""), (0, 77, 0, None)],
)
def test_standard_requests_are_answered(
    pair: tuple[Host, Host], kind: int, number: int, value: int, answer: bytes | None
) -> None:
    assert pair[0].device.control(Request(kind, number, value, 0, 64)) == answer


def test_a_descriptor_is_cut_to_what_the_host_asks_for(pair: tuple[Host, Host]) -> None:
    answer = pair[0].device.control(Request(0x80, 6, 0x100, 0, 8))
    assert answer == pair[0].device.identity.device()[:8]


def test_a_request_that_was_cancelled_gets_no_packet() -> None:
    pipe, got = Pipe(), list[bytes]()
    pipe.ask(1, got.append)
    pipe.ask(2, got.append)
    assert pipe.cancel(1)
    assert not pipe.cancel(1)
    pipe.put(b"one")
    pipe.put(b"two")
    assert got == [b"one"]


# --- USB/IP ----------------------------------------------------------------------------


def submit(
    number: int, endpoint: int, *, to_host: bool, setup: bytes = bytes(8), data: bytes = b""
) -> bytes:
    length = 64 if to_host else len(data)
    head = struct.pack(">5I", 1, number, 0x10002, int(to_host), endpoint)
    return head + struct.pack(">5I8s", 0, length, 0, 0, 0, setup) + data


def unlink(number: int, other: int) -> bytes:
    return struct.pack(">5I", 2, number, 0x10002, 0, 0) + struct.pack(">I24x", other)


def test_a_stream_is_cut_into_commands() -> None:
    stream = submit(1, 0, to_host=True, setup=b"12345678")
    stream += submit(2, 2, to_host=False, data=b"frame") + unlink(3, 1)
    commands = []
    for end in range(len(stream) + 1):  # the rest has not arrived yet
        found = usbip.next_command(stream[:end])
        assert (found is None) is (end < 48)
    while (found := usbip.next_command(stream)) is not None:
        commands.append(found[0])
        stream = found[1]
    assert [(command.number, command.data) for command in commands] == [
        (1, b""),
        (2, b"frame"),
        (3, b""),
    ]
    assert (commands[0].setup, commands[2].unlinks) == (b"12345678", 1)


def test_an_unknown_command_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown USB/IP command 9"):
        usbip.next_command(struct.pack(">5I28x", 9, 1, 0, 0, 0))


@pytest.fixture
def plugged() -> Iterator[tuple[socket.socket, usbip.Connection, Node]]:
    device, node = gs_usb.adapter(Wire(), "FD0")
    ours, theirs = socket.socketpair()
    connection = usbip.Connection(device, ours)
    with theirs:
        yield theirs, connection, node
    connection.unplug()


def test_a_connection_answers_control_requests_and_stalls(
    plugged: tuple[socket.socket, usbip.Connection, Node],
) -> None:
    kernel, connection, _ = plugged
    get_device = struct.pack("<BBHHH", 0x80, 6, 0x100, 0, 18)
    unknown = struct.pack("<BBHHH", READ, 99, 0, 0, 4)
    kernel.sendall(submit(1, 0, to_host=True, setup=get_device))
    kernel.sendall(submit(2, 0, to_host=True, setup=unknown))
    assert connection.serve()
    answers = kernel.recv(4096)
    assert answers[: 48 + 18] == usbip.submitted(1, 0, 18, gs_usb_device())
    assert answers[48 + 18 :] == usbip.submitted(2, -32, 0)


def gs_usb_device() -> bytes:
    device: Device = gs_usb.adapter(Wire(), "FD0")[0]
    return device.identity.device()


def test_a_connection_answers_a_read_when_there_is_something_or_it_is_taken_back(
    plugged: tuple[socket.socket, usbip.Connection, Node],
) -> None:
    kernel, connection, node = plugged
    kernel.sendall(submit(5, 1, to_host=True) + submit(6, 1, to_host=True) + unlink(7, 5))
    assert connection.serve()
    assert kernel.recv(4096) == usbip.unlinked(7, was_waiting=True)
    node.start(Setup(500_000))
    node.set_errors(Errors(ErrorState.WARNING, 96))
    frame = gs_usb.encode_frame(error_frame(node.errors))
    assert kernel.recv(4096) == usbip.submitted(6, 0, len(frame), frame)
    kernel.sendall(unlink(8, 6))
    assert connection.serve()
    assert kernel.recv(4096) == usbip.unlinked(8, was_waiting=False)


def test_a_connection_ends_with_the_kernels_end(
    plugged: tuple[socket.socket, usbip.Connection, Node],
) -> None:
    kernel, connection, _ = plugged
    kernel.shutdown(socket.SHUT_RDWR)
    assert not connection.serve()


# --- the service -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("FD7 plug", "no adapter FD7; adapters: FD0"),
        ("FD0 explode", "no command 'explode'"),
        ("FD0 warning many", "no command 'warning many'"),
        ("FD0", "no command ''"),
        ("FD0 bus-off", "the controller of FD0 is not started"),
        ("FD0 unplug", "FD0 is not plugged in"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(words: str, error: str) -> None:
    with pytest.raises(CommandError, match=error):
        Adapters([("FD0", "gs_usb")]).command(words.split())


def test_the_interface_of_an_adapter_is_found_by_its_serial_number(tmp_path: Path) -> None:
    for port, serial in enumerate(("FD0", "FD1")):
        folder = tmp_path / f"1-{port}"
        (folder / f"1-{port}:1.0" / "net" / f"can{port + 2}").mkdir(parents=True)
        (folder / "serial").write_text(f"{serial}\n")
    assert interface_of("FD1", tmp_path) == "can3"
    assert interface_of("FD2", tmp_path) == ""


def test_the_program_needs_only_python(tmp_path: Path) -> None:
    program = tmp_path / "program.pyz"
    program.write_bytes(zipped())
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, "serve", "FD0=toaster"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "SERIAL=MODEL with one of the models gs_usb, gs_usb-classic, ucan" in done.stderr
    assert "usage" in done.stderr
