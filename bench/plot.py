"""Draw how costs grow with the number of members on a bus, as SVG.

``draw`` writes beside ``VERSION.json``, a file of results: ``VERSION.svg``, the processor time for
a rule; ``VERSION-frames.svg``, the time for a frame; and ``VERSION-containers.svg``, the time in
which a container starts and stops.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 76, 24, 72, 60
_MEMBERS = re.compile(r"(\d+) members|as member (\d+)")


class Point(NamedTuple):
    """A figure for one number of members."""

    members: int
    median: float
    least: float
    most: float


class Series(NamedTuple):
    """A named line of points, in the order of their members."""

    name: str
    points: Sequence[Point]


def measured(document: dict[str, Any], group: str, name: str, unit: str = "us") -> Series:
    """Return the figures of a group that have a unit and name their members."""
    return Series(name, _points(document, group, unit, "samples"))


def references(document: dict[str, Any], group: str, name: str, unit: str = "us") -> Series:
    """Return the references of the same figures."""
    return Series(name, _points(document, group, unit, "reference"))


def _points(document: dict[str, Any], group: str, unit: str, field: str) -> list[Point]:
    points = []
    for figure in document["figures"]:
        match = _MEMBERS.search(figure["name"])
        if figure["group"] == group and match and figure["unit"] == unit:
            points.append(_point(int(match[1] or match[2]), figure[field]))
    return sorted(points)


def _point(members: int, samples: Sequence[float]) -> Point:
    return Point(members, statistics.median(samples), min(samples), max(samples))


def round_ticks(least: float, most: float) -> list[float]:
    """Return 1, 2 or 5 times powers of ten, from just below ``least`` to just above ``most``."""
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    first = max(number for number, tick in enumerate(ticks) if tick <= least)
    last = min(number for number, tick in enumerate(ticks) if tick >= most)
    return ticks[first : max(last, first + 1) + 1]


class _Axis:
    """A logarithmic axis between two round ticks."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.ticks = round_ticks(min(values), max(values))
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """Return where a value is drawn."""
        low, high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        return self._start + (math.log(value) - low) / (high - low) * (self._end - self._start)


_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.page { fill: #ffffff; } .grid { stroke: #d0d7de; } .axis { stroke: #57606a; }
.s0 { stroke: #0b5cad; fill: #0b5cad; } .s1 { stroke: #b54708; fill: #b54708; }
.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.page { fill: #0d1117; } .grid { stroke: #30363d; } .axis { stroke: #8b949e; }
.s0 { stroke: #6cb0f5; fill: #6cb0f5; } .s1 { stroke: #f0a35e; fill: #f0a35e; }
.line { fill: none; }
}"""


def svg(title: str, cost: str, series: Sequence[Series]) -> str:
    """Draw lines with the spread of their points, on two logarithmic axes.

    Args:
        title: what is shown.
        cost: the title of the vertical axis, with its unit.
        series: one or two of them.
    """
    points = [point for line in series for point in line.points]
    across = _Axis([point.members for point in points], LEFT, WIDTH - RIGHT)
    up = _Axis(
        [value for point in points for value in (point.least, point.most)], HEIGHT - BOTTOM, TOP
    )
    body = [*_grid(across, up), *_titles(title, cost)]
    for number, line in enumerate(series):
        body += _line(line, f"s{number}", across, up)
        if len(series) > 1:
            body += _legend(line.name, f"s{number}", LEFT + 260 * number)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img">\n<title>{title}</title>\n<style>{_STYLE}\n</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="10"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in up.ticks:
        y = f"{up.at(tick):.1f}"
        yield f'<path class="grid" d="M{LEFT},{y} H{right}"/>'
        yield f'<text class="end" x="{LEFT - 8}" y="{up.at(tick) + 4.5:.1f}">{tick:g}</text>'
    for tick in across.ticks:
        x = f"{across.at(tick):.1f}"
        yield f'<path class="grid" d="M{x},{TOP} V{bottom}"/>'
        yield f'<text class="mid" x="{x}" y="{bottom + 20}">{tick:g}</text>'
    yield f'<path class="axis" d="M{LEFT},{TOP} V{bottom} H{right}" fill="none"/>'


def _titles(title: str, cost: str) -> Iterator[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class="title" x="{LEFT}" y="28">{title}</text>'
    yield (
        f'<text class="mid" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}">'
        "containers on the bus</text>"
    )
    yield (
        f'<text class="mid" x="22" y="{middle}" transform="rotate(-90 22 {middle})">{cost}</text>'
    )


def _line(line: Series, style: str, across: _Axis, up: _Axis) -> Iterator[str]:
    corners = " ".join(
        f"{across.at(point.members):.1f},{up.at(point.median):.1f}" for point in line.points
    )
    yield f'<polyline class="{style} line" points="{corners}"/>'
    for point in line.points:
        x = f"{across.at(point.members):.1f}"
        yield f'<path class="{style}" d="M{x},{up.at(point.least):.1f} V{up.at(point.most):.1f}"/>'
        yield f'<circle class="{style}" cx="{x}" cy="{up.at(point.median):.1f}" r="4"/>'


def _legend(name: str, style: str, left: float) -> Iterator[str]:
    yield f'<path class="{style} line" d="M{left},50 H{left + 28}"/>'
    yield f'<circle class="{style}" cx="{left + 14}" cy="50" r="4"/>'
    yield f'<text x="{left + 36}" y="54.5">{name}</text>'


def draw(file: Path) -> None:
    """Draw the pictures of a file of results."""
    document = json.loads(file.read_text())
    micro = "\N{MICRO SIGN}s"
    file.with_suffix(".svg").write_text(
        svg(
            "Processor time to observe and plan a bus, per rule",
            f"{micro} per rule (median, min to max)",
            [measured(document, "turn", "evercan")],
        )
    )
    file.with_name(f"{file.stem}-frames.svg").write_text(
        svg(
            "Time to send one frame to all containers",
            f"{micro} per frame (median, min to max)",
            [
                measured(document, "frames", "evercan"),
                references(document, "frames", "rule flags of older plugins"),
            ],
        )
    )
    file.with_name(f"{file.stem}-containers.svg").write_text(
        svg(
            "Time until the plugin has answered a container's start and stop",
            "ms (median, min to max)",
            [
                measured(document, "start", "start", "ms"),
                measured(document, "stop", "stop", "ms"),
            ],
        )
    )
