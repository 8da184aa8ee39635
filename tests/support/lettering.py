"""Measure the text of a picture, to test that it stays inside its box.

The widths are those of DejaVu Sans, the widest font that a picture asks for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"

_BOLD = """
348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 696
696 696 400 400 838 838 838 580 1000 774 762 734 830 683 683 821 837 372 372 775 637 995 837 850
733 850 770 720 682 812 774 1103 771 724 725 457 365 457 838 500 500 675 716 593 716 678 435 716
712 343 343 665 343 1042 712 687 716 716 493 595 478 712 652 924 645 652 582 712 365 712 838
"""
_PLAIN = """
318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636
636 636 337 337 838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 748 787
603 787 695 635 611 732 684 989 685 611 685 390 337 390 838 500 500 613 635 550 635 615 352 635
634 278 278 579 278 974 634 612 635 635 411 521 392 634 592 818 592 592 525 636 337 636 838
"""
_ASCII = [chr(code) for code in range(32, 127)]
_EM = {
    True: dict(zip(_ASCII, map(int, _BOLD.split()), strict=True)),
    False: dict(zip(_ASCII, map(int, _PLAIN.split()), strict=True)),
}
_SIZE = {"title": 17, "name": 13, "mono": 11}


def true_width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """Return the width of text in DejaVu Sans; other characters are as wide as high."""
    if mono:
        return 0.602 * size * len(text)
    plain = [unicodedata.normalize("NFD", letter)[0] for letter in text]
    return sum(_EM[bold].get(letter, 1000) for letter in plain) * size / 1000


@dataclass(frozen=True)
class Written:
    """A line of text in a picture.

    Attributes:
        text: the line.
        left: its left edge.
        right: its right edge.
        y: its vertical position.
        bounds: left and right edge of its box, or of the picture.
    """

    text: str
    left: float
    right: float
    y: float
    bounds: tuple[float, float]


def written(picture: ET.Element) -> Iterator[Written]:
    """Yield all text of a picture."""
    edges = (0.0, float(picture.attrib["width"]))
    for group in (picture, *picture.iter(f"{SVG}g")):
        bounds = next(map(_sides, filter(_is_box, group)), edges)
        for element in group.findall(f"{SVG}text"):
            left = float(element.attrib["x"])
            right = left + _wide(element, element.text or "", element.attrib["class"])
            for part in element.findall(f"{SVG}tspan"):
                right += float(part.attrib["dx"]) + _wide(part, part.text or "", "")
            text = " ".join(filter(None, map(str.strip, element.itertext())))
            yield Written(text, left, right, float(element.attrib["y"]), bounds)


def _is_box(element: ET.Element) -> bool:
    return element.attrib.get("class", "").split()[0:1] in (["card"], ["head"])


def _sides(box: ET.Element) -> tuple[float, float]:
    left = float(box.attrib["x"])
    return left, left + float(box.attrib["width"])


def _wide(element: ET.Element, text: str, style: str) -> float:
    classes = style.split()
    asked = re.search(r"font-size: (\d+)px", element.attrib.get("style", ""))
    size = next((_SIZE[style] for style in reversed(classes) if style in _SIZE), 12)
    return true_width(
        text,
        float(asked[1]) if asked else size,
        bold=bool({"title", "name"} & set(classes)),
        mono="mono" in classes,
    )
