"""What a frame means according to a database: values, and how they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SignalValue:
    """A signal's value in one frame.

    Attributes:
        name: the signal; below a container frame, ``MESSAGE.SIGNAL``.
        value: the number after scaling; a text if the database says so.
        unit: its unit, if the database has one.
        choice: what the database calls this value, if it has a name.
    """

    name: str
    value: float | str
    unit: str = ""
    choice: str = ""

    @property
    def text(self) -> str:
        """The value as people read it."""
        if self.choice:
            return self.choice
        # Scaling leaves digits that no signal has: 0.1 * 123 is 12.3, not 12.300000000000001.
        value = f"{self.value:.12g}" if isinstance(self.value, float) else str(self.value)
        return f"{value} {self.unit}" if self.unit else value

    def __str__(self) -> str:
        """Return ``NAME: VALUE UNIT``."""
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame that is in a database.

    Attributes:
        message: the database's name for it.
        signals: the signals in it, in the database's order.
        error: why it, or the rest of it, has no values; empty if it has.
    """

    message: str
    signals: tuple[SignalValue, ...] = ()
    error: str = ""

    def __str__(self) -> str:
        """Return ``MESSAGE(SIGNAL: VALUE UNIT, …)``."""
        parts = [*map(str, self.signals), *([self.error] if self.error else [])]
        return f"{self.message}({', '.join(parts)})"

    def as_json(self) -> dict[str, Any]:
        """Return it as fields of a JSON document."""
        document: dict[str, Any] = {
            "message": self.message,
            "signals": {signal.name: _signal_as_json(signal) for signal in self.signals},
        }
        if self.error:
            document["decode_error"] = self.error
        return document


def finite(value: float) -> float | None:
    """Return a number as JSON can have it: it has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _signal_as_json(signal: SignalValue) -> dict[str, Any]:
    value = signal.value
    document: dict[str, Any] = {"value": value if isinstance(value, str) else finite(value)}
    if signal.unit:
        document["unit"] = signal.unit
    if signal.choice:
        document["choice"] = signal.choice
    return document
