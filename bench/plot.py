"""Draws how the cost of a rule grows with the number of members, as SVG; pure.

``python -m bench.plot docs/benchmarks/VERSION.json > docs/benchmarks/VERSION.svg``
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 640, 320, 60, 20, 40, 50
_MEMBERS = re.compile(r"(\d+) members")


def points(document: dict[str, Any], group: str) -> list[tuple[int, float, float, float]]:
    """Return (members, median, least, most) of a group's figures that name their members."""
    found = []
    for each in document["figures"]:
        match = _MEMBERS.search(each["name"])
        if each["group"] == group and match and each["unit"] == "us":
            found.append((int(match[1]), each["median"], *each["spread"]))
    return sorted(found)


def svg(title: str, series: Sequence[tuple[int, float, float, float]]) -> str:
    """Draw one line with its spread; members on a logarithmic axis, microseconds from 0."""
    top = max(most for *_, most in series) * 1.15
    ticks = [top * part for part in (0, 0.25, 0.5, 0.75, 1)]
    low, high = math.log(series[0][0]), math.log(series[-1][0])

    def x(members: int) -> float:
        return LEFT + (math.log(members) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - FOOT - value / top * (HEIGHT - TOP - FOOT)

    line = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value, _, _ in series)
    marks = "".join(
        f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" y1="{y(least):.1f}" y2="{y(most):.1f}"/>'
        f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3"/>'
        for n, value, least, most in series
    )
    under = "".join(
        f'<text x="{x(n):.1f}" y="{HEIGHT - FOOT + 18}" text-anchor="middle">{n}</text>'
        for n, *_ in series
    )
    beside = "".join(
        f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>'
        for tick in ticks
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{title}</title>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<g font-family="sans-serif" font-size="12" fill="#222">
<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-size="14">{title}</text>
{under}{beside}
<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">members of the bus</text>
</g>
<path d="M{LEFT},{TOP} V{HEIGHT - FOOT} H{WIDTH - RIGHT}" fill="none" stroke="#222"/>
<g stroke="#06c" fill="#06c">{marks}<polyline points="{line}" fill="none" stroke-width="2"/></g>
</svg>
"""


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text())
    print(svg("Look and plan: microseconds a rule", points(read, "turn")), end="")
