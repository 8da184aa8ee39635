"""The plots of the benchmark: round ticks, titles with units, and figures where they belong."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.figures import Figure
from bench.plot import Point, Series, measured, references, round_ticks, svg

DOCUMENT = {
    "figures": [
        Figure(group="frames", name=name, unit=unit, samples=samples, reference=[9.0]).as_json()
        for name, unit, samples in (
            ("time per frame, 50 members", "us", [140.0, 120.0, 130.0]),
            ("time per frame, 2 members", "us", [15.0]),
            ("rule evaluations per frame, 2 members", "rules", [4.0]),
        )
    ]
}


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (0.7, 40.0, [0.5, 1, 2, 5, 10, 20, 50]),
        (2, 200, [2, 5, 10, 20, 50, 100, 200]),
        (14.7, 450, [10, 20, 50, 100, 200, 500]),
        (10, 10, [10, 20]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(
    least: float, most: float, ticks: list[float]
) -> None:
    assert round_ticks(least, most) == pytest.approx(ticks)


def test_points_are_the_figures_in_microseconds_in_order() -> None:
    assert measured(DOCUMENT, "frames", "evercan") == Series(
        "evercan", [Point(2, 15.0, 15.0, 15.0), Point(50, 130.0, 120.0, 140.0)]
    )
    assert [point.median for point in references(DOCUMENT, "frames", "older").points] == [9.0, 9.0]
    assert not measured(DOCUMENT, "turn", "evercan").points
    assert not measured(DOCUMENT, "frames", "evercan", "ms").points


def test_a_figure_may_name_the_member_that_it_is_of() -> None:
    named = Figure(group="start", name="container start as member 30", unit="ms", samples=[7.0])
    points = measured({"figures": [named.as_json()]}, "start", "evercan", "ms").points
    assert points == [Point(30, 7.0, 7.0, 7.0)]


def test_a_plot_names_its_axes_and_series_and_has_colours_for_dark_pages() -> None:
    lines = [measured(DOCUMENT, "frames", "evercan"), references(DOCUMENT, "frames", "older")]
    drawn = svg("Time to send", "ms per frame", lines)
    words = "".join(ET.fromstring(drawn).itertext())  # noqa: S314 - drawn here
    for word in ("Time to send", "ms per frame", "containers on the bus", "evercan", "older"):
        assert word in words
    assert "prefers-color-scheme: dark" in drawn
