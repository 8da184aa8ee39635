"""Remembers which running containers had their interface pair replaced under them.

A socket is bound to an interface by its number, and a pair that is created again has other
numbers: a program that was bound to the old one ends with an error, or neither sends nor
receives ("What CAN programs notice" in the documentation). A container that sends through
the new pair has re-opened its socket. One that only receives looks the same whether its socket
is new or old, so its warning lasts until it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.problems import Problem, ProblemKind
from evercan.model.rule_counts import RuleCounts
from evercan.model.steps import RepairPair, Step


class ReplacedPairs:
    """The endpoints whose pair this process has replaced and whose new pair is not used yet."""

    def __init__(self) -> None:
        """Start with none."""
        self._endpoints: dict[str, None] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._endpoints)

    def repaired(self, steps: Iterable[Step]) -> None:
        """Remember the endpoints of pairs that were replaced.

        Args:
            steps: the steps that the kernel took.
        """
        for step in steps:
            if isinstance(step, RepairPair):
                self._endpoints[step.endpoint] = None

    def forget_absent(self, declared: Declared) -> None:
        """Forget the endpoints that have left: a container that starts opens new sockets."""
        self._endpoints = {
            endpoint_id: None
            for endpoint_id in self._endpoints
            if endpoint_id in declared.endpoints and declared.endpoints[endpoint_id].is_member
        }

    def forget_used(self, declared: Declared, observed: Observed, counts: RuleCounts) -> None:
        """Forget the endpoints that have sent frames through their new pair.

        Args:
            declared: what is wanted.
            observed: has the ifindex of each host end, which a new pair shares with no other.
            counts: the rules that have counted frames.
        """
        if not self._endpoints:
            return
        senders: set[int] = set()
        for group in counts.groups():
            sources, (handled, dropped, _) = counts.columns(group)
            senders.update(compress(sources, handled), compress(sources, dropped))
        for endpoint_id in list(self._endpoints):
            endpoint = declared.endpoints.get(endpoint_id)
            link = None if endpoint is None else observed.links.get(endpoint.host_end)
            if link is not None and link.index in senders:
                del self._endpoints[endpoint_id]

    def warnings(self, declared: Declared) -> tuple[Problem, ...]:
        """List a warning for each of the endpoints."""
        found = (declared.endpoints.get(endpoint_id) for endpoint_id in self._endpoints)
        return tuple(
            Problem(
                kind=ProblemKind.PAIR_REPLACED,
                bus=declared.networks[endpoint.network].bus,
                endpoint=endpoint.id,
                text=f"the interface pair of endpoint {endpoint.id[:12]} was replaced while its "
                "container ran, and nothing was sent through the new one yet: a program that was "
                "bound to the old one neither sends nor receives",
                remedy="programs in the container must re-open their socket, or restart the "
                "container",
            )
            for endpoint in found
            if endpoint is not None and endpoint.is_member
        )
