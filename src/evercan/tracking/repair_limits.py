"""Limits how often the same thing is repaired, so that evercan does not fight with somebody.

A script that sets an interface down every 50 ms would otherwise make evercan bring it up
as often, and a controller that is reconfigured that often disturbs its bus. Each bus has a
token bucket for each kind of drift: a burst of repairs is immediate, then one is made
every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from evercan.model.problems import Problem, ProblemKind
from evercan.planning.drift import Drift, DriftKind
from evercan.values import NamedTuple

BURST = 8
"""Repairs of one kind on one bus that are made at once."""

INTERVAL = 5.0
"""Seconds until one more repair is allowed."""

_WHAT_HAPPENS = {
    DriftKind.BUS_OFF: "its controller goes bus-off",
    DriftKind.BUS_MISSING: "its interface is deleted",
    DriftKind.BUS_DOWN: "its interface is set down",
    DriftKind.BUS_MTU: "its MTU is changed",
    DriftKind.BUS_SETTINGS: "the controller's settings are changed",
    DriftKind.PAIR_MISSING: "interface pairs are deleted",
    DriftKind.PAIR_MTU: "the MTU of host ends is changed",
    DriftKind.PAIR_DOWN: "host ends are set down",
    DriftKind.FILTER_MISSING: "the filters of members are removed",
    DriftKind.FAULTS_CHANGED: "the queues that make faults are changed",
    DriftKind.WIRE_MISSING: "its wire is deleted or changed",
    DriftKind.WIRE_BYPASSED: "what leads frames into its wire is removed",
    DriftKind.RULES_MISSING: "rules are removed",
    DriftKind.RULES_SURPLUS: "rules are added",
}

_Key = tuple[str, DriftKind]


class _Bucket(NamedTuple):
    """How many repairs were allowed at a moment, by the clock."""

    tokens: float
    at: float


class RepairLimits:
    """Counts repairs by bus and kind of drift."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock, in seconds."""
        self._clock = clock
        self._buckets: dict[_Key, _Bucket] = {}

    def withheld(self, drift: Iterable[Drift]) -> list[Drift]:
        """Return the drift that must not be repaired now."""
        now = self._clock()
        return [item for item in drift if self._tokens((item.bus, item.kind), now) < 1]

    def spend(self, drift: Iterable[Drift]) -> None:
        """Count one repair for each bus and kind of drift that was repaired."""
        now = self._clock()
        for key in {(item.bus, item.kind) for item in drift}:
            self._buckets[key] = _Bucket(self._tokens(key, now) - 1, now)
        for key in [key for key in self._buckets if self._tokens(key, now) >= BURST]:
            del self._buckets[key]

    def retry_at(self, withheld: Iterable[Drift]) -> float | None:
        """Return when the first of them may be repaired, by the clock; None if there is none."""
        buckets = [self._buckets[item.bus, item.kind] for item in withheld]
        return min((one.at + (1 - one.tokens) * INTERVAL for one in buckets), default=None)

    def _tokens(self, key: _Key, now: float) -> float:
        bucket = self._buckets.get(key, _Bucket(BURST, now))
        return min(BURST, bucket.tokens + (now - bucket.at) / INTERVAL)


def limited(withheld: Iterable[Drift]) -> tuple[Problem, ...]:
    """Return the problems of repairs that are withheld, one for each bus and kind."""
    keys = dict.fromkeys((item.bus, item.kind) for item in withheld)
    return tuple(_problem(bus, kind) for bus, kind in keys)


def _problem(bus: str, kind: DriftKind) -> Problem:
    subject = f"somebody keeps changing {bus}: "
    cause = "find the program or script that does it and stop it"
    if kind is DriftKind.BUS_OFF:
        subject = f"there are too many errors on {bus}: "
        cause = "check the wires, the termination and the bitrate of all nodes"
    return Problem(
        kind=ProblemKind.REPAIRS_LIMITED,
        bus=bus,
        text=f"{subject}{_WHAT_HAPPENS[kind]} again and again",
        remedy=f"{cause}; until then evercan repairs it every {INTERVAL:.0f} s only",
    )
