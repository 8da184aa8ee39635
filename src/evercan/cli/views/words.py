"""Format numbers and times for people; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "-"
"""Stands for an unknown value."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def count(number: int | None) -> str:
    """Format a number of frames, with commas at the thousands."""
    return NOTHING if number is None else f"{number:,}"


def short_count(number: int | None) -> str:
    """Format a rounded number of frames, in at most 4 characters up to 999T."""
    if number is None or number < 1000:
        return count(number)
    left, unit = number / 1000, "k"
    for larger in "MGT":
        if left >= 999.5:
            left, unit = left / 1000, larger
    return f"{left:.1f}{unit}" if left < 9.95 else f"{left:.0f}{unit}"


def rate(per_second: float | None) -> str:
    """Format frames per second, in at most 5 characters up to 9.9 million."""
    if per_second is None:
        return NOTHING
    if per_second < 0.05:
        return "0"
    if per_second < 9.95:
        return f"{per_second:.1f}"
    if per_second < 999.5:
        return f"{per_second:.0f}"
    if per_second < 9_950:
        return f"{per_second / 1e3:.1f}k"
    if per_second < 999_500:
        return f"{per_second / 1e3:.0f}k"
    if per_second < 999_950_000:
        return f"{per_second / 1e6:.1f}M"
    return f"{per_second / 1e9:.1f}G"


def speed(controller: Mapping[str, Any]) -> str:
    """Format a bus's bitrates; empty if it has none."""
    rates = [controller.get("bitrate"), controller.get("dbitrate")]
    return " / ".join(f"{rate / 1000:g}" for rate in rates if rate) + (
        " kbit/s" if any(rates) else ""
    )


def span(seconds: float) -> str:
    """Format a duration in the largest unit that fits."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h"
    return f"{whole // _DAY} days"


def number_of(number: int, thing: str) -> str:
    """Format a number with its noun: ``1 member``, ``3 members``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def sent_words(frames: int, late: int, worst: int) -> str:
    """Say how many frames were sent, and how punctually.

    Args:
        frames: the number of frames.
        late: microseconds by which 99 % of them were late at most.
        worst: microseconds by which one of them was late at most.
    """
    if not frames:
        return "0 frames sent"
    return (
        f"{count(frames)} frames sent; 99 % of them were at most {late / 1000:.2f} ms late, "
        f"the worst {worst / 1000:.2f} ms"
    )
