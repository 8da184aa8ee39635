"""Say in words what an error frame reports.

The kernel makes these frames for what a CAN controller or its driver notices; the bits are those
of ``linux/can/error.h``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evercan.cli.views.frame import Frame

_ARBITRATION, _CONTROLLER, _PROTOCOL, _TRANSCEIVER = 0x002, 0x004, 0x008, 0x010
_COUNTERS = 0x200
_PLAIN = {
    0x001: "a frame was not sent in time",
    0x020: "no other node acknowledged a frame",
    0x040: "bus-off",
    0x080: "bus error",
    0x100: "restarted",
}
_CONTROLLER_WORDS = {
    0x01: "receive buffer overflow",
    0x02: "send buffer overflow",
    0x04: "error-warning: many errors while receiving",
    0x08: "error-warning: many errors while sending",
    0x10: "error-passive: too many errors while receiving",
    0x20: "error-passive: too many errors while sending",
    0x40: "error-active again",
}
_PROTOCOL_WORDS = {
    0x01: "bit error",
    0x02: "form error",
    0x04: "stuff error",
    0x08: "a dominant bit could not be sent",
    0x10: "a recessive bit could not be sent",
    0x20: "overload",
    0x40: "error flag of this controller",
    0x80: "while sending",
}
_PLACES = {
    0x02: "id bits 28-21",
    0x03: "start of frame",
    0x04: "substitute RTR",
    0x05: "id extension bit",
    0x06: "id bits 20-18",
    0x07: "id bits 17-13",
    0x08: "CRC",
    0x09: "reserved bit 0",
    0x0A: "data",
    0x0B: "length",
    0x0C: "RTR",
    0x0D: "reserved bit 1",
    0x0E: "id bits 4-0",
    0x0F: "id bits 12-5",
    0x12: "intermission",
    0x18: "CRC delimiter",
    0x19: "acknowledgement",
    0x1A: "end of frame",
    0x1B: "acknowledgement delimiter",
}
_HIGH_WIRE = {4: "no wire", 5: "short to battery", 6: "short to supply", 7: "short to ground"}
_LOW_WIRE = {**_HIGH_WIRE, 8: "short to CAN high"}
_LENGTH = 8


def error_words(frame: Frame) -> str:
    """Return what an error frame reports: ``bus-off; error counters: 248 tx, 0 rx``."""
    data = frame.data.ljust(_LENGTH, b"\0")
    parts = list(_reports(frame.can_id, data))
    if frame.can_id & _COUNTERS:
        parts.append(f"error counters: {data[6]} tx, {data[7]} rx")
    return "; ".join(parts) or "an error without details"


def _reports(classes: int, data: bytes) -> Iterator[str]:
    if classes & _ARBITRATION:
        yield f"arbitration lost{f' in bit {data[0]}' if data[0] else ''}"
    if classes & _CONTROLLER:
        yield from _words(data[1], _CONTROLLER_WORDS) or ["controller problem"]
    if classes & _PROTOCOL:
        words = ", ".join(_words(data[2], _PROTOCOL_WORDS)) or "protocol error"
        place = _PLACES.get(data[3])
        yield f"{words}{f' in {place}' if place else ''}"
    if classes & _TRANSCEIVER:
        high, low = _HIGH_WIRE.get(data[4] & 0xF), _LOW_WIRE.get(data[4] >> 4)
        found = [f"CAN high: {high}" if high else "", f"CAN low: {low}" if low else ""]
        yield f"transceiver{': ' if any(found) else ''}{', '.join(filter(None, found))}"
    yield from _words(classes, _PLAIN)


def _words(bits: int, words: Mapping[int, str]) -> list[str]:
    return [text for bit, text in words.items() if bits & bit]
