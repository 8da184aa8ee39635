"""``evercan dump``: print a bus's frames as they pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from evercan.cli.access.databases import Databases
from evercan.cli.access.reach import Target
from evercan.cli.commands.capture import Capture, Selection, capture
from evercan.cli.views.error_frame import error_words
from evercan.cli.views.traffic import BusFrame, as_json, columns, write


@dataclass(frozen=True)
class DumpOptions:
    """How frames are printed.

    Attributes:
        dbc: files of databases to decode frames by.
        as_bus: write the bus interface in place of the sender.
        json: print one JSON object a line instead of candump's log format.
    """

    dbc: Sequence[str] = ()
    as_bus: bool = False
    json: bool = False


def dump(target: Target, network: str, wanted: Selection, options: DumpOptions) -> int:
    """Print until a limit is reached, or until Ctrl-C.

    Raises:
        CliError: there is no such network, its frames or a database cannot be read.
    """
    databases = Databases(options.dbc)
    try:
        with capture(target, network, wanted) as captured:
            _Printer(captured, databases, options).run()
    except KeyboardInterrupt:
        return 0  # this is how a person ends it
    return 0


class _Printer:
    """Prints the frames of one run."""

    def __init__(self, captured: Capture, databases: Databases, options: DumpOptions) -> None:
        self._captured, self._databases, self._options = captured, databases, options
        self._names: dict[str, str] = {}
        self._reported: set[tuple[str, str]] = set()
        self._lost = 0
        self._name_columns()

    def run(self) -> None:
        for frames in self._captured.batches():
            self._report_lost()
            if self._captured.names is not self._names:
                self._name_columns()
            for frame in frames:
                sys.stdout.write(f"{self._line(frame)}\n")
            sys.stdout.flush()

    def _report_lost(self) -> None:
        lost, self._lost = self._captured.lost - self._lost, self._captured.lost
        if lost:
            print(f"{lost} frames were lost: reading is too slow", file=sys.stderr)

    def _name_columns(self) -> None:
        """Shorten the names for the log format, and report which were shortened."""
        self._names, bus = self._captured.names, self._captured.bus
        ends = {end: name for end, name in self._names.items() if end != bus}
        self._columns = columns(ends, bus)
        if self._options.json:
            return  # names are written in full
        for end, name in sorted(ends.items()):
            if self._columns[end] != name and (self._columns[end], name) not in self._reported:
                self._reported.add((self._columns[end], name))
                print(f"{self._columns[end]} is {name}", file=sys.stderr)

    def _line(self, frame: BusFrame) -> str:
        bus = self._captured.bus
        content = frame.content if self._databases or frame.is_error else None
        decoded = self._databases.decode(content) if self._databases and content else None
        words = error_words(content) if content and content.error else ""
        if self._options.json:
            name = bus if self._options.as_bus else self._captured.name_of(frame)
            document = as_json(frame, name, bus)
            if decoded is not None:
                document |= decoded.as_json()
            if words:
                document["error_words"] = words
            return json.dumps(document, ensure_ascii=False)
        column = bus if self._options.as_bus else self._columns.get(frame.sender, frame.sender)
        line = write(frame, column)
        meaning = words or decoded
        return f"{line} :: {meaning}" if meaning else line
