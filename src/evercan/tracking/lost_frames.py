"""Reports frames that a controller could not take: logs them one time for each kind of frame.

can-gw counts a frame as dropped when the interface that it sends to rejects it, and
nobody else learns of that: the container itself has sent it successfully. A controller
rejects FD frames if it is set to classic ones (``can_send``), and any frame while its
queue is full.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container

from evercan.errors import number_of
from evercan.log import lines
from evercan.model.declared import Declared
from evercan.model.observed import Link, Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.rule_counts import RuleCounts
from evercan.planning.rules import FD
from evercan.values import NamedTuple

_log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """Frames for one controller: as long as it is plugged in, it has one ifindex."""

    ifindex: int
    fd: bool


class LostFrames:
    """Remembers what rules to controllers have dropped."""

    def __init__(self) -> None:
        """Start with nothing reported."""
        self._dropped: Counter[_Kind] = Counter()
        self._reported: set[_Kind] = set()

    def start(self, declared: Declared, observed: Observed, counts: RuleCounts) -> None:
        """Take what rules have dropped before this process as reported."""
        self._dropped = _dropped(_controllers(declared, observed), counts)

    def report(self, declared: Declared, observed: Observed, counts: RuleCounts) -> None:
        """Log each controller that lost frames of a kind since the last call, one time."""
        controllers = _controllers(declared, observed)
        dropped = _dropped(controllers, counts)
        for kind, frames in dropped.items():
            bus, link = controllers[kind.ifindex]
            # What is dropped because a controller is down is reported as bus-down.
            if frames > self._dropped[kind] and link.up and kind not in self._reported:
                _log_loss(declared, bus, link, kind, frames - self._dropped[kind])
                self._reported.add(kind)
        self._dropped = dropped
        self._reported = {kind for kind in self._reported if kind.ifindex in controllers}

    def warnings(self, declared: Declared, observed: Observed) -> tuple[Problem, ...]:
        """List a warning for each controller without FD that containers send FD frames to.

        A controller that only carries classic frames is no problem before that. The warning
        lasts until it is set to FD or unplugged.
        """
        controllers = _controllers(declared, observed)
        found = (controllers.get(kind.ifindex) for kind in sorted(self._reported) if kind.fd)
        return tuple(
            Problem(
                kind=ProblemKind.BUS_NO_FD,
                bus=bus,
                text=f"containers have sent FD frames that did not reach the wire: {link.name} is "
                "set to classic frames",
                remedy="if its controller supports FD, create the network with vxcan.fd=on, "
                "vxcan.bitrate and vxcan.dbitrate; otherwise send classic frames only",
            )
            for bus, link in filter(None, found)
            if link.controller is not None and not link.controller.fd
        )


def has_controllers(declared: Declared, observed: Observed) -> bool:
    """Whether a controller is a member of a bus."""
    return bool(_controllers(declared, observed))


def _controllers(declared: Declared, observed: Observed) -> dict[int, tuple[str, Link]]:
    """Return the controllers that are members of buses, bridged ones included."""
    found = (
        (bus, observed.find(name))
        for bus, bridged in declared.bridged().items()
        for name in bridged
    )
    bridged = {
        link.index: (bus, link)
        for bus, link in found
        if link is not None and link.controller is not None
    }
    return bridged | controllers_of(declared, observed)


def controllers_of(declared: Declared, observed: Observed) -> dict[int, tuple[str, Link]]:
    """Return the controllers that are buses, by ifindex, with the bus's name in the intent."""
    found = ((bus, observed.find(bus)) for bus in declared.networks_by_bus())
    return {
        link.index: (bus, link)
        for bus, link in found
        if link is not None and link.controller is not None
    }


def _dropped(controllers: Container[int], counts: RuleCounts) -> Counter[_Kind]:
    dropped: Counter[_Kind] = Counter()
    for group in counts.groups():
        target, flags = group[:2]
        if target in controllers:
            _, (_, column, _) = counts.columns(group)
            dropped[_Kind(target, bool(flags & FD))] += sum(column)
    return dropped


def _log_loss(declared: Declared, bus: str, link: Link, kind: _Kind, frames: int) -> None:
    controller = link.controller
    if controller is None:
        return
    subject = lines.subject(declared, bus)
    if kind.fd and not controller.fd:
        text = (
            "%s that a container sent did not reach the wire: %s is set to classic "
            "frames. The other containers received them; evercan_frames_total counts them as "
            "dropped. vxcan.fd=on sets an FD controller to FD"
        )
        _log.warning(text, number_of(frames, "FD frame"), link.name, extra=subject)
    else:
        text = (
            "%s did not reach the wire: the queue of %s (txqueuelen %d) was full. "
            "evercan_frames_total counts them as dropped. Raise vxcan.txqueuelen, send less, or "
            "check that another node acknowledges frames on the wire"
        )
        how_many = number_of(frames, "frame")
        _log.warning(text, how_many, link.name, controller.txqueuelen, extra=subject)
