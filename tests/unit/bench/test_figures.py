"""The bench's arithmetic, and that its parts still run: how fast they are is for ``make bench``."""

from __future__ import annotations

import pytest

from bench import busy, lasting
from bench.figures import HEADINGS, Figure, markdown, row


def figure(**fields: object) -> Figure:
    given: dict[str, object] = {"group": "g", "name": "n", "unit": "ms", "samples": [3.0, 1.0, 2.0]}
    return Figure(**{**given, **fields})  # type: ignore[arg-type] # a test's shorthand


def test_a_figure_is_the_median_and_its_ratio_that_of_medians() -> None:
    each = figure(reference=[8.0, 4.0, 1.0], budget=0.5)
    assert (each.median, each.ratio, each.met) == (2.0, 0.5, True)


@pytest.mark.parametrize(("budget", "met"), [(2.0, True), (1.9, False), (None, None)])
def test_without_a_reference_the_budget_is_the_value(budget: float | None, met: bool) -> None:
    assert figure(budget=budget).met is met


def test_a_row_has_a_cell_for_each_heading_and_says_what_is_not_met() -> None:
    cells = row(figure(reference=[1.0], against="it", budget=1 / 50))
    assert len(cells) == len(HEADINGS)
    assert cells[-2:] == ["1/50 x", "NOT met"]
    assert markdown([figure()]).count("\n") == 3


def test_the_long_life_and_the_turns_run() -> None:
    life = lasting.memory(quick=True)
    assert [each.name for each in life][-1].startswith("a member on record")
    assert life[-1].met
    assert len(lasting.turns(quick=True)) == 4


def test_a_turn_that_finds_nothing_to_do_has_its_rules_counted() -> None:
    assert busy.Work(30).rules == 2 * 30 * 31
