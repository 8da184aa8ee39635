"""Adoption: takes networks and endpoints that only the engine knows into the declared state; pure.

When the plugin has lost its state (it was removed and created again) the engine still
lists its networks and the endpoints of running containers. ``evercan adopt`` reads that
list and sends it here. An endpoint's pair is recognised by the name that its id gives it,
by evercan's tag, and by its other end being in a namespace.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from evercan.errors import EvercanError, RequestError
from evercan.intent.changes import CreateNetwork
from evercan.intent.endpoint_changes import unknown_pairs
from evercan.intent.findings import (
    Adoption,
    EndpointClaim,
    Finding,
    NetworkClaim,
    Outcome,
)
from evercan.intent.strays import is_ghost, stray_endpoint, stray_network, stray_pairs, stray_rules
from evercan.model.declared import BusKind, Declared, Endpoint, Phase
from evercan.model.names import (
    PAIR_SUFFIX,
    filter_interface_of,
    is_host_end,
    looks_like_hardware,
)
from evercan.model.observed import Observed
from evercan.options.access import access_of
from evercan.options.endpoint import endpoint_options
from evercan.options.network import NetworkOptions, network_options
from evercan.values import NamedTuple, replace


class Adopt(NamedTuple):
    """``POST /adopt``: takes claims into the state; one that cannot be is rejected alone.

    Attributes:
        claims: every network that the engine has of this driver.
        prune: which strays to remove: network and endpoint ids, host ends of pairs, and the
            interfaces between which there are rules.
            Whoever names them has read the engine's list after they were reported: what was created
            since is in the state and not yet in the list.
    """

    claims: Sequence[NetworkClaim]
    prune: Collection[str] = ()

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Return the declared state with the claims in it."""
        return adopt(declared, observed, self.claims, prune=self.prune)[0]

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave it adopted."""
        return declared


def adopt(
    declared: Declared,
    observed: Observed,
    claims: Sequence[NetworkClaim],
    *,
    prune: Collection[str] = (),
) -> tuple[Declared, Adoption]:
    """Take claims into the declared state, and say what was done about each.

    Args:
        declared: the declared state.
        observed: the kernel.
        claims: every network that the engine has of this driver.
        prune: as in ``Adopt``.
    """
    endpoint_ids = [endpoint.id for claim in claims for endpoint in claim.endpoints]
    pairs = _find_pairs(endpoint_ids, declared, observed)
    networks: list[tuple[Finding, tuple[Finding, ...]]] = []
    for claim in claims:
        declared, found = _adopt_network(declared, observed, claim, claims, pairs)
        members: list[Finding] = []
        if found.outcome is not Outcome.REFUSED:
            for endpoint in claim.endpoints:
                declared, member = _adopt_endpoint(
                    declared, claim.id, endpoint, pairs.get(endpoint.id)
                )
                members.append(member)
            claimed_ends = {endpoint.id for endpoint in claim.endpoints}
            for known in list(declared.endpoints_of(claim.id)):
                if known.id not in claimed_ends and is_ghost(observed, known):
                    declared, ghost = stray_endpoint(declared, known, prune=prune)
                    members.append(ghost)
        networks.append((found, tuple(members)))
    strays: list[Finding] = []
    claimed = {claim.id for claim in claims}
    for network in [known for known in declared.networks.values() if known.id not in claimed]:
        declared, stray = stray_network(declared, observed, network, prune=prune)
        strays.append(stray)
    declared, idle = stray_pairs(declared, observed, prune=prune)
    declared, rules = stray_rules(declared, observed, prune=prune)
    return declared, Adoption(tuple(networks), tuple(strays), idle, rules)


def _adopt_network(
    declared: Declared,
    observed: Observed,
    claim: NetworkClaim,
    claims: Sequence[NetworkClaim],
    pairs: Mapping[str, str],
) -> tuple[Declared, Finding]:
    outcome = Outcome.KNOWN if claim.id in declared.networks else Outcome.ADOPTED
    new = outcome is Outcome.ADOPTED
    try:
        wanted = network_options(claim.options)
        prefix = wanted.auto_prefix
        if new and prefix is not None:
            ends = [pairs[endpoint.id] for endpoint in claim.endpoints if endpoint.id in pairs]
            bus = _numbered_bus(declared, observed, prefix, claims, ends)
            wanted = wanted._replace(bus=bus, auto_prefix=None)
        link = observed.find(wanted.bus)
        if new and link is None and wanted.kind is None and looks_like_hardware(wanted.bus):
            # The state that said what it was is lost: a controller must not be replaced.
            wanted = wanted._replace(kind=BusKind.PHYSICAL)
        after = CreateNetwork(claim.id, wanted).apply(declared, observed)
    except EvercanError as error:
        return declared, _rejected(claim.id, error)
    network = after.networks[claim.id]
    if new and prefix is not None:
        network = replace(network, auto_prefix=prefix)
        after = after.with_network(network)
    if new and link is not None and link.is_deletable:
        # The state that said so is lost; the tag and the engine's list remain.
        network = replace(network, owns_bus=True)
        after = after.with_network(network)
    return after, Finding(id=claim.id, outcome=outcome, interface=network.bus)


def _numbered_bus(
    declared: Declared,
    observed: Observed,
    prefix: str,
    claims: Sequence[NetworkClaim],
    host_ends: Collection[str],
) -> str:
    """Find the bus of a network with ``vxcan.id=auto`` whose number was lost with the state.

    It is the interface of such a name with which the network's running containers exchange
    frames; or, without any of their rules, the only one that evercan has created and that no
    other network has.

    Raises:
        RequestError: it cannot be known.
    """
    form = re.compile(rf"{re.escape(prefix)}[0-9]+")
    buses = {
        link.index: link
        for link in observed.links.values()
        if link.is_can and not is_host_end(link.name) and form.fullmatch(link.name)
    }
    names = [name for end in host_ends for name in (end, filter_interface_of(end))]
    ends = {observed.links[name].index for name in names if name in observed.links}
    found = {buses[rule.target].name for rule, _ in observed.rules.among(ends, buses)}
    if not found and _alone(declared, prefix, claims):
        taken = set(declared.networks_by_bus()) | set(_asked_buses(claims))
        found = {
            link.name for link in buses.values() if link.is_deletable and link.name not in taken
        }
    if len(found) == 1:
        return found.pop()
    known = (
        f"it may be one of {', '.join(sorted(found))}" if found else "nothing on the host shows it"
    )
    raise RequestError(
        f"the network has vxcan.id=auto, and the number that was chosen for it is lost with the "
        f"state: {known}",
        "remove the network and create it again (docker compose down && docker compose up)",
    )


def _alone(declared: Declared, prefix: str, claims: Sequence[NetworkClaim]) -> bool:
    """Whether only one of the claims that are not in the state is numbered with a prefix."""
    unknown = [claim for claim in claims if claim.id not in declared.networks]
    return [asked.auto_prefix for asked in _readable(unknown)].count(prefix) == 1


def _asked_buses(claims: Sequence[NetworkClaim]) -> Iterator[str]:
    """Yield the buses that claims name."""
    return (asked.bus for asked in _readable(claims) if asked.auto_prefix is None)


def _readable(claims: Iterable[NetworkClaim]) -> Iterator[NetworkOptions]:
    for claim in claims:
        with suppress(EvercanError):
            yield network_options(claim.options)


def _adopt_endpoint(
    declared: Declared, network_id: str, claim: EndpointClaim, host_end: str | None
) -> tuple[Declared, Finding]:
    known = declared.endpoints.get(claim.id)
    if known is not None and known.network != network_id:
        error = RequestError(
            f"endpoint {claim.id} belongs to network {known.network}", "remove it there"
        )
        return declared, _rejected(claim.id, error)
    if known is not None and known.phase is not Phase.DORMANT:
        return declared, Finding(id=claim.id, outcome=Outcome.KNOWN, interface=known.host_end)
    if host_end is None:
        return declared, Finding(
            id=claim.id,
            outcome=Outcome.RESTART,
            text=f"endpoint {claim.id[:12]} has no interface pair",
            remedy="restart the container",
        )
    try:
        wanted = endpoint_options(claim.options)
        access = access_of(wanted.access.over(declared.networks[network_id].access))
    except EvercanError as error:
        return declared, _rejected(claim.id, error)
    endpoint = Endpoint(
        id=claim.id,
        network=network_id,
        host_end=host_end,
        container_end=f"{host_end}{PAIR_SUFFIX}",
        peer_prefix=wanted.peer_prefix or declared.networks[network_id].peer_prefix,
        altname=wanted.altname,
        ifname=wanted.ifname,
        access=access,
        phase=Phase.JOINED,
    )
    return (
        declared.with_endpoint(endpoint),
        Finding(id=claim.id, outcome=Outcome.ADOPTED, interface=host_end),
    )


def _rejected(claim_id: str, error: EvercanError) -> Finding:
    return Finding(id=claim_id, outcome=Outcome.REFUSED, text=error.text, remedy=error.remedy)


def _find_pairs(
    endpoint_ids: Iterable[str], declared: Declared, observed: Observed
) -> dict[str, str]:
    """Find the host ends of endpoints that are not in the state.

    Ids that share their first digits share candidates; the endpoint with the fewest
    candidates chooses first.
    """
    choices = {
        endpoint_id: [
            link.name
            for link in unknown_pairs(declared, observed, endpoint_id)
            if link.is_in_container
        ]
        for endpoint_id in endpoint_ids
    }
    found: dict[str, str] = {}
    for endpoint_id in sorted(choices, key=lambda candidate: len(choices[candidate])):
        free = [name for name in choices[endpoint_id] if name not in found.values()]
        if free:
            found[endpoint_id] = free[0]
    return found
