"""Draw the report of ``evercan doctor``; no I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from evercan.cli.checks.check import Check, Result

_SIGN = {Result.OK: "●", Result.WARN: "▲", Result.FAIL: "✖", Result.SKIPPED: "○"}
_STYLE = {
    Result.OK: "green",
    Result.WARN: "yellow",
    Result.FAIL: "bold red",
    Result.SKIPPED: "dim",
}

_TITLE = 24
"""Columns for a check's title; a longer title moves the text of its line to the right."""

_TEXT = 24
"""Columns for a check's text, at least; with fewer the text begins below the title."""


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """Return checks as a JSON document."""
    results = list(Result)
    worst = max((results.index(check.result) for check in checks), default=0)
    return {"schema": 1, "verdict": results[worst], "checks": [asdict(check) for check in checks]}


class Page:
    """Draws checks, and the verdict in a sentence.

    Lines are broken between words only: a path stays whole. A remedy is one line, so that
    a command can be copied.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        """Take the checks."""
        self._checks = checks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield whole lines; rich must not break or cut them."""
        width = min(_TITLE, max((len(check.title) for check in self._checks), default=0))
        for check in self._checks:
            yield from _lines(check, width, options.max_width)
        yield Text()
        yield _sentence(self._checks)


def _lines(check: Check, title_width: int, width: int) -> Iterator[Text]:
    first = Text(f"{_SIGN[check.result]} {check.result:<7}  ", style=_STYLE[check.result])
    indent = len(first) + title_width + 2
    first.append(f"{check.title:<{title_width}}  ", style="default not bold not dim")
    if width - len(first) < _TEXT:
        yield _whole(first)
        indent = len(f"{_SIGN[check.result]} {check.result:<7}  ")
        first = Text(" " * indent)
    broken = textwrap.wrap(
        check.text,
        max(width, indent + _TEXT),
        initial_indent=" " * len(first),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    style = "dim" if check.result is Result.SKIPPED else ""
    for number, line in enumerate(broken):
        text = Text(line[len(first) :] if number == 0 else line, style=style)
        yield _whole(Text.assemble(first, text) if number == 0 else text)
    if check.remedy:
        yield _whole(Text.assemble(("  → ", "cyan"), check.remedy))


def _whole(text: Text) -> Text:
    """Make rich leave a line as it is, also if it is longer than the terminal is wide."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


def _sentence(checks: Sequence[Check]) -> Text:
    results = {check.result for check in checks}
    if Result.FAIL in results:
        sentence = "Some checks failed: follow the arrows from the top, then run this again."
        return Text(sentence, style="bold red")
    if Result.WARN in results:
        return Text("The buses can work; see the arrows for the warnings.", style="yellow")
    if Result.SKIPPED in results:
        return Text("No check failed; some were skipped.", style="green")
    return Text("All checks passed.", style="green")
