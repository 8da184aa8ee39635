"""The terminal: one console, one set of signs and colours, for every command."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from evercan.cli.views.overview import Verdict

_UNBOUNDED = 500
"""Columns where nobody looks: a line that is piped into a file or into grep is not broken."""

SIGN = {Verdict.OK: "●", Verdict.WARN: "▲", Verdict.FAIL: "✖"}
STYLE = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


class _Console(Console):
    """One that leaves it to the command what becomes of a reader who has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def columns() -> int:
    """How wide the terminal is, whatever ``COLUMNS`` says."""
    return shutil.get_terminal_size().columns


class FirstThatFits:
    """Draws the first of some things that there is room for, else the last."""

    def __init__(self, *ways: tuple[int, RenderableType]) -> None:
        """Take the columns that each needs, and it, the best first."""
        self._ways = ways

    def _chosen(self, room: int) -> RenderableType:
        fitting = (each for needed, each in self._ways if needed <= room)
        return next(fitting, self._ways[-1][1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._chosen(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._chosen(options.max_width))


def console(*, stderr: bool = False) -> Console:
    """Make a console: colours on a terminal without NO_COLOR only, 80 columns will do."""
    stream = sys.stderr if stderr else sys.stdout
    bounded = stream.isatty() or "COLUMNS" in os.environ
    return _Console(
        file=stream,
        highlight=False,
        emoji=False,
        markup=False,
        width=columns() if bounded else _UNBOUNDED,
    )


def as_json(document: Any) -> None:
    """Print a document for machines."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def verdict_text(verdict: Verdict, words: str) -> Text:
    """Write words with their sign, in their colour."""
    return Text(f"{SIGN[verdict]} {words}", style=STYLE[verdict])
