"""Adds up the frames that the filters of members with limits have denied, and reports them.

The kernel counts by classifier, and one that is replaced starts at 0. The sums only grow while
the daemon runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import add

from evercan.log import lines
from evercan.model.access import FilterCount
from evercan.model.declared import Declared, Endpoint
from evercan.model.observed import Observed
from evercan.values import NamedTuple

_log = logging.getLogger(__name__)


class Denied(NamedTuple):
    """The frames that were kept from or for one endpoint.

    Attributes:
        send: frames that its container sent and may not send.
        receive: frames that it may not receive.
        over_rate: frames that it may send, beyond its rate.
    """

    send: int = 0
    receive: int = 0
    over_rate: int = 0


_TEXTS = (
    "Container of %s sends frames that vxcan.send does not let it send; they are dropped",
    "Frames are sent that vxcan.receive keeps from %s; the others receive them",
    "Container of %s sends more frames than vxcan.send-rate; they are dropped",
)


class DeniedFrames:
    """Adds up, from observation to observation, what filters have denied.

    Attributes:
        unattributed: by ifindex of a filter interface, frames that it denied and that the
            counters of rules have as dropped; whoever adds up rules takes them off.
    """

    def __init__(self) -> None:
        """Start at 0: the first observation adds what was counted for an earlier process."""
        self.unattributed: dict[int, int] = {}
        self._seen: dict[int, FilterCount] = {}
        self._sums: dict[str, Denied] = {}
        self._reported: set[tuple[str, str]] = set()

    def add(self, declared: Declared, observed: Observed) -> Mapping[str, Denied]:
        """Add what came since the last observation; return the sums by endpoint id.

        Endpoints without limits, and those that are gone, have none.
        """
        sums: dict[str, Denied] = {}
        owed: dict[int, int] = {}
        seen: dict[int, FilterCount] = {}
        for endpoint in declared.endpoints.values():
            if endpoint.access is None:
                continue
            sent = self._growth(endpoint.host_end, observed, seen)
            received = self._growth(endpoint.rule_end, observed, seen)
            link = observed.links.get(endpoint.rule_end)
            if link is not None:
                owed[link.index] = self.unattributed.get(link.index, 0) + received.denied
            grown = Denied(sent.denied, received.denied, sent.over_rate)
            sums[endpoint.id] = Denied(*map(add, self._sums.get(endpoint.id, Denied()), grown))
        self.unattributed, self._seen, self._sums = owed, seen, sums
        return sums

    def report(self, declared: Declared, observed: Observed) -> None:
        """Log each kind of frames that was denied to an endpoint, one time."""
        for endpoint_id, denied in self.add(declared, observed).items():
            endpoint = declared.endpoints[endpoint_id]
            for kind, text, frames in zip(Denied._fields, _TEXTS, denied, strict=True):
                if frames and (endpoint_id, kind) not in self._reported:
                    self._reported.add((endpoint_id, kind))
                    _log_denied(declared, endpoint, kind, text)
        self._reported = {known for known in self._reported if known[0] in self._sums}

    def _growth(self, name: str, observed: Observed, seen: dict[int, FilterCount]) -> FilterCount:
        """Return what an interface has counted since the last observation."""
        link = observed.links.get(name)
        now = None if link is None else observed.filter_counts.get(link.index)
        if link is None or now is None:
            return FilterCount()
        seen[link.index] = now
        before = self._seen.get(link.index, FilterCount())
        replaced = any(new < old for new, old in zip(now, before, strict=True))
        return now if replaced else FilterCount(*(n - o for n, o in zip(now, before, strict=True)))


def _log_denied(declared: Declared, endpoint: Endpoint, kind: str, text: str) -> None:
    bus = declared.networks[endpoint.network].bus
    fields = lines.subject(declared, bus, endpoint.id, denied=kind)
    level = logging.INFO if kind == "receive" else logging.WARNING
    _log.log(level, text, endpoint.host_end, extra=fields)
