"""A source of link events that a test controls."""

from __future__ import annotations

import socket


class FakeLinkEvents:
    """Implements ``evercan.reconcile.watcher.LinkEventSource`` with a pair of sockets.

    Attributes:
        drained: how many times the plugin has read events of CAN interfaces.
        error: raised by the next ``drain``.
    """

    def __init__(self) -> None:
        self._sender, self._receiver = socket.socketpair()
        self._receiver.setblocking(False)
        self.drained = 0
        self.error: Exception | None = None

    def announce(self) -> None:
        """Announce that a CAN interface has changed."""
        self._sender.send(b"!")

    def announce_other(self) -> None:
        """Announce a change of an interface that is not a CAN interface."""
        self._sender.send(b".")

    def fail(self, error: Exception) -> None:
        """Let the next reading of events fail."""
        self.error = error
        self.announce()

    def fileno(self) -> int:
        return self._receiver.fileno()

    def drain(self) -> bool:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        events = b""
        while True:
            try:
                events += self._receiver.recv(4096)
            except BlockingIOError:
                self.drained += b"!" in events
                return b"!" in events

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()
