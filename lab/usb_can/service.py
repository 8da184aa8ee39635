"""Serves adapters, and takes commands: plug in, pull out, change an error state."""

import select
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lab.usb_can import gs_usb, ucan
from lab.usb_can.usb import Device
from lab.usb_can.usbip import Connection
from lab.usb_can.wire import Errors, ErrorState, Node, Wire

MODELS: Final[dict[str, Callable[[Wire, str], tuple[Device, Node]]]] = {
    "gs_usb": gs_usb.adapter,
    "gs_usb-classic": lambda wire, serial: gs_usb.adapter(wire, serial, fd=False),
    "ucan": ucan.adapter,
}
"""Kinds of adapters, by the word that names them on the command line."""

STATES: Final = {
    "active": Errors(),
    "warning": Errors(ErrorState.WARNING, 96),
    "passive": Errors(ErrorState.PASSIVE, 128),
    "bus-off": Errors(ErrorState.BUS_OFF, 255),
}
"""Error states that a command may set, with error counters that lead to them."""

_OK: Final = "ok"
_PORT_PATIENCE: Final = 5.0
"""Seconds until a port is free whose device was pulled out."""


class CommandError(Exception):
    """A command that cannot be carried out; its text says why."""


class Adapters:
    """Adapters on one wire, each with a USB port of its own."""

    def __init__(self, models: Sequence[tuple[str, str]]) -> None:
        """Make them, not plugged in; ``models`` has the serial number and the kind of each."""
        self._wire = Wire()
        self._ports = {serial: port for port, (serial, _) in enumerate(models)}
        self._made = {serial: MODELS[model](self._wire, serial) for serial, model in models}
        self._connections: dict[str, Connection] = {}

    def command(self, words: Sequence[str]) -> None:
        """Carry out a command: a serial number, then ``plug``, ``unplug`` or a state.

        A state may be followed by the error counters, of transmission and reception.

        Raises:
            CommandError: there is no such command or adapter, or the kernel does not take it.
        """
        padding = [""] * (2 - len(words))
        serial, word, *numbers = [*words, *padding]
        if serial not in self._made:
            raise CommandError(f"no adapter {serial}; adapters: {', '.join(self._made)}")
        if word == "plug":
            self._plug(serial)
        elif word == "unplug":
            self._unplug(serial)
        elif word in STATES and len(numbers) <= 2 and all(map(str.isdecimal, numbers)):
            node = self._made[serial][1]
            if node.setup is None:
                raise CommandError(f"the controller of {serial} is not started")
            state, tx, rx = STATES[word]
            counters = [*map(int, numbers), *(tx, rx)[len(numbers) :]]
            node.set_errors(Errors(state, *counters))
        else:
            known = ", ".join(["plug", "unplug", *(f"{state} [TX [RX]]" for state in STATES)])
            raise CommandError(f"no command {' '.join(words[1:])!r}; commands: {known}")

    def serve(self, control: socket.socket) -> None:
        """Serve until ``control``, a listening socket of packets, fails."""
        while True:
            served = {found.socket: (serial, found) for serial, found in self._connections.items()}
            for ready in select.select([control, *served], [], [])[0]:
                if ready is control:
                    with control.accept()[0] as client:
                        client.send(self._answer(client.recv(256)))
                    break  # the set of sockets may have changed
                serial, connection = served[ready]
                if not connection.serve():
                    connection.unplug()
                    del self._connections[serial]

    def _answer(self, message: bytes) -> bytes:
        try:
            self.command(message.decode(errors="replace").split())
        except CommandError as error:
            return str(error).encode()
        return _OK.encode()

    def _plug(self, serial: str) -> None:
        if serial in self._connections:
            raise CommandError(f"{serial} is plugged in")
        device, port = self._made[serial][0], self._ports[serial]
        deadline = time.monotonic() + _PORT_PATIENCE
        while True:
            try:
                self._connections[serial] = Connection.plug(device, port)
            except FileNotFoundError as error:
                raise CommandError("no vhci_hcd in this kernel: modprobe vhci-hcd") from error
            except OSError as error:
                # The kernel needs a moment to free a port.
                if time.monotonic() > deadline:
                    raise CommandError(f"cannot plug {serial} into port {port}: {error}") from error
                time.sleep(0.05)
            else:
                return

    def _unplug(self, serial: str) -> None:
        if serial not in self._connections:
            raise CommandError(f"{serial} is not plugged in")
        self._connections.pop(serial).unplug()


def listen(path: Path) -> socket.socket:
    """Listen for commands on a socket of packets."""
    path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.bind(str(path))
    control.listen()
    return control


def tell(path: Path, words: Sequence[str]) -> None:
    """Give running adapters a command.

    Raises:
        CommandError: it was not carried out.
        OSError: no adapters are running.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(path))
        client.send(" ".join(words).encode())
        answer = client.recv(4096).decode()
    if answer != _OK:
        raise CommandError(answer)
