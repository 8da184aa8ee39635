"""The benchmark's arithmetic and its parts; ``make bench`` measures their speed."""

from __future__ import annotations

import pytest

from bench import long_run, passes
from bench.figures import HEADINGS, Figure, markdown, row


def figure(**fields: object) -> Figure:
    given: dict[str, object] = {"group": "g", "name": "n", "unit": "ms", "samples": [3.0, 1.0, 2.0]}
    return Figure(**{**given, **fields})  # type: ignore[arg-type] # a test's shorthand


def test_a_figure_is_a_median_and_its_ratio_is_of_medians() -> None:
    compared = figure(reference=[8.0, 4.0, 1.0], budget=0.5)
    assert (compared.median, compared.ratio, compared.met) == (2.0, 0.5, True)


@pytest.mark.parametrize(("budget", "met"), [(2.0, True), (1.9, False), (None, None)])
def test_without_a_reference_the_budget_limits_the_value(budget: float | None, met: bool) -> None:
    assert figure(budget=budget).met is met


def test_a_row_has_a_cell_for_each_heading_and_marks_a_missed_budget() -> None:
    cells = row(figure(reference=[1.0], against="it", budget=1 / 50))
    assert len(cells) == len(HEADINGS)
    assert cells[-2:] == ["1/50 x", "NOT met"]
    assert markdown([figure()]).count("\n") == 3


def test_the_long_run_and_the_passes_can_be_measured() -> None:
    figures = long_run.memory(quick=True)
    assert figures[-1].name.startswith("state file, per member")
    assert figures[-1].met
    assert len(long_run.passes(quick=True)) == 6


def test_a_settled_bus_counts_its_rules() -> None:
    assert passes.SettledBus(30).rules == 2 * 30 * 31
