"""Link events that ring when a test says so."""

from __future__ import annotations

import socket


class LinkBell:
    """Implements ``evercan.watch.LinkEventSource`` with a pair of sockets."""

    def __init__(self) -> None:
        self._far, self._near = socket.socketpair()
        self._near.setblocking(False)
        self.heard = 0
        """How often somebody heard that a CAN interface changed."""

    def ring(self) -> None:
        """Say that a CAN interface changed."""
        self._far.send(b"!")

    def ring_of_others(self) -> None:
        """Say that an interface changed that is no business of evercan's."""
        self._far.send(b".")

    def fileno(self) -> int:
        return self._near.fileno()

    def drain(self) -> bool:
        heard = b""
        while True:
            try:
                heard += self._near.recv(4096)
            except BlockingIOError:
                self.heard += b"!" in heard
                return b"!" in heard

    def close(self) -> None:
        self._far.close()
        self._near.close()
