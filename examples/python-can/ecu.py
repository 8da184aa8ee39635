"""What both ECUs have: the bus, the database, a sign of health, and an end without delay."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import can
import cantools

DATABASE = cantools.database.load_file(Path(__file__).with_name("powertrain.dbc"), encoding="utf-8")
HEARD = Path("/run/heard")
"""Changed once a second while the other ECU is heard. The health check reads when that was."""


class Ecu:
    """One ECU on the bus: it sends messages of the database, and receives those of the other."""

    def __init__(self, node: str, channel: str = "can0") -> None:
        """Open the bus.

        Args:
            node: the ECU's name in the database.
            channel: the interface, as the container has it.
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        self._node = node
        self._bus = can.Bus(channel, interface="socketcan")
        self._cyclic: dict[str, can.CyclicSendTaskABC] = {}
        self._heard = 0.0

    def send(self, name: str, **values: float | str) -> None:
        """Send a message once."""
        self._bus.send(_frame(name, values))

    def send_cyclically(self, name: str, **values: float | str) -> None:
        """Send a message with the period of the database, or change what is sent.

        The kernel sends it (SocketCAN's broadcast manager), so that its times do not depend on
        Python.
        """
        if name in self._cyclic:
            self._cyclic[name].modify_data(_frame(name, values))
        else:
            self._cyclic[name] = self._bus.send_periodic(_frame(name, values), period(name))

    def received(self, seconds: float) -> Iterator[tuple[str, dict[str, float | str]]]:
        """Yield the name and the values of each message that arrives in this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            frame = self._bus.recv(left)
            if frame is None:
                return
            try:
                message = DATABASE.get_message_by_frame_id(frame.arbitration_id)
                values = message.decode_simple(frame.data)
            except (KeyError, cantools.database.DecodeError):
                continue  # it belongs to somebody else
            if self._node in message.senders:
                continue  # what this ECU's kernel sends cyclically is heard here too
            if time.monotonic() - self._heard > 1:
                self._heard = time.monotonic()
                HEARD.touch()
            # A value that has a name in the database is that name.
            yield (
                message.name,
                {name: getattr(value, "name", value) for name, value in values.items()},
            )


def period(name: str) -> float:
    """Return the seconds between two frames of a message."""
    return DATABASE.get_message_by_name(name).cycle_time / 1000


def _frame(name: str, values: Mapping[str, float | str]) -> can.Message:
    message = DATABASE.get_message_by_name(name)
    return can.Message(
        arbitration_id=message.frame_id,
        is_extended_id=message.is_extended_frame,
        data=message.encode(dict(values)),
    )
