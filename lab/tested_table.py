"""The table of what passes where, in ``docs/tested.md``: rows, from test reports to Markdown.

Everything here is pure. `lab.matrix` runs the tests and writes the page.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Final
from xml.etree import ElementTree as ET

BEGIN: Final = "<!-- The table below is written by `make test-matrix`. -->"
END: Final = "<!-- The table above is written by `make test-matrix`. -->"
"""Lines before and after the table in the page."""

_SHOWN_FAILURES: Final = 4
_SHOWN_CHARACTERS: Final = 120


@dataclass(frozen=True)
class Row:
    """The result of one suite on one guest.

    Attributes:
        release: The guest's Debian release, or the system of another engine's host.
        engine: The Docker engine's version.
        kernel: The kernel's release.
        architecture: `amd64` or `arm64`.
        suite: The suite's name.
        result: What passed, and what falls short.
        minutes: How long it took.
        date: The day, `2026-11-27`.
        commit: What was tested; with a `+` if there were changes beside it.
    """

    release: str
    engine: str
    kernel: str
    architecture: str
    suite: str
    result: str
    minutes: str
    date: str
    commit: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What a later result for the same suite on the same guest replaces."""
        return self.release, self.architecture, self.suite


_HEADINGS: Final = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class Outcome:
    """What one suite's tests did.

    Attributes:
        text: The table's cell.
        ok: Whether something passed and nothing failed.
    """

    text: str
    ok: bool


def outcome(junit: str) -> Outcome:
    """Summarize a report of pytest.

    Args:
        junit: The report, as ``pytest --junitxml`` writes it.
    """
    passed = 0
    skipped: dict[str, int] = {}
    failed: list[str] = []
    # The report was written by this machine's own pytest.
    for case in ET.fromstring(junit).iter("testcase"):  # noqa: S314
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        skip = case.find("skipped")
        if problem is not None:
            message = _one_line(problem.get("message") or "")
            failed.append(
                f"`{case.get('name')}` ({message})" if message else f"`{case.get('name')}`"
            )
        elif skip is not None:
            reason = _one_line(skip.get("message") or "")
            skipped[reason] = skipped.get(reason, 0) + 1
        else:
            passed += 1
    parts = []
    if failed:
        more = len(failed) - _SHOWN_FAILURES
        listed = failed[:_SHOWN_FAILURES] + ([f"and {more} more"] if more > 0 else [])
        parts.append(f"**{len(failed)} failed**: {', '.join(listed)}")
    if passed or not (failed or skipped):
        parts.append(f"{passed} passed")
    parts += [f"{count} skipped: {reason}" for reason, count in skipped.items()]
    return Outcome("; ".join(parts), ok=passed > 0 and not failed)


def _one_line(text: str) -> str:
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS].rstrip()} …"


def render(rows: Iterable[Row]) -> str:
    """Return rows as a table in Markdown."""
    lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS))]
    return "\n".join([*lines, *(_line(astuple(row)) for row in rows)]) + "\n"


def _line(cells: Iterable[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def parse(table: str) -> list[Row]:
    """Return the rows of a table that `render` wrote.

    Raises:
        ValueError: It was not.
    """
    lines = [line for line in table.splitlines() if line.strip()]
    if lines[:1] != [_line(_HEADINGS)]:
        raise ValueError(f"the table has not the columns {', '.join(_HEADINGS)}")
    rows = []
    for line in lines[2:]:
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != len(_HEADINGS):
            raise ValueError(f"the table has a row without {len(_HEADINGS)} cells: {line}")
        rows.append(Row(*cells))
    return rows


def merged(
    old: Iterable[Row], new: Iterable[Row], releases: Sequence[str], suites: Sequence[str]
) -> list[Row]:
    """Return the old rows with the new ones in their places, in order.

    Args:
        old: Rows of earlier runs.
        new: Rows of this run.
        releases: The order of releases; others come last.
        suites: The order of suites; others come last.
    """

    def order(row: Row) -> tuple[str, int, str, int, str]:
        return (
            row.architecture,
            _index(releases, row.release),
            row.release,
            _index(suites, row.suite),
            row.suite,
        )

    by_place = {row.place: row for row in (*old, *new)}
    return sorted(by_place.values(), key=order)


def _index(known: Sequence[str], name: str) -> int:
    return known.index(name) if name in known else len(known)


def split(page: str) -> tuple[str, str, str]:
    """Return a page's text before the table, the table, and the text behind it.

    Raises:
        ValueError: The lines around the table are missing.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    table, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise ValueError(f"the page has not the lines {BEGIN!r} and {END!r}")
    return before + begin, table.strip("\n"), end + after


def updated(page: str, new: Iterable[Row], releases: Sequence[str], suites: Sequence[str]) -> str:
    """Return the page with new rows in its table; see `merged`.

    Raises:
        ValueError: The page has no table that `render` wrote.
    """
    before, table, after = split(page)
    rows = merged(parse(table) if table else [], new, releases, suites)
    return f"{before}\n{render(rows)}\n{after}"
