"""The values of signals over the last minutes; no I/O."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

SECONDS = 600
"""Seconds that a history goes back."""

SIGNALS = 1000
"""Signals that have a history, at most."""

_TRIM = 256
"""Values beyond the oldest that are kept for a while: cutting them off one by one is slow."""


class _Series:
    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times, self.values = array("d"), array("d")


class SignalHistory:
    """The values of signals by their keys."""

    def __init__(self) -> None:
        """Begin without values."""
        self._series: dict[str, _Series] = {}

    def add(self, key: str, time: float, value: float) -> None:
        """Add the value that a signal had at a time, in seconds since 1970."""
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= SIGNALS:
                self._forget(time)
            if len(self._series) >= SIGNALS:
                return
            series = self._series[key] = _Series()
        series.times.append(time)
        series.values.append(value)
        if len(series.times) > _TRIM and series.times[_TRIM] < time - SECONDS:
            del series.times[:_TRIM], series.values[:_TRIM]

    def _forget(self, time: float) -> None:
        """Forget the signals that have had no value for a long time."""
        self._series = {
            key: series
            for key, series in self._series.items()
            if series.times[-1] >= time - SECONDS
        }

    def points(self, keys: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
        """Return times and values of some signals; nothing of those that are not known."""
        return {
            key: list(zip(series.times, series.values, strict=True))
            for key in keys
            if (series := self._series.get(key)) is not None
        }
