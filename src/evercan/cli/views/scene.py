"""What ``evercan watch`` shows: what was observed last, and what was measured until then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evercan.cli.errors import CliError, NoAccess, NoEngine
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.overview import Overview, Verdict
from evercan.cli.views.rates import History, Rates, rates

SLOW = 2.0
"""Seconds that a refresh may take without a warning, however short the interval is."""


@dataclass(frozen=True)
class Lost:
    """What does not answer, and the sentence that says why."""

    what: str
    why: str


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        rates: frames per second.
        history: the earlier rates.
        states: how full buses are, and their errors, by network id.
    """

    rates: Rates = field(default_factory=Rates)
    history: History = field(default_factory=History)
    states: Mapping[str, BusState] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """What the page shows.

    Attributes:
        overviews: the overviews of the last refresh that succeeded.
        measured: the rates since the refresh before it, those until then, and the load of buses.
        at: when that refresh ended, on the monotonic clock.
    """

    overviews: Sequence[Overview] = ()
    measured: Measured = field(default_factory=Measured)
    at: float = 0.0

    def after(self, found: Sequence[Overview], at: float, states: Mapping[str, BusState]) -> Scene:
        """Return the scene after another refresh, with the states of buses by network id."""
        together = Rates()
        earlier = {overview.plugin: overview for overview in self.overviews}
        for overview in found:
            before = earlier.get(overview.plugin)
            seconds = at - self.at
            if before is not None and before.now is not None and overview.now is not None:
                seconds = overview.now - before.now
            together |= rates(before, overview, seconds)
        return Scene(found, Measured(together, self.measured.history.after(together), states), at)


def lateness(seconds: float, interval: float) -> Verdict:
    """Return the severity of a refresh that takes some seconds, with this refresh interval."""
    patience = min(max(SLOW, 3 * interval), 3 * SLOW)
    if seconds <= patience:
        return Verdict.OK
    return Verdict.WARN if seconds <= 3 * patience else Verdict.FAIL


def lost(error: CliError) -> Lost:
    """Return what does not answer, and why."""
    if isinstance(error, NoEngine):
        return Lost("engine not reachable", str(error))
    if isinstance(error, NoAccess):
        return Lost("no access to the plugin", str(error))
    return Lost("plugin not reachable", str(error))
