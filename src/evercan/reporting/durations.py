"""Counts how long calls took, without the library that writes it for Prometheus.

``prometheus_client`` loads an HTTP server of its own and takes a tenth of the start; it is
loaded at the first scrape.
"""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, seconds, inclusive; one more bucket has no bound."""


class Histogram:
    """Calls of one verb with one outcome.

    Attributes:
        counts: calls by bucket, each call in one bucket.
        seconds: all of them together.
    """

    def __init__(self) -> None:
        """Start at 0."""
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class Durations:
    """Calls by verb and outcome (ok, refused, failed)."""

    def __init__(self) -> None:
        """Start at 0."""
        self.by_call: dict[tuple[str, str], Histogram] = {}

    def called(self, verb: str, outcome: str, seconds: float) -> None:
        """Count one call of the engine."""
        histogram = self.by_call.setdefault((verb, outcome), Histogram())
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1
        histogram.seconds += seconds
