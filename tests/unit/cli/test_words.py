"""Test the formatting of numbers and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.views import words
from evercan.cli.views.rates import bars


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.04, "0"),
        (1.25, "1.2"),
        (9.96, "10"),
        (999.7, "1.0k"),
        (12e6, "12.0M"),
        (999_949_999, "999.9M"),
        (999_950_000, "1.0G"),
    ],
)
def test_rates(value: float | None, text: str) -> None:
    assert words.rate(value) == text


@given(st.floats(0, 9.9e6))
def test_a_rate_has_at_most_five_characters(value: float) -> None:
    assert len(words.rate(value)) <= 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (7200, "2 h"),
        (86400, "24 h"),
        (200000, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


@given(st.lists(st.floats(0, 1e9), max_size=50))
def test_there_are_as_many_bars_as_values(values: list[float]) -> None:
    assert len(bars(values, max(values, default=0.0))) == len(values)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_949, "9.9k"),
        (9_950, "10k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (12_345_678, "12M"),
        (1_234_567_890, "1.2G"),
        (10**12, "1.0T"),
        (10**16, "10000T"),
    ],
)
def test_short_counts(number: int | None, text: str) -> None:
    assert words.short_count(number) == text


@given(st.integers(0, 999 * 10**12))
def test_a_short_count_has_at_most_four_characters_and_is_close(number: int) -> None:
    text = words.short_count(number)
    assert len(text) <= 4
    factor = 10 ** (3 * ("kMGT".find(text[-1]) + 1))
    assert float(text.rstrip("kMGT")) * factor == pytest.approx(number, rel=0.051)


def test_counts_and_numbers() -> None:
    assert (words.count(None), words.count(1234567)) == ("-", "1,234,567")
    assert (words.number_of(1, "member"), words.number_of(0, "member")) == ("1 member", "0 members")
