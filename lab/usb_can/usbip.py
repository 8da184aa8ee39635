"""Plugs devices into this kernel: USB/IP over a socket pair, with the driver vhci_hcd.

The protocol is in the kernel's ``Documentation/usb/usbip_protocol.rst``. The connection begins
as after an import: with commands of the kernel.
"""

import errno
import socket
import struct
from pathlib import Path
from typing import Final, NamedTuple

from lab.usb_can.usb import Device, Request

_VHCI: Final = Path("/sys/devices/platform/vhci_hcd.0")
_HIGH_SPEED: Final = 3
_BUS: Final = 1

_HEADER: Final = struct.Struct(">5I")  # command, sequence number, device, direction, endpoint
_SUBMIT: Final = struct.Struct(">5I8s")  # flags, length, three of isochronous use, setup packet
_UNLINK: Final = struct.Struct(">I24x")  # sequence number of the request that is taken back
_SUBMITTED: Final = struct.Struct(">5I i4I8x")
_UNLINKED: Final = struct.Struct(">5I i24x")
_SIZE: Final = _HEADER.size + _SUBMIT.size
_CMD_SUBMIT, _CMD_UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_DIRECTION_IN: Final = 1


class Command(NamedTuple):
    """A command of the kernel.

    Attributes:
        kind: submit or unlink.
        number: its sequence number.
        to_host: whether data is read from the device.
        endpoint: number of the endpoint.
        length: bytes to read at most, or written.
        setup: eight bytes of a control request; of an unlink nothing.
        unlinks: sequence number of the request that an unlink takes back.
        data: what is written.
    """

    kind: int
    number: int
    to_host: bool
    endpoint: int
    length: int = 0
    setup: bytes = b""
    unlinks: int = 0
    data: bytes = b""


def next_command(received: bytes) -> tuple[Command, bytes] | None:
    """Decode the first command of a stream; return it with the rest, None if it is not whole."""
    if len(received) < _SIZE:
        return None
    kind, number, _, direction, endpoint = _HEADER.unpack_from(received)
    to_host = direction == _DIRECTION_IN
    if kind == _CMD_UNLINK:
        (unlinks,) = _UNLINK.unpack_from(received, _HEADER.size)
        return Command(kind, number, to_host, endpoint, unlinks=unlinks), received[_SIZE:]
    if kind != _CMD_SUBMIT:
        raise ValueError(f"the kernel sent the unknown USB/IP command {kind}")
    _, length, _, _, _, setup = _SUBMIT.unpack_from(received, _HEADER.size)
    end = _SIZE if to_host else _SIZE + length
    if len(received) < end:
        return None
    data = received[_SIZE:end]
    command = Command(kind, number, to_host, endpoint, length, setup, data=data)
    return command, received[end:]


def submitted(number: int, status: int, length: int, data: bytes = b"") -> bytes:
    """Encode the answer to a submit; ``status`` is 0 or a negative errno."""
    return _SUBMITTED.pack(_RET_SUBMIT, number, 0, 0, 0, status, length, 0, 0, 0) + data


def unlinked(number: int, *, was_waiting: bool) -> bytes:
    """Encode the answer to an unlink."""
    return _UNLINKED.pack(_RET_UNLINK, number, 0, 0, 0, -errno.ECONNRESET if was_waiting else 0)


class Connection:
    """A device that is plugged in: answers the kernel's commands for it."""

    def __init__(self, device: Device, connected: socket.socket) -> None:
        """Serve the device on a connected socket."""
        self.socket = connected
        self._device = device
        self._received = b""

    @classmethod
    def plug(cls, device: Device, port: int) -> "Connection":
        """Plug a device into a port of this kernel.

        Raises:
            OSError: there is no vhci_hcd, or the port is in use.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            device_id = _BUS << 16 | (port + 2)
            words = f"{port} {theirs.fileno()} {device_id} {_HIGH_SPEED}"
            try:
                (_VHCI / "attach").write_text(words, encoding="ascii")
            except OSError:
                ours.close()
                raise
        return cls(device, ours)

    def unplug(self) -> None:
        """Pull the device out."""
        self.socket.close()
        self._device.unplugged()

    def serve(self) -> bool:
        """Read and answer what is there; return whether the device is still plugged in."""
        try:
            received = self.socket.recv(1 << 16)
        except ConnectionResetError:
            received = b""
        self._received += received
        while (found := next_command(self._received)) is not None:
            command, self._received = found
            self._answer(command)
        return bool(received)

    def _answer(self, command: Command) -> None:
        device, number = self._device, command.number
        pipe = device.pipes.get(command.endpoint)
        if command.kind == _CMD_UNLINK:
            waiting = [pipe.cancel(command.unlinks) for pipe in device.pipes.values()]
            self._send(unlinked(number, was_waiting=any(waiting)))
        elif command.endpoint == 0:
            answer = device.control(Request.decode(command.setup, command.data))
            if answer is None:
                self._send(submitted(number, -errno.EPIPE, 0))
            elif command.to_host:
                self._send(submitted(number, 0, len(answer), answer))
            else:
                self._send(submitted(number, 0, command.length))
        elif not command.to_host:
            self._send(submitted(number, 0, command.length))
            device.function.bulk_out(command.endpoint, command.data)
        elif pipe is None:
            self._send(submitted(number, -errno.EPIPE, 0))
        else:
            pipe.ask(number, lambda data: self._send(submitted(number, 0, len(data), data)))

    def _send(self, message: bytes) -> None:
        try:
            self.socket.sendall(message)
        except OSError as error:
            # The kernel has dropped the device; the next read says so too.
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EBADF):
                raise
