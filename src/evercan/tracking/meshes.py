"""Knows between which ends all rules exist, so that a call's pass need not observe rules."""

from __future__ import annotations

from collections.abc import Iterable

from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.model.steps import MakeFilterInterface, MakePair, Step
from evercan.planning.plan import Plan
from evercan.planning.rules import Ends
from evercan.planning.scope import Scope


class Meshes:
    """The buses that the last full pass found healthy, and what was added since."""

    def __init__(self) -> None:
        """Start without knowing any bus."""
        self._ends: dict[str, Ends] = {}
        self._fresh: set[int] = set()

    def forget(self) -> None:
        """Know nothing until the next full pass: something was not as expected."""
        self._ends, self._fresh = {}, set()

    def verified(self, declared: Declared, observed: Observed, plan: Plan) -> None:
        """Take over what a full pass ended with.

        Args:
            declared: what is wanted.
            observed: the last observation of the pass.
            plan: the whole plan for it. A bus for which it has no step has all its rules,
                and a pair that is not a member yet has none.
        """
        unfinished = {step.bus for step in plan.steps}
        self._ends = {bus: ends for bus, ends in plan.ends.items() if bus not in unfinished}
        created = (
            observed.links.get(endpoint.rule_end)
            for endpoint in declared.endpoints.values()
            if endpoint.wants_pair
            and not endpoint.is_member
            and declared.networks[endpoint.network].bus in self._ends
        )
        self._fresh = {link.index for link in created if link is not None and link.is_of_endpoint}

    def scope(
        self, declared: Declared, observed: Observed, endpoints: Iterable[tuple[str, str | None]]
    ) -> Scope | None:
        """Return the scope of calls; None if they need a full pass.

        Args:
            declared: what was wanted before the calls.
            observed: the last observation.
            endpoints: the endpoint and, if the call names it, the network of each call.
        """
        names: set[str] = set()
        buses: set[str] = set()
        ids: dict[str, None] = {}
        for endpoint_id, network_id in endpoints:
            endpoint = declared.endpoints.get(endpoint_id)
            known = network_id if endpoint is None else endpoint.network
            network = None if known is None else declared.networks.get(known)
            if network is None or network.bus not in self._ends:
                return None
            if endpoint is not None:
                if endpoint.altname is not None and not (endpoint.is_member or endpoint.has_left):
                    return None  # the whole host tells whether the name is free
                names |= {*endpoint.host_interfaces, endpoint.container_end}
            buses.add(network.bus)
            ids[endpoint_id] = None  # several calls may be about one endpoint
        former = (observed.links.get(name) for name in names)
        bridged = declared.bridged()
        host = (observed.find(name) for bus in buses for name in (bus, *bridged[bus]))
        return Scope(
            endpoints=ids,
            names=names | {link.name for link in host if link is not None},
            former={link.index for link in former if link is not None},
            ends={bus: self._ends[bus] for bus in buses},
            fresh=frozenset(self._fresh),
        )

    def current(self, scope: Scope) -> Scope:
        """Return a scope with what is known now."""
        ends = {bus: self._ends[bus] for bus in scope.ends}
        return scope._replace(ends=ends, fresh=frozenset(self._fresh))

    def applied(self, plan: Plan) -> None:
        """Take over that the kernel has taken all steps of a scope's plan."""
        self._ends.update(plan.ends)
        for ends in plan.ends.values():
            self._fresh.difference_update(ends.members)

    def created(self, steps: Iterable[Step], observed: Observed) -> None:
        """Take over the pairs and filter interfaces that were just created, without rules.

        Args:
            steps: steps that the kernel has taken.
            observed: what was read of the links after them.
        """
        names = [step.host_end for step in steps if isinstance(step, MakePair)]
        names += [step.name for step in steps if isinstance(step, MakeFilterInterface)]
        made = map(observed.links.get, names)
        self._fresh.update(link.index for link in made if link is not None and link.is_of_endpoint)
