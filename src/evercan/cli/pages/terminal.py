"""Write to the terminal: one console, one set of signs and colours for all commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from evercan.cli.views.overview import MemberView, Verdict, shown_state

_UNBOUNDED = 500
"""Columns of a line that does not go to a terminal, so that files and grep get whole lines."""

SIGN = {Verdict.OK: "●", Verdict.WARN: "▲", Verdict.FAIL: "✖"}
STYLE = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
NOT_RUNNING_SIGN, NOT_RUNNING_COLOUR = "○", "bright_black"


class _Console(Console):
    """A console that raises when the reader of the output has closed it."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def columns() -> int:
    """Return the width of the terminal, also if ``COLUMNS`` is not valid."""
    return shutil.get_terminal_size().columns


class FirstThatFits:
    """Draws the first alternative that fits the width, else the last."""

    def __init__(self, *ways: tuple[int, RenderableType]) -> None:
        """Take the alternatives with the columns that each needs, the best first."""
        self._ways = ways

    def _chosen(self, room: int) -> RenderableType:
        fitting = (way for needed, way in self._ways if needed <= room)
        return next(fitting, self._ways[-1][1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._chosen(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._chosen(options.max_width))


def console(*, stderr: bool = False) -> Console:
    """Create a console; it uses colours on a terminal unless NO_COLOR is set."""
    stream = sys.stderr if stderr else sys.stdout
    bounded = stream.isatty() or "COLUMNS" in os.environ
    return _Console(
        file=stream,
        highlight=False,
        emoji=False,
        markup=False,
        width=columns() if bounded else _UNBOUNDED,
    )


def print_json(document: Any) -> None:
    """Print a JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def verdict_text(verdict: Verdict, words: str) -> Text:
    """Return words with the sign and colour of a verdict."""
    return Text(f"{SIGN[verdict]} {words}", style=STYLE[verdict])


def member_sign(member: MemberView) -> Text:
    """Return a member's sign in its colour; grey if its container does not run."""
    if not member.running:
        return Text(NOT_RUNNING_SIGN, style=NOT_RUNNING_COLOUR)
    return Text(SIGN[member.verdict], style=STYLE[member.verdict])


def member_state(member: MemberView) -> Text:
    """Return a member's state with its sign, in its colour."""
    return member_sign(member).append(f" {shown_state(member.state)}")


def end_of(name: str, width: int) -> str:
    """Shorten a name; keep its end, since compose puts the project's name first."""
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"


def one_line(line: Text, width: int) -> Text:
    """Cut a line to a width; return it."""
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line
