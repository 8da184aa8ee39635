"""A CAN frame, and its text as candump's log format has it: ``123#C0FFEE``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evercan.cli.errors import CliError

ID_BITS = 0x1FFFFFFF
ERROR = 0x20000000
"""The bit of an id that marks an error frame, which the kernel made."""

_SHORT_ID_BITS = 0x7FF
FD_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)
"""Bytes that a CAN FD frame can have on a wire."""

SWITCH, STATE = 1, 2
"""Flags of a CAN FD frame: the payload had the second bitrate; the sender was error passive."""

_TEXT = re.compile(
    r"(?P<id>[0-9A-F]{3}|[0-9A-F]{8})"
    r"#(?:(?P<remote>R(?P<length>[0-8])?)"
    r"|(?P<fd>#(?P<flags>[0-9A-F]))?(?P<data>(?:[0-9A-F]{2})*)(?:_(?P<raw>[9A-F]))?)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A CAN frame.

    Attributes:
        can_id: the id, without flags.
        extended: whether the id has 29 bits.
        data: the payload.
        length: bytes of the payload; of a remote frame those that it asks for.
        remote: whether it is a remote frame.
        error: whether it is an error frame, which the kernel made.
        fd: whether it is a CAN FD frame.
        flags: `SWITCH` and `STATE` of a CAN FD frame.
        raw_length: 9 to 15 if a classic frame of 8 bytes has this length code; else 0.
    """

    can_id: int
    data: bytes = b""
    extended: bool = False
    remote: bool = False
    error: bool = False
    fd: bool = False
    flags: int = 0
    length: int = 0
    raw_length: int = 0

    @property
    def text(self) -> str:
        """The frame as candump's log format has it."""
        wide = self.extended or self.error
        number = f"{self.can_id | (ERROR if self.error else 0):0{8 if wide else 3}X}"
        if self.remote:
            return f"{number}#R{self.length or ''}"
        payload = self.data.hex().upper()
        if self.fd:
            return f"{number}##{self.flags:X}{payload}"
        return f"{number}#{payload}" + (f"_{self.raw_length:X}" if self.raw_length else "")


def parse_frame(text: str) -> Frame | None:
    """Parse a frame's text; return None if it is none.

    A program can send CAN FD frames of any length up to 64 bytes to a virtual interface.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    number = int(found["id"], 16)
    wide = len(found["id"]) > 3
    if number > (ID_BITS | ERROR if wide else _SHORT_ID_BITS):
        return None
    fd, remote = bool(found["fd"]), bool(found["remote"])
    data = bytes.fromhex(found["data"] or "")
    if len(data) > (64 if fd else 8) or (found["raw"] and (fd or len(data) != 8)):
        return None
    error = bool(number & ERROR)
    return Frame(
        number & ID_BITS,
        data,
        extended=wide and not error,
        remote=remote,
        error=error,
        fd=fd,
        flags=int(found["flags"] or "0", 16),
        length=int(found["length"] or 0) if remote else len(data),
        raw_length=int(found["raw"] or "0", 16),
    )


def parse_input(text: str) -> Frame:
    """Parse a frame that a person has written: ``123#c0.ff.ee``, as cansend takes it.

    Raises:
        CliError: it is no frame that a bus can carry.
    """
    frame = parse_frame(text.upper().replace(".", ""))
    if frame is None or frame.error:
        raise CliError(
            f"{text} is not a frame",
            "write ID#DATA in hexadecimal digits, 3 or 8 for ID: 123#C0FFEE; ID##1DATA is CAN FD "
            "with a faster payload, ID##0DATA without, ID#R4 a remote frame",
        )
    if frame.fd and frame.length not in FD_LENGTHS:
        lengths = ", ".join(map(str, FD_LENGTHS[9:]))
        raise CliError(
            f"{text} has {frame.length} bytes, which CAN FD cannot carry",
            f"give at most 8 bytes, or {lengths}",
        )
    return frame
