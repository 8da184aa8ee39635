"""A wire, and the CAN controllers on it.

What is left out: arbitration, the time that a frame takes, and the error frames with which a
node destroys the frames of others. A node simply does not hear what it cannot decode.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

LENGTHS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
"""Bytes of payload by data length code; a classic frame has at most 8."""

UNACKNOWLEDGED: Final = 128
"""Transmit error counter of a node whose frames nobody acknowledges: it stops to grow there."""


class ErrorState(IntEnum):
    """How a controller stands to the bus, as ``enum can_state`` numbers it."""

    ACTIVE = 0
    WARNING = 1
    PASSIVE = 2
    BUS_OFF = 3


class Errors(NamedTuple):
    """A controller's state and error counters."""

    state: ErrorState = ErrorState.ACTIVE
    tx: int = 0
    rx: int = 0


class Frame(NamedTuple):
    """A frame on the wire.

    Attributes:
        can_id: with the flags of ``linux/can.h`` for extended ids and remote frames.
        dlc: data length code.
        data: payload.
        fd: it is a CAN FD frame.
        brs: its data phase has the second bitrate.
        esi: its sender is error-passive.
    """

    can_id: int
    dlc: int
    data: bytes
    fd: bool = False
    brs: bool = False
    esi: bool = False


@dataclass(frozen=True)
class Setup:
    """How a controller is set when it is started.

    Attributes:
        bitrate: bit/s of the arbitration phase.
        data_bitrate: bit/s of the data phase; 0 for a controller that is set to classic frames.
        listen_only: it acknowledges and sends nothing.
    """

    bitrate: int
    data_bitrate: int = 0
    listen_only: bool = False

    def decodes(self, sender: "Setup", frame: Frame) -> bool:
        """Whether a node that is set like this understands a frame of another node."""
        if self.bitrate != sender.bitrate:
            return False
        return not frame.fd or self.data_bitrate == sender.data_bitrate


@dataclass
class Listener:
    """What a node tells its adapter.

    Attributes:
        received: a frame of another node.
        sent: a frame of its own was acknowledged; gets the frame's token.
        changed: its error state has changed.
    """

    received: Callable[[Frame], None]
    sent: Callable[[Hashable], None]
    changed: Callable[[Errors], None]


class Node:
    """A controller on the wire.

    Attributes:
        setup: how it is set; None while it is stopped.
        errors: its error state, which a test may set.
    """

    def __init__(self, wire: "Wire", listener: Listener) -> None:
        """Connect it to the wire, stopped."""
        self.setup: Setup | None = None
        self.errors = Errors()
        self.outbox: deque[tuple[Frame, Hashable]] = deque()
        self._wire = wire
        self._listener = listener
        self._lonely = False
        wire.nodes.append(self)

    @property
    def on_bus(self) -> bool:
        """Whether it takes part: it is started and not bus-off."""
        return self.setup is not None and self.errors.state is not ErrorState.BUS_OFF

    def start(self, setup: Setup) -> None:
        """Start it, error-active; frames that waited for somebody to hear them go out."""
        self.stop()
        self.setup = setup
        self._wire.deliver()

    def stop(self) -> None:
        """Stop it; frames that were not sent are lost."""
        self.setup, self.errors, self._lonely = None, Errors(), False
        self.outbox.clear()

    def send(self, frame: Frame, token: Hashable) -> None:
        """Send a frame; it waits until another node acknowledges it."""
        if self.setup is not None:
            self.outbox.append((frame, token))
            self._wire.deliver()

    def set_errors(self, errors: Errors) -> None:
        """Change the error state, and tell the adapter."""
        self.errors, self._lonely = errors, False
        self._listener.changed(errors)
        self._wire.deliver()

    def hears(self, sender: Setup, frame: Frame) -> bool:
        """Whether it receives a frame of another node."""
        return self.setup is not None and self.on_bus and self.setup.decodes(sender, frame)

    def acknowledges(self, sender: Setup, frame: Frame) -> bool:
        """Whether it receives a frame and may say so on the wire."""
        listens = self.setup is not None and self.setup.listen_only
        return self.hears(sender, frame) and not listens

    def receive(self, frame: Frame) -> None:
        """Take a frame of another node."""
        self._listener.received(frame)

    def acknowledged(self) -> None:
        """Take the first frame as sent; an error state that came from silence ends."""
        _, token = self.outbox.popleft()
        self._listener.sent(token)
        if self._lonely:
            self._lonely = False
            self.errors = Errors()
            self._listener.changed(self.errors)

    def unacknowledged(self) -> None:
        """Keep the frame, and become error-passive as a node does that is alone on its wire."""
        if self.errors == Errors():
            self._lonely = True
            self.errors = Errors(ErrorState.PASSIVE, UNACKNOWLEDGED)
            self._listener.changed(self.errors)


class Wire:
    """Delivers the frames of each node to all others.

    Attributes:
        nodes: the controllers on it.
    """

    def __init__(self) -> None:
        """Start with no node."""
        self.nodes: list[Node] = []
        self._busy = False

    def deliver(self) -> None:
        """Deliver what waits in the outboxes, as far as somebody acknowledges it."""
        if self._busy:
            return  # called by a listener: the loop below goes on with what is new
        self._busy = True
        try:
            while [node for node in self.nodes if self._deliver_one(node)]:
                pass  # one frame of each node in turn, until none is acknowledged
        finally:
            self._busy = False

    def _deliver_one(self, sender: Node) -> bool:
        """Deliver a node's first frame; return whether that was acknowledged."""
        setup = sender.setup
        if not sender.outbox or setup is None or not sender.on_bus or setup.listen_only:
            return False
        frame = sender.outbox[0][0]
        others = [node for node in self.nodes if node is not sender and node.hears(setup, frame)]
        if not any(node.acknowledges(setup, frame) for node in others):
            sender.unacknowledged()
            return False
        for node in others:
            node.receive(frame)
        sender.acknowledged()
        return True
