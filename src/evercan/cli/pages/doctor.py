"""What the doctor found, for people and for machines; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
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
"""Columns that the title of a check has at the most."""


def document(found: Sequence[Check]) -> dict[str, Any]:
    """Write checks for machines."""
    worst = max((list(Result).index(each.result) for each in found), default=0)
    return {"schema": 1, "verdict": list(Result)[worst], "checks": [asdict(each) for each in found]}


def page(found: Sequence[Check]) -> RenderableType:
    """Write checks for people, and the verdict in a sentence."""
    title = min(_TITLE, max((len(each.title) for each in found), default=0))
    parts: list[RenderableType] = []
    for each in found:
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(no_wrap=True)
        row.add_column(overflow="fold", width=title)
        row.add_column(overflow="fold")
        sign = Text(f"{_SIGN[each.result]} {each.result:<7}", style=_STYLE[each.result])
        text = Text(each.text, style="dim" if each.result is Result.SKIPPED else "")
        row.add_row(sign, Text(each.title), text)
        parts.append(row)
        if each.remedy:
            # Never broken by us: what is pasted must be one command.
            remedy = Text("  → ", style="cyan", no_wrap=True, overflow="ignore")
            parts.append(remedy.append(each.remedy))
    return Group(*parts, Text(), _sentence(found))


def _sentence(found: Sequence[Check]) -> Text:
    number = {result: sum(each.result is result for each in found) for result in Result}
    if number[Result.FAIL]:
        words = "Something fails: do what the arrows say, from the top, and run this again."
        return Text(words, style="bold red")
    if number[Result.WARN]:
        return Text("The buses can work; the arrows say what to look after.", style="yellow")
    if number[Result.SKIPPED]:
        return Text("What could be looked at is well.", style="green")
    return Text("All is well.", style="green")
