"""Compare figures with their references and budgets, and format them as a table; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

WIRE = 8000
"""About how many frames of 8 bytes per second a classic bus carries at 1 Mbit/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        group: the part of the benchmark, for example ``start``.
        name: what was measured.
        unit: of the samples, for example ``ms``.
        samples: the measurements; at least one.
        against: what the reference is, in words; empty for an absolute figure.
        reference: its measurements in the same unit, from the same run.
        budget: the highest ratio allowed, or the highest value of an absolute figure;
            None if there is no limit.
        note: what the reader should know; shown if there is no budget.
        where: the testbed that it was measured on; empty for this machine.
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
        """The median divided by that of the reference; None without a reference."""
        return self.median / statistics.median(self.reference) if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the figure is within its budget; None without a budget."""
        if self.budget is None:
            return None
        return (self.median if self.ratio is None else self.ratio) <= self.budget

    def as_json(self) -> dict[str, Any]:
        """Return the figure with all samples, and what is computed from them."""
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

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Read what ``as_json`` wrote."""
        return cls(**{field.name: written[field.name] for field in fields(cls)})


HEADINGS = ("what", "median (min to max)", "ratio x reference in the same run", "budget", "result")


def row(figure: Figure) -> list[str]:
    """Format a figure as one cell for each of ``HEADINGS``."""
    least, most = min(figure.samples), max(figure.samples)
    measured = amount(figure.median, figure.unit)
    if least != most:
        measured += f" ({number(least)} to {number(most)})"
    reference = budget = ""
    if figure.ratio is not None:
        median = amount(statistics.median(figure.reference), figure.unit)
        reference = f"{fraction(figure.ratio)} x {median}, {figure.against}"
    if figure.budget is not None:
        budget = (
            amount(figure.budget, figure.unit)
            if figure.ratio is None
            else f"{fraction(figure.budget)} x"
        )
    result = {True: "met", False: "NOT met", None: figure.note}[figure.met]
    return [figure.name, measured, reference, budget, result]


def amount(value: float, unit: str) -> str:
    """Format a value with its unit."""
    return f"{number(value)} {unit}".replace(" us", " \N{MICRO SIGN}s").strip()


def number(value: float) -> str:
    """Format a value with three significant digits and a comma at each thousand."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def fraction(ratio: float) -> str:
    """Format a ratio; a small one as a fraction, such as 1/50."""
    return f"1/{1 / ratio:.0f}" if 0 < ratio < 0.05 else number(ratio)


def markdown(figures: Sequence[Figure]) -> str:
    """Format figures as a table in Markdown, with those of this machine first."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for where in dict.fromkeys(figure.where for figure in figures):
        if where:
            lines.append(f"| **on {where}** |" + " |" * (len(HEADINGS) - 1))
        here = (figure for figure in figures if figure.where == where)
        lines += ["| " + " | ".join(row(figure)) + " |" for figure in here]
    return "\n".join(lines) + "\n"
