"""Frames that a controller could not take, told once; no I/O but the log.

can-gw counts a frame as dropped when the interface it sends to refuses it, and
nobody else hears of that: not the container, whose own sending went well. A
controller refuses FD frames if it is set to classic ones (``can_send``), and any
frame while its queue is full.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Iterable
from typing import NamedTuple

from evercan import narration
from evercan.errors import number_of
from evercan.model import Declared, Link, Observed, Rule, RuleCount
from evercan.plan import FD

_log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """Frames for one controller: as long as it is plugged in, it has one ifindex."""

    ifindex: int
    fd: bool


class Losses:
    """Watches what rules to controllers drop."""

    def __init__(self) -> None:
        """Nothing was told so far."""
        self._dropped: Counter[_Kind] = Counter()
        self._told: set[_Kind] = set()

    def take_up(
        self, declared: Declared, observed: Observed, counts: Iterable[tuple[Rule, RuleCount]]
    ) -> None:
        """Take what rules have dropped in an earlier life of the daemon for told."""
        self._dropped = _dropped(buses(declared, observed), counts)

    def look(
        self, declared: Declared, observed: Observed, counts: Iterable[tuple[Rule, RuleCount]]
    ) -> None:
        """Tell of each controller that lost frames of a kind since the last look, once."""
        controllers = buses(declared, observed)
        dropped = _dropped(controllers, counts)
        for kind, frames in dropped.items():
            bus, link = controllers[kind.ifindex]
            # What is dropped because a controller is down is told by other means.
            if frames > self._dropped[kind] and link.up and kind not in self._told:
                _tell(declared, bus, link, kind, frames - self._dropped[kind])
                self._told.add(kind)
        self._dropped = dropped
        self._told = {kind for kind in self._told if kind.ifindex in controllers}


def buses(declared: Declared, observed: Observed) -> dict[int, tuple[str, Link]]:
    """Return the controllers that are buses, by ifindex: what they are called on record too."""
    found = ((bus, observed.find(bus)) for bus in declared.networks_by_bus())
    return {
        link.index: (bus, link)
        for bus, link in found
        if link is not None and link.controller is not None
    }


def _dropped(
    controllers: Container[int], counts: Iterable[tuple[Rule, RuleCount]]
) -> Counter[_Kind]:
    dropped: Counter[_Kind] = Counter()
    for rule, count in counts:
        if rule.target in controllers:
            dropped[_Kind(rule.target, bool(rule.flags & FD))] += count.dropped
    return dropped


def _tell(declared: Declared, bus: str, link: Link, kind: _Kind, frames: int) -> None:
    controller = link.controller
    if controller is None:
        return
    subject = narration.concerning(declared, bus)
    if kind.fd and not controller.fd:
        text = (
            "%s that a container sent did not reach the wire: %s is set to classic "
            "frames. The other containers have them; evercan_frames_total counts them as dropped. "
            "vxcan.fd=on sets an FD controller to FD"
        )
        _log.warning(text, number_of(frames, "FD frame"), bus, extra=subject)
    else:
        text = (
            "%s did not reach the wire: the queue of %s (txqueuelen %d) was full. "
            "evercan_frames_total counts them as dropped. Raise vxcan.txqueuelen, send less, or "
            "see whether anybody acknowledges on the wire"
        )
        how_many = number_of(frames, "frame")
        _log.warning(text, how_many, bus, controller.txqueuelen, extra=subject)
