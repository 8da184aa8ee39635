"""What is written into a picture: that it fits, and that it tells one from another."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli import lettering
from evercan.cli.graph import draw
from evercan.cli.overview import Overview
from evercan.cli.topology import buses
from tests.support.lettering import Written, true_width, written
from tests.support.overviews import named, overview_of, seen


def picture(now: Overview) -> ET.Element:
    return ET.fromstring(draw(buses(now.networks), "svg"))  # noqa: S314 - drawn here


def texts(now: Overview) -> list[Written]:
    return list(written(picture(now)))


CASES: dict[str, Callable[[], Overview]] = {
    "3": lambda: seen(3),
    "30": lambda: seen(30),
    "capitals": lambda: overview_of(
        named("POWERTRAIN", "POWERTRAIN_GATEWAY", "W" * 40, "M" * 12, "i" * 40)
    ),
    "other scripts": lambda: overview_of(
        named("制御系", "制御ユニット前輪左側制御", "Steuergerät-für-Größenwahn")
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_leaves_its_box_or_the_paper(case: str) -> None:
    for line in texts(CASES[case]()):
        assert line.bounds[0] <= line.left
        assert line.right <= line.bounds[1] - 4, line.text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="\x7f")))
def test_text_is_not_wider_than_it_is_taken_for(text: str) -> None:
    wide = lettering.width(text, 13)
    for bold in (True, False):
        assert true_width(text, 13, bold=bold) <= wide + 1e-6
