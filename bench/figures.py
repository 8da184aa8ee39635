"""A figure: its reference, the ratio of both, and whether it is within the budget."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        group: The part of the benchmark, for example ``start``.
        name: What was measured.
        unit: Unit of the samples, for example ``ms``.
        samples: The measurements; at least one.
        against: The reference's name; empty for an absolute figure.
        reference: The reference's samples in the same unit, measured in the same run.
        budget: The largest allowed ratio, or for an absolute figure the largest value;
            None if there is no limit.
        note: An explanation.
        where: The testbed that it was measured on; empty for this machine.
    """

    group: str
    name: str
    unit: str
    samples: Sequence[float]
    against: str = ""
    reference: Sequence[float] = ()
    budget: float | None = None
    note: str = ""
    where: str = ""

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def ratio(self) -> float | None:
        """The median over the reference's median; None without a reference."""
        return self.median / statistics.median(self.reference) if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        if self.budget is None:
            return None
        return (self.median if self.ratio is None else self.ratio) <= self.budget

    def as_json(self) -> dict[str, Any]:
        """Return all fields and samples for JSON."""
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "spread": [min(self.samples), max(self.samples)],
            "samples": list(self.samples),
            "against": self.against,
            "reference": list(self.reference),
            "ratio": self.ratio,
            "budget": self.budget,
            "met": self.met,
            "note": self.note,
            "where": self.where,
        }


def shown(value: float) -> str:
    """Format a number with three significant digits."""
    if value and abs(value) < 0.1:
        return f"1/{1 / value:.0f}" if 0 < value < 0.05 else f"{value:.3f}"
    return (
        f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.1f}"
        if abs(value) < 100
        else f"{value:,.0f}"
    )


def row(figure: Figure) -> list[str]:
    """Return the cells of a figure's line in the table: see ``HEADINGS``."""
    least, most = min(figure.samples), max(figure.samples)
    spread = "" if len(figure.samples) == 1 else f" ({_plain(least)}-{_plain(most)})"
    reference = ""
    if figure.reference:
        reference = f"{_plain(statistics.median(figure.reference))} {figure.unit}, {figure.against}"
    budget = ""
    if figure.budget is not None:
        budget = (
            f"{shown(figure.budget)} x"
            if figure.reference
            else f"{_plain(figure.budget)} {figure.unit}"
        )
    met = {True: "met", False: "NOT met", None: figure.note}[figure.met]
    ratio = "" if figure.ratio is None else f"{shown(figure.ratio)} x"
    measured = f"{_plain(figure.median)} {figure.unit}{spread}"
    return [figure.name, measured, reference, ratio, budget, met]


HEADINGS = ("what", "measured: median (spread)", "reference in the same run", "ratio", "budget", "")


def _plain(value: float) -> str:
    if value == int(value) and abs(value) >= 100:
        return f"{value:,.0f}"
    return (
        f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.1f}"
        if abs(value) < 100
        else f"{value:,.0f}"
    )


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table as Markdown."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for where in dict.fromkeys(figure.where for figure in figures):
        if where:
            lines.append(f"| **on {where}** |" + " |" * (len(HEADINGS) - 1))
        lines += [
            "| " + " | ".join(row(figure)) + " |" for figure in figures if figure.where == where
        ]
    return "\n".join(lines) + "\n"
