"""``evercan record``: write a bus's frames to a file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from evercan.cli.access.reach import Target
from evercan.cli.access.recordings import Writer, open_writer
from evercan.cli.commands.capture import Capture, Selection, capture
from evercan.cli.errors import CliError
from evercan.cli.pages.progress import progress
from evercan.cli.views.recording import Format, RecordedFrame, format_of
from evercan.cli.views.traffic import BusFrame, columns
from evercan.cli.views.words import count

_MICRO = 1_000_000
_HOLD = 1.0
"""Seconds that a frame is held back: a host that is busy reads earlier ones late."""

_LOST = 1
"""Exit status if frames were lost."""

_LOST_BEFORE_COUNT = "frames were lost, and --count counts without them; Ctrl-C ends the recording"


@dataclass(frozen=True)
class RecordOptions:
    """Where frames are written.

    Attributes:
        output: the file; with rotation, files of this name with a number.
        rotate_size: bytes after which the next file begins; None for no limit.
        rotate_time: seconds after which the next file begins; None for no limit.
        overwrite: replace files that are there.
    """

    output: str
    rotate_size: int | None = None
    rotate_time: float | None = None
    overwrite: bool = False

    @property
    def rotates(self) -> bool:
        """Whether there can be more than one file."""
        return self.rotate_size is not None or self.rotate_time is not None


def record(target: Target, network: str, wanted: Selection, options: RecordOptions) -> int:
    """Record until a limit is reached, or until Ctrl-C; then report what is in the files.

    Returns:
        0, or 1 if frames were lost.

    Raises:
        CliError: there is no such network, its frames cannot be read, or a file not be written.
    """
    check(options)
    limit = "" if wanted.duration is None else f" of {wanted.duration:g}"
    reported = False
    with (
        capture(target, network, replace(wanted, hold=_HOLD)) as captured,
        _first_signal(captured.stop),
        closing(Recorder(options)) as recorder,
        progress() as show,
    ):
        for frames in captured.batches():
            recorder.add(captured, frames)
            lost = f", {count(captured.lost)} lost" if captured.lost else ""
            show(f"{count(recorder.frames)} frames{lost}, {captured.seconds:.0f}{limit} s")
            if captured.lost and captured.passed < (wanted.count or 0) and not reported:
                reported = True
                print(_LOST_BEFORE_COUNT, file=sys.stderr)
    for line in recorder.summary(captured.lost):
        print(line, file=sys.stderr)
    return _LOST if captured.lost else 0


@contextmanager
def _first_signal(act: Callable[[], None]) -> Iterator[None]:
    """Act at a first Ctrl-C or SIGTERM; a second one ends the command as usual."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def first(*_: object) -> None:
        restore()
        act()

    for number in numbers:
        signal.signal(number, first)
    try:
        yield
    finally:
        restore()


def check(options: RecordOptions) -> None:
    """Check that the files can be named so, and are not there.

    Raises:
        CliError: the ending is none of a recording, or a file is there.
    """
    format_of(options.output)
    output = Path(options.output)
    pattern = f"{output.stem}-[0-9][0-9][0-9][0-9]{output.suffix}"
    there = sorted(output.parent.glob(pattern)) if options.rotates else [output]
    if not options.overwrite and there and there[0].exists():
        raise CliError(f"{there[0]} exists", "name another file, or add --overwrite")


class Recorder:
    """Writes frames to one file after another.

    Attributes:
        files: the files so far.
        frames: the number of frames in them.
    """

    def __init__(self, options: RecordOptions) -> None:
        """Create the first file.

        Raises:
            CliError: it cannot be created, or the extra is missing.
        """
        self._options = options
        self._format: Format = format_of(options.output)
        self._output = Path(options.output)
        self.files: list[Path] = []
        self.frames = 0
        self._left_out = 0
        self._channels: dict[str, int] = {}
        self._noted: set[int] = set()
        self._last = self._begun = 0
        self._writer: Writer | None = open_writer(self._next_file())

    def _next_file(self) -> Path:
        if self._options.rotates:
            name = f"{self._output.stem}-{len(self.files) + 1:04}{self._output.suffix}"
            self.files.append(self._output.with_name(name))
        else:
            self.files.append(self._output)
        return self.files[-1]

    def add(self, captured: Capture, frames: list[BusFrame]) -> None:
        """Write frames."""
        if not frames:
            return
        names = {end: "_".join(name.split()) for end, name in captured.names.items()}
        if self._output.suffix.lower() == ".log":
            # can-utils take names of the length of an interface's.
            bus = captured.bus
            names = columns({end: name for end, name in names.items() if end != bus}, bus)
        for sender in [captured.bus, *(name for _, name in sorted(names.items()))]:
            self._channels.setdefault(sender, len(self._channels) + 1)
        for frame in frames:
            self._add(frame, names.get(frame.sender, frame.sender))

    def _add(self, frame: BusFrame, sender: str) -> None:
        content = frame.content
        if not self._format.holds(content):
            self._left_out += 1
            return
        # Some formats have no time that goes back, which a clock that is set can do.
        self._last = max(self._last, frame.stamp)
        writer = self._writer_for(self._last)
        channel = self._channels.setdefault(sender, len(self._channels) + 1)
        writer.write(RecordedFrame(self._last, sender, content), channel)
        if self._format.senders and channel not in self._noted:
            self._noted.add(channel)
            writer.note(channel, sender)
        self.frames += 1

    def _writer_for(self, stamp: int) -> Writer:
        """Return the writer of a frame of this time: that of the next file, if it is due."""
        writer, size, seconds = self._writer, self._options.rotate_size, self._options.rotate_time
        if writer is None:
            raise CliError(f"{self._output} is closed")
        self._begun = self._begun or stamp
        full = size is not None and writer.size() >= size
        if full or (seconds is not None and stamp - self._begun >= seconds * _MICRO):
            self.close()
            self._begun, self._noted = stamp, set()
            writer = self._writer = open_writer(self._next_file())
        return writer

    def close(self) -> None:
        """Complete the last file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def summary(self, lost: int) -> list[str]:
        """Say what is in the files, and what is not."""
        first, last = self.files[0].name, self.files[-1].name
        name = first if first == last else f"{first} to {last}"
        lines = [f"{name}: {count(self.frames)} frames, {count(lost) if lost else 'none'} lost"]
        if lost:
            lines.append("frames were lost because reading was too slow: on all CAN interfaces")
        if self._left_out:
            kind = "CAN FD" if self._format.remote else "CAN FD and remote"
            lines.append(
                f"{count(self._left_out)} frames are left out: {self._format.name} files have no "
                f"{kind} frames; use .mf4, .blf, .asc or .log"
            )
        if self._format.senders and self._output.suffix.lower() != ".log":
            lines += [f"channel {number}: {name}" for name, number in self._channels.items()]
        return lines
