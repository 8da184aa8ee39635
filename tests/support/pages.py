"""Read the documentation's pages: their blocks of commands, and their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.common.checkout import ROOT

PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "build/*.md")
    for path in sorted(ROOT.glob(pattern))
)
"""Every page, as a path from the repository's root."""

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?"
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: the page.
        line: the number of the block's first line.
        language: the word after the fence; ``sh`` is a block of commands.
        text: the block's content.
        reason: why its commands are not run; None if they are run.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    """Return a page's text."""
    return (ROOT / page).read_text()


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    text = read(page)
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page, line, found["language"], found["text"], found["reason"])


def commands(page: str) -> list[Block]:
    """Return the blocks of commands of a page, in order."""
    return [block for block in blocks(page) if block.language == "sh"]


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the tables under a heading, row by row, without the head rows."""
    section = re.split(rf"^#+ {re.escape(heading)}$", read(page), maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.strip().strip("|") for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    heads = {number for rule in rules for number in (rule - 1, rule)}
    return [row for number, row in enumerate(cells) if number not in heads]


def code(cell: str) -> list[str]:
    """Return the code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)
