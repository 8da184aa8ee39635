"""A USB device: its descriptors, the standard requests, and its IN endpoints."""

import struct
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple, Protocol

_DEVICE, _CONFIGURATION, _STRING, _INTERFACE, _ENDPOINT = 1, 2, 3, 4, 5
_GET_STATUS, _GET_DESCRIPTOR, _GET_CONFIGURATION = 0, 6, 8
_ACCEPTED: Final = frozenset({1, 3, 5, 9, 11})
"""Clear feature, set feature, set address, set configuration, set interface."""

_IN: Final = 0x80
_TYPE_MASK: Final = 0x60
_VENDOR_SPECIFIC: Final = 0xFF
_BULK, _PACKET = 2, 512
_ENGLISH: Final = 0x0409


class Request(NamedTuple):
    """A control request: ``struct usb_ctrlrequest`` and the data of an OUT transfer.

    Attributes:
        kind: direction, type and recipient.
        number: the request.
        value: its first parameter.
        place: its second parameter, often an interface or endpoint.
        length: bytes to read at most, or written.
        data: what is written.
    """

    kind: int
    number: int
    value: int
    place: int
    length: int
    data: bytes = b""

    @classmethod
    def decode(cls, setup: bytes, data: bytes) -> "Request":
        """Decode the eight bytes of a setup packet."""
        kind, number, value, place, length = struct.unpack("<BBHHH", setup)
        return cls(kind, number, value, place, length, data)

    @property
    def is_standard(self) -> bool:
        """Whether the USB specification defines it, not the vendor."""
        return not self.kind & _TYPE_MASK

    @property
    def is_in(self) -> bool:
        """Whether the device answers with data."""
        return bool(self.kind & _IN)


class Identity(NamedTuple):
    """What a device says that it is.

    Attributes:
        vendor: vendor id.
        product: product id.
        maker: manufacturer's name.
        model: product's name.
        serial: serial number, by which udev can tell it from others.
        endpoints: bulk endpoints; those of 0x80 and above are IN.
    """

    vendor: int
    product: int
    maker: str
    model: str
    serial: str
    endpoints: Sequence[int]

    def device(self) -> bytes:
        """Return the device descriptor: USB 2.0, one configuration."""
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            *(18, _DEVICE, 0x200, 0, 0, 0, 64),
            *(self.vendor, self.product, 0x100),
            *(1, 2, 3, 1),
        )

    def configuration(self) -> bytes:
        """Return the configuration with its one interface and the endpoints."""
        endpoints = b"".join(
            struct.pack("<BBBBHB", 7, _ENDPOINT, address, _BULK, _PACKET, 0)
            for address in self.endpoints
        )
        interface = struct.pack(
            "<BBBBBBBBB",
            *(9, _INTERFACE, 0, 0, len(self.endpoints)),
            *(_VENDOR_SPECIFIC, _VENDOR_SPECIFIC, _VENDOR_SPECIFIC, 0),
        )
        rest = interface + endpoints
        return struct.pack("<BBHBBBBB", 9, _CONFIGURATION, 9 + len(rest), 1, 1, 0, 0x80, 50) + rest

    def string(self, number: int) -> bytes | None:
        """Return a string descriptor; None if there is none of that number."""
        if number == 0:
            return struct.pack("<BBH", 4, _STRING, _ENGLISH)
        texts = (self.maker, self.model, self.serial)
        if number > len(texts):
            return None
        text = texts[number - 1].encode("utf-16-le")
        return struct.pack("<BB", 2 + len(text), _STRING) + text


class Pipe:
    """An IN endpoint: what the device has to say, and requests of the host that wait for it."""

    def __init__(self) -> None:
        """Start with neither."""
        self._packets: deque[bytes] = deque()
        self._waiting: dict[Hashable, Callable[[bytes], None]] = {}

    def put(self, packet: bytes) -> None:
        """Hand a packet to the host as soon as it asks."""
        self._packets.append(packet)
        self._match()

    def ask(self, request: Hashable, answer: Callable[[bytes], None]) -> None:
        """Take a request of the host; ``answer`` is called with one packet."""
        self._waiting[request] = answer
        self._match()

    def cancel(self, request: Hashable) -> bool:
        """Forget a request; return whether it was still waiting."""
        return self._waiting.pop(request, None) is not None

    def clear(self) -> None:
        """Forget packets and requests."""
        self._packets.clear()
        self._waiting.clear()

    def drop_packets(self) -> None:
        """Forget what was not asked for yet."""
        self._packets.clear()

    def _match(self) -> None:
        while self._packets and self._waiting:
            request = next(iter(self._waiting))
            self._waiting.pop(request)(self._packets.popleft())


class Function(Protocol):
    """What a device does, beyond being a USB device."""

    def control(self, request: Request) -> bytes | None:
        """Answer a vendor's request; None if it is not known."""

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """Take what the host sends to an OUT endpoint."""

    def unplugged(self) -> None:
        """Lose power."""


class Device:
    """A USB device that a transport connects to a host.

    Attributes:
        identity: what it says that it is.
        pipes: its IN endpoints, by number without the direction bit.
    """

    def __init__(self, identity: Identity, pipes: dict[int, Pipe], function: Function) -> None:
        """Put the parts together."""
        self.identity = identity
        self.pipes = pipes
        self.function = function

    def control(self, request: Request) -> bytes | None:
        """Answer a control request with what it reads, at most its length; None is a stall."""
        answer = self._standard(request) if request.is_standard else self.function.control(request)
        return None if answer is None else answer[: request.length]

    def unplugged(self) -> None:
        """Forget everything that a device without power does not know."""
        self.function.unplugged()
        for pipe in self.pipes.values():
            pipe.clear()

    def _standard(self, request: Request) -> bytes | None:
        if not request.is_in:
            return b"" if request.number in _ACCEPTED else None
        if request.number == _GET_DESCRIPTOR:
            return self._descriptor(request.value >> 8, request.value & 0xFF)
        return {_GET_STATUS: bytes(2), _GET_CONFIGURATION: b"\x01"}.get(request.number)

    def _descriptor(self, kind: int, number: int) -> bytes | None:
        if kind == _DEVICE:
            return self.identity.device()
        if kind == _CONFIGURATION:
            return self.identity.configuration()
        return self.identity.string(number) if kind == _STRING else None
