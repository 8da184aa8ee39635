"""Write and read recordings; python-can has most of the formats."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from evercan.cli.access.extra import workbench
from evercan.cli.errors import CliError
from evercan.cli.views.frame import STATE, SWITCH, Frame
from evercan.cli.views.recording import (
    RecordedFrame,
    channel_note,
    format_of,
    noted_channels,
)
from evercan.cli.views.traffic import parse

if TYPE_CHECKING:
    import can

_CLASSIC_LENGTH = 8
_MICRO = 1_000_000


class Writer(Protocol):
    """Writes one recording."""

    def write(self, recorded: RecordedFrame, channel: int) -> None:
        """Write a frame; ``channel`` is the sender's number, from 1."""
        ...

    def note(self, channel: int, sender: str) -> None:
        """Note which sender has a number; called after the first frame with it."""
        ...

    def size(self) -> int:
        """Return the bytes that the file has about now; before compression for MDF."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


def open_writer(file: Path) -> Writer:
    """Create a recording in the format of its ending.

    Raises:
        CliError: the extra is missing, or the file cannot be created.
    """
    format_of(str(file))
    ending = file.suffix.lower()
    try:
        if ending == ".log":
            return _LogWriter(file)
        with workbench(f"recording {ending}"):
            if ending == ".mf4":
                from evercan.cli.access.mdf import MdfWriter  # noqa: PLC0415 - needs an extra

                return MdfWriter(file)
            return _LibraryWriter(file)
    except OSError as error:
        raise CliError(f"cannot write {file} ({error.strerror})", "name another file") from error


class _LogWriter:
    """Writes candump's log format, with the sender in place of the interface."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="utf-8")

    def write(self, recorded: RecordedFrame, channel: int) -> None:  # noqa: ARG002 - has names
        seconds, micro = divmod(recorded.stamp, _MICRO)
        sender = "_".join(recorded.sender.split()) or "can0"
        self._file.write(f"({seconds:010d}.{micro:06d}) {sender} {recorded.frame.text}\n")

    def note(self, channel: int, sender: str) -> None:
        pass

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _LibraryWriter:
    """Writes a format of python-can."""

    def __init__(self, file: Path) -> None:
        import can  # noqa: PLC0415 - it belongs to an extra

        writers: dict[str, Any] = {
            ".asc": can.ASCWriter,
            ".blf": can.BLFWriter,
            ".csv": can.CSVWriter,
            ".trc": can.TRCWriter,
        }
        self._ending = file.suffix.lower()
        self._message = can.Message
        self._writer = writers[self._ending](file)
        self._stamp = 0.0

    def write(self, recorded: RecordedFrame, channel: int) -> None:
        frame = recorded.frame
        self._stamp = recorded.stamp / _MICRO
        self._writer.on_message_received(
            self._message(
                timestamp=self._stamp,
                arbitration_id=frame.can_id,
                is_extended_id=frame.extended,
                is_remote_frame=frame.remote,
                is_fd=frame.fd,
                bitrate_switch=bool(frame.flags & SWITCH),
                error_state_indicator=bool(frame.flags & STATE),
                dlc=frame.length,
                data=frame.data,
                channel=channel - 1,  # the library adds 1
            )
        )

    def note(self, channel: int, sender: str) -> None:
        text = channel_note(channel, sender)
        if self._ending == ".blf":
            self._writer.log_event(text, self._stamp)
        elif self._ending == ".asc":
            self._writer.file.write(f"// {text}\n")
        elif self._ending == ".trc":
            self._writer.file.write(f"; {text}\n")

    def size(self) -> int:
        return int(self._writer.file_size())

    def close(self) -> None:
        self._writer.stop()


def read_recording(file: str) -> Iterator[RecordedFrame]:
    """Yield the frames of a recording in the format of its ending, without error frames.

    Raises:
        CliError: the extra is missing, or the file cannot be read.
    """
    format_of(file)
    path = Path(file)
    ending = path.suffix.lower()
    try:
        if ending == ".log":
            yield from _read_log(path)
            return
        with workbench(f"reading {ending}"):
            import can  # noqa: PLC0415 - it belongs to an extra
        names = _NAMES.get(ending, lambda _: {})(path)
        with closing(_Closing(can.LogReader(path))) as reader:
            for message in reader:
                if not message.is_error_frame:
                    yield _recorded(message, names, _FIRST_CHANNEL[ending])
    except OSError as error:
        raise CliError(f"cannot read {file} ({error.strerror})", "name another file") from error
    except (CliError, GeneratorExit):
        raise
    except Exception as error:  # the library raises whatever a damaged file leads to
        raise CliError(
            f"{file} is damaged, or not of the format of its ending: {error}", "name another file"
        ) from error


def _read_log(path: Path) -> Iterator[RecordedFrame]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.startswith("("):
                continue  # canplayer takes such lines for comments too
            captured = parse(line)
            frame = None if captured is None else captured.frame
            if captured is None or frame is None:
                raise CliError(
                    f"{path}, line {number} is not a line of candump's log format",
                    "correct it: (1790000000.000001) can0 123#C0FFEE",
                )
            if not frame.error:
                yield RecordedFrame(captured.stamp, captured.interface, frame)


class _Closing:
    """Gives a reader of python-can the usual name for closing it."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[can.Message]:
        return iter(self._reader)

    def close(self) -> None:
        self._reader.stop()


_FIRST_CHANNEL = {".asc": 0, ".blf": 0, ".csv": 0, ".mf4": 1, ".trc": 1}
"""What the library gives for a file's channel 1."""


def _recorded(message: can.Message, names: dict[int, str], first: int) -> RecordedFrame:
    # A classic frame has at most 8 bytes: python-can writes CAN FD frames to CSV without a mark.
    fd = message.is_fd or len(message.data) > _CLASSIC_LENGTH
    # CAN FD has no remote frames: python-can takes one without payload in ASC files for one.
    remote = message.is_remote_frame and not fd
    flags = (SWITCH if message.bitrate_switch else 0) | (
        STATE if message.error_state_indicator else 0
    )
    frame = Frame(
        message.arbitration_id,
        bytes(message.data) if not remote else b"",
        extended=message.is_extended_id,
        remote=remote,
        fd=fd,
        flags=flags,
        length=message.dlc if remote else len(message.data),
    )
    sender = ""
    if isinstance(message.channel, int):
        channel = message.channel - first + 1
        sender = names.get(channel, f"channel{channel}")
    return RecordedFrame(round(message.timestamp * _MICRO), sender, frame)


# --- which sender has which channel ------------------------------------------------


def _names_in_text(path: Path) -> dict[int, str]:
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return {}
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return noted_channels([content])  # type: ignore[list-item] # it is searched like bytes


def _names_in_blf(path: Path) -> dict[int, str]:
    with path.open("rb") as stream:
        return noted_channels(_blf_contents(stream))


def _names_in_mdf(path: Path) -> dict[int, str]:
    from evercan.cli.access.mdf import comment_of  # noqa: PLC0415 - it needs an extra

    return noted_channels([comment_of(path).encode()])


_NAMES = {
    ".asc": _names_in_text,
    ".blf": _names_in_blf,
    ".mf4": _names_in_mdf,
    ".trc": _names_in_text,
}

_FILE_HEAD = struct.Struct("<4sI")
_OBJECT_HEAD = struct.Struct("<4sHHII")
_CONTAINER_HEAD = struct.Struct("<H6xI4x")
_CONTAINER, _DEFLATED = 10, 2
_OVERLAP = 400
"""Bytes of a part that are searched again with the next one: a note can be in two parts."""


def _blf_contents(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the decompressed contents of a BLF file, part by part."""
    _, size = _FILE_HEAD.unpack(stream.read(_FILE_HEAD.size))
    stream.seek(size)
    before = b""
    while len(head := stream.read(_OBJECT_HEAD.size)) == _OBJECT_HEAD.size:
        signature, _, _, size, kind = _OBJECT_HEAD.unpack(head)
        content = stream.read(size - _OBJECT_HEAD.size)
        stream.seek(size % 4, 1)
        if signature != b"LOBJ":
            return  # the library says what is wrong
        if kind != _CONTAINER:
            continue
        method, _ = _CONTAINER_HEAD.unpack_from(content)
        content = content[_CONTAINER_HEAD.size :]
        part = zlib.decompress(content) if method == _DEFLATED else content
        yield before + part
        before = part[-_OVERLAP:]
