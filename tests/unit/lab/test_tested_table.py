from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.tested_table import BEGIN, END, Row, merged, outcome, parse, render, updated


def row(release: str = "trixie", architecture: str = "amd64", suite: str = "faults") -> Row:
    return Row(release, "26.1.5", "6.12", architecture, suite, "3 passed", "4.0", "2026-11-27", "c")


def junit(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


PASSED = '<testcase name="test_a"/>'
SKIPPED = '<testcase name="test_b"><skipped message="no controllers here"/></testcase>'
FAILED = '<testcase name="test_c[x]"><failure message="AssertionError: no\nmore"/></testcase>'
ERROR = '<testcase name="test_d"><error message=""/></testcase>'


@pytest.mark.parametrize(
    ("cases", "text", "ok"),
    [
        ((PASSED, PASSED), "2 passed", True),
        ((PASSED, SKIPPED, SKIPPED), "1 passed; 2 skipped: no controllers here", True),
        ((SKIPPED,), "1 skipped: no controllers here", False),
        ((PASSED, FAILED), "**1 failed**: `test_c[x]` (AssertionError: no more); 1 passed", False),
        ((ERROR,), "**1 failed**: `test_d`", False),
        ((), "0 passed", False),
    ],
)
def test_a_report_becomes_what_passed_and_what_falls_short(
    cases: tuple[str, ...], text: str, ok: bool
) -> None:
    result = outcome(junit(*cases))
    assert (result.text, result.ok) == (text, ok)


def test_of_many_failures_the_first_are_shown_and_long_messages_are_cut() -> None:
    long = f'<testcase name="t"><failure message="{"x" * 500}"/></testcase>'
    text = outcome(junit(*[long] * 7)).text
    assert text.startswith("**7 failed**")
    assert text.endswith(", and 3 more")
    assert len(text) < 800


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_cell_survives_the_table(texts: list[str]) -> None:
    plain = [" ".join(text.split()).replace("\\", "/") for text in texts]
    rows = [Row("r", "e", "k", "a", "s", text, "1", "d", "c") for text in plain]
    assert parse(render(rows)) == rows


def test_a_later_run_replaces_its_own_rows_only_and_rows_are_in_order() -> None:
    old = [row("trixie", suite="power-cuts"), row("trixie"), row("trixie", "arm64")]
    new = [row("bookworm"), Row(*("trixie", "26", "6", "amd64", "faults", "new", "1", "d", "c"))]
    rows = merged([row("Ubuntu"), *old], new, ("bookworm", "trixie"), ("faults", "power-cuts"))
    assert [(r.release, r.architecture, r.suite, r.result) for r in rows] == [
        ("bookworm", "amd64", "faults", "3 passed"),
        ("trixie", "amd64", "faults", "new"),
        ("trixie", "amd64", "power-cuts", "3 passed"),
        ("Ubuntu", "amd64", "faults", "3 passed"),
        ("trixie", "arm64", "faults", "3 passed"),
    ]


def test_the_text_around_the_table_stays() -> None:
    page = f"# Title\n\n{BEGIN}\n{END}\n\nMore.\n"
    first = updated(page, [row()], ("trixie",), ("faults",))
    assert first == f"# Title\n\n{BEGIN}\n\n{render([row()])}\n{END}\n\nMore.\n"
    second = updated(first, [row(suite="adoption")], ("trixie",), ("faults", "adoption"))
    assert (
        second
        == f"# Title\n\n{BEGIN}\n\n{render([row(), row(suite='adoption')])}\n{END}\n\nMore.\n"
    )


@pytest.mark.parametrize(
    "page",
    [
        "no table\n",
        f"{BEGIN}\n| a | b |\n|---|---|\n{END}\n",
        f"{BEGIN}\n{render([])}| a |\n{END}\n",
    ],
)
def test_a_page_whose_table_somebody_changed_is_rejected(page: str) -> None:
    with pytest.raises(ValueError, match="has"):
        updated(page, [row()], (), ())
