"""Measure how full a bus is, by the bits of its frames; no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from evercan.cli.views.bits import FrameBits, bits_of_text

_WINDOW = 1.0
_STEP = 0.1

_SAMPLED = 7
"""Of so many frames of an id, `SampledBits` counts one."""

_REMEMBERED = 8
_SHAPES = 4096


@dataclass(frozen=True)
class Bitrates:
    """The bitrates of a bus in bit/s; 0 if unknown.

    Attributes:
        nominal: of the arbitration phase.
        data: of the data phase of CAN FD frames; 0 if it is the same.
    """

    nominal: int = 0
    data: int = 0


NO_BITRATES = Bitrates()


class SampledBits:
    """Counts the bits of some frames of each id and length, and takes their mean for the others.

    The number of stuff bits depends on the payload, so that frames of an id differ by a few
    percent. Counting each frame of a full bus takes half of the time of reading it.
    """

    def __init__(self) -> None:
        """Begin without samples."""
        self._means: dict[tuple[str, int, str], _Mean] = {}

    def of(self, text: str) -> FrameBits:
        """Return the bits of a frame in candump's log format."""
        number, _, rest = text.partition("#")
        key = number, len(text), rest[:2] if rest[:1] in ("#", "R") else ""
        mean = self._means.get(key)
        if mean is None:
            if len(self._means) >= _SHAPES:
                self._means.clear()
            mean = self._means[key] = _Mean()
        if mean.age == 0:
            mean.add(bits_of_text(text))
        mean.age = (mean.age + 1) % _SAMPLED
        return mean.bits


class _Mean:
    """The mean of the bits of some frames."""

    __slots__ = ("age", "bits", "data", "nominal")

    def __init__(self) -> None:
        self.age = 0
        self.nominal = self.data = 0.0
        self.bits = FrameBits(0)

    def add(self, bits: FrameBits) -> None:
        weight = 1 / _REMEMBERED if self.bits.nominal else 1
        self.nominal += (bits.nominal - self.nominal) * weight
        self.data += (bits.data - self.data) * weight
        self.bits = FrameBits(round(self.nominal), round(self.data))


class LoadMeter:
    """Adds up the bits of frames over the last second, and since the start."""

    def __init__(self) -> None:
        """Begin without frames."""
        self._steps: deque[list[float]] = deque()
        self.frames = 0
        self.nominal = self.data = 0

    def add(self, text: str, now: float) -> None:
        """Count a frame in candump's log format, at a time in seconds of a monotonic clock."""
        bits = bits_of_text(text)
        self.frames += 1
        self.nominal += bits.nominal
        self.data += bits.data
        if not self._steps or now - self._steps[-1][0] >= _STEP:
            self._drop(now)
            self._steps.append([now, 0, 0, 0])
        step = self._steps[-1]
        step[1] += 1
        step[2] += bits.nominal
        step[3] += bits.data

    def _drop(self, now: float) -> None:
        while self._steps and self._steps[0][0] <= now - _WINDOW:
            self._steps.popleft()

    def rate(self, now: float) -> float:
        """Return the frames of the last second."""
        self._drop(now)
        return sum(step[1] for step in self._steps) / _WINDOW

    def share(self, now: float, bitrates: Bitrates) -> float | None:
        """Return the part of the last second that frames took; None without a bitrate."""
        self._drop(now)
        nominal = sum(step[2] for step in self._steps)
        data = sum(step[3] for step in self._steps)
        return share(nominal, data, _WINDOW, bitrates)


def share(nominal: float, data: float, seconds: float, bitrates: Bitrates) -> float | None:
    """Return the part of a time that some bits take; None without a bitrate."""
    if not bitrates.nominal or seconds <= 0:
        return None
    busy = nominal / bitrates.nominal + data / (bitrates.data or bitrates.nominal)
    return busy / seconds
