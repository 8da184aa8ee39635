"""Remembers since when controllers are bus-off, which the kernel does not tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evercan.model.controller import ControllerState
from evercan.model.observed import Observed
from evercan.values import NamedTuple


class _Key(NamedTuple):
    """One time that a controller is bus-off: the kernel counts its restarts."""

    ifindex: int
    restarts: int


class BusOff:
    """The controllers that are bus-off, and when each was first seen so."""

    def __init__(self) -> None:
        """Start with none."""
        self._since: dict[_Key, float] = {}

    def since(self, observed: Observed, at: float) -> Mapping[int, float]:
        """Follow an observation; return for each controller that is bus-off since when it is.

        Args:
            observed: what exists.
            at: when that was, in seconds of the monotonic clock.
        """
        self._since = {
            key: self._since.get(key, at)
            for link in observed.links.values()
            if link.controller is not None and link.controller.state is ControllerState.BUS_OFF
            for key in [_Key(link.index, link.controller.events.restarts)]
        }
        return {key.ifindex: since for key, since in self._since.items()}

    def forget(self, indexes: Iterable[int]) -> None:
        """Forget controllers that were restarted; one that is bus-off again is so from then on."""
        gone = set(indexes)
        self._since = {key: at for key, at in self._since.items() if key.ifindex not in gone}
