"""Write MDF 4 in batches: the writer of python-can is too slow for a full bus.

What is written is what python-can writes: one group each for data, error and remote frames.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from asammdf import MDF, Signal
from asammdf.blocks.v4_blocks import SourceInformation
from asammdf.blocks.v4_constants import BUS_TYPE_CAN, SOURCE_BUS
from can.io.mf4 import RTR_DTYPE, STD_DTYPE
from can.util import len2dlc

from evercan.cli.views.frame import STATE, SWITCH
from evercan.cli.views.recording import RecordedFrame, channel_note

_BATCH = 2000
_LONGEST = 64
_MICRO = 1_000_000
_DEFLATED = 1

_DATA, _REMOTE = "CAN_DataFrame", "CAN_RemoteFrame"
_KINDS = {_DATA: STD_DTYPE, _REMOTE: RTR_DTYPE}


class MdfWriter:
    """Writes one MDF file: a `evercan.cli.access.recordings.Writer`."""

    def __init__(self, file: Path) -> None:
        """Create the file, so that a folder that cannot be written is noticed now."""
        file.touch()
        self._file = file
        self._mdf: Any = MDF(version="4.10")
        self._notes: list[str] = []
        self._waiting: dict[str, list[tuple[RecordedFrame, int]]] = {kind: [] for kind in _KINDS}
        self._first: int | None = None
        self._size = 0
        source = SourceInformation(source_type=SOURCE_BUS, bus_type=BUS_TYPE_CAN)
        for kind, layout in _KINDS.items():
            empty = np.array([], dtype=layout)
            self._mdf.append(Signal(empty, np.array([], dtype="<f8"), name=kind, source=source))

    def write(self, recorded: RecordedFrame, channel: int) -> None:
        """Keep a frame for the next batch."""
        if self._first is None:
            self._first = recorded.stamp
            self._mdf.header.start_time = datetime.fromtimestamp(recorded.stamp / _MICRO, UTC)
        kind = _REMOTE if recorded.frame.remote else _DATA
        self._size += _KINDS[kind].itemsize + 8
        self._waiting[kind].append((recorded, channel))
        if len(self._waiting[kind]) >= _BATCH:
            self._flush(kind)

    def note(self, channel: int, sender: str) -> None:
        """Keep a note for the file's comment."""
        self._notes.append(channel_note(channel, sender))

    def size(self) -> int:
        """Return the bytes of the frames before compression."""
        return self._size

    def close(self) -> None:
        """Write the file."""
        for kind in _KINDS:
            self._flush(kind)
        self._mdf.header.comment = "\n".join(self._notes)
        self._mdf.save(self._file, overwrite=True, compression=_DEFLATED)
        self._mdf.close()

    def _flush(self, kind: str) -> None:
        waiting, self._waiting[kind] = self._waiting[kind], []
        if not waiting:
            return
        frames = [recorded.frame for recorded, _ in waiting]
        table = np.zeros(len(waiting), dtype=_KINDS[kind])
        columns: dict[str, list[int]] = {
            "BusChannel": [channel for _, channel in waiting],
            "ID": [frame.can_id for frame in frames],
            "IDE": [frame.extended for frame in frames],
            "DLC": [len2dlc(frame.length) if frame.fd else frame.length for frame in frames],
        }
        if kind == _DATA:
            columns |= {
                "DataLength": [frame.length for frame in frames],
                "EDL": [frame.fd for frame in frames],
                "BRS": [bool(frame.flags & SWITCH) for frame in frames],
                "ESI": [bool(frame.flags & STATE) for frame in frames],
            }
            payloads = b"".join(frame.data.ljust(_LONGEST, b"\0") for frame in frames)
            table[f"{kind}.DataBytes"] = np.frombuffer(payloads, dtype="u1").reshape(-1, _LONGEST)
        for name, values in columns.items():
            table[f"{kind}.{name}"] = values
        first = self._first or 0
        times = np.array([recorded.stamp - first for recorded, _ in waiting]) / _MICRO
        self._mdf.extend(list(_KINDS).index(kind), [(times, None), (table, None)])


def comment_of(file: Path) -> str:
    """Return the comment of an MDF file."""
    with MDF(file) as found:
        return str(found.header.comment)
