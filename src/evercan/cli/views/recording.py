"""Recordings: their formats, and the frames in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from evercan.cli.errors import CliError
from evercan.cli.views.frame import Frame


@dataclass(frozen=True)
class Format:
    """What a format can hold.

    Attributes:
        name: its name.
        fd: CAN FD frames.
        remote: remote frames.
        senders: a number or a name for the sender of each frame.
    """

    name: str
    fd: bool = True
    remote: bool = True
    senders: bool = True

    def holds(self, frame: Frame) -> bool:
        """Return whether a file of this format can have a frame."""
        return not frame.error and (self.fd or not frame.fd) and (self.remote or not frame.remote)


FORMATS = {
    ".asc": Format("Vector ASCII"),
    ".blf": Format("Vector binary"),
    ".mf4": Format("ASAM MDF 4"),
    ".log": Format("candump log"),
    ".trc": Format("PEAK trace", fd=False, remote=False),
    ".csv": Format("CSV of python-can", fd=False, senders=False),
}
"""The formats by the endings of their files."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A frame in a recording.

    Attributes:
        stamp: microseconds; in some formats since the start, in others since 1970.
        sender: the sender's name; empty if the recording has none.
        frame: the frame.
    """

    stamp: int
    sender: str
    frame: Frame


def format_of(file: str) -> Format:
    """Return the format of a file by its ending.

    Raises:
        CliError: there is none.
    """
    found = FORMATS.get(f".{file.lower().rpartition('.')[2]}")
    if found is None:
        raise CliError(f"{file} has no ending of a recording", f"endings: {', '.join(FORMATS)}")
    return found


_NOTE = re.compile(rb"evercan: channel (\d+) is (\S+?);")


def channel_note(channel: int, sender: str) -> str:
    """Return the note in a recording that says which sender has a channel's number."""
    return f"evercan: channel {channel} is {sender};"


def noted_channels(parts: Iterable[bytes]) -> dict[int, str]:
    """Find the notes in the contents of a recording."""
    return {
        int(note[1]): note[2].decode(errors="replace")
        for part in parts
        for note in _NOTE.finditer(part)
    }
