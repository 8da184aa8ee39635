"""Networks and endpoints that the engine knows and the record does not; pure.

When the record is truly gone (the plugin was removed and created again) the
engine still lists its networks and the endpoints of running containers. Whoever
reads that list gives it back here. An endpoint's pair is told by the name that
its id gives it, by evercan's tag, and by its other end being in a namespace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from evercan import intent
from evercan.errors import EvercanError
from evercan.model import NONE, Declared, Endpoint, Network, Observed, Phase
from evercan.names import PAIR_SUFFIX, is_host_end
from evercan.options import EndpointOptions, NetworkOptions, endpoint_options, network_options


class Outcome(StrEnum):
    """What became of a network or an endpoint."""

    ADOPTED = "adopted"
    """It is on record now."""
    KNOWN = "known"
    """It was on record before."""
    RESTART = "restart"
    """Its interface pair is not there: its container must be restarted."""
    REFUSED = "refused"
    """It cannot be put on record."""
    REPORTED = "reported"
    """A stray, still on record."""
    FORGOTTEN = "forgotten"
    """A stray, not on record any more."""
    IN_USE = "in-use"
    """A stray that is kept since a pair of it is in a container."""


class EndpointClaim(NamedTuple):
    """An endpoint of a running container, as the engine lists it."""

    id: str
    options: Mapping[str, object] = NONE


class NetworkClaim(NamedTuple):
    """A network as the engine lists it.

    Attributes:
        id: the engine's network id.
        options: the ``-o`` map that it was created with.
        endpoints: those of running containers.
    """

    id: str
    options: Mapping[str, object] = NONE
    endpoints: Sequence[EndpointClaim] = ()


class Finding(NamedTuple):
    """What was done about one network, endpoint or stray.

    Attributes:
        id: the engine's id.
        outcome: for machines.
        interface: the bus interface or the host end, empty if there is none.
        text: what a person should know or do; empty when all is well.
    """

    id: str
    outcome: Outcome
    interface: str = ""
    text: str = ""


class Adoption(NamedTuple):
    """What was done about all that was claimed.

    Attributes:
        networks: each with its endpoints, in the order of the claims.
        strays: networks on record that were not claimed.
        pairs: interface pairs of evercan's on no record, by their host ends.
    """

    networks: tuple[tuple[Finding, tuple[Finding, ...]], ...] = ()
    strays: tuple[Finding, ...] = ()
    pairs: tuple[Finding, ...] = ()


def adopt(
    declared: Declared,
    observed: Observed,
    claims: Sequence[NetworkClaim],
    *,
    prune: Collection[str] = (),
) -> tuple[Declared, Adoption]:
    """Take claims into the record; one that cannot be is refused by itself.

    Args:
        declared: the record.
        observed: the kernel.
        claims: every network that the engine has of this driver.
        prune: what to forget of the strays: network ids, and host ends of pairs. Who
            names them has read the engine's list after they were reported: what was
            made since is on record and not yet in a list.
    """
    endpoint_ids = [each.id for claim in claims for each in claim.endpoints]
    pairs = _find_pairs(endpoint_ids, declared, observed)
    networks: list[tuple[Finding, tuple[Finding, ...]]] = []
    for claim in claims:
        declared, found = _adopt_network(declared, observed, claim)
        members: list[Finding] = []
        if found.outcome is not Outcome.REFUSED:
            for each in claim.endpoints:
                declared, member = _adopt_endpoint(declared, claim.id, each, pairs.get(each.id))
                members.append(member)
        networks.append((found, tuple(members)))
    strays: list[Finding] = []
    claimed = {each.id for each in claims}
    for network in [each for each in declared.networks.values() if each.id not in claimed]:
        declared, stray = _stray(declared, observed, network, prune=prune)
        strays.append(stray)
    declared, idle = _stray_pairs(declared, observed, prune=prune)
    return declared, Adoption(networks=tuple(networks), strays=tuple(strays), pairs=idle)


def _adopt_network(
    declared: Declared, observed: Observed, claim: NetworkClaim
) -> tuple[Declared, Finding]:
    outcome = Outcome.KNOWN if claim.id in declared.networks else Outcome.ADOPTED
    try:
        wanted: NetworkOptions = network_options(claim.options)
        after = intent.create_network(declared, observed, claim.id, wanted)
    except EvercanError as error:
        return declared, Finding(id=claim.id, outcome=Outcome.REFUSED, text=str(error))
    network = after.networks[claim.id]
    link = observed.find(network.bus)
    if outcome is Outcome.ADOPTED and link is not None and link.is_ours:
        # The record that said so is lost; the tag and the engine's word remain.
        network = replace(network, owns_bus=True)
        after = after.with_network(network)
    return after, Finding(id=claim.id, outcome=outcome, interface=network.bus)


def _adopt_endpoint(
    declared: Declared, network_id: str, claim: EndpointClaim, host_end: str | None
) -> tuple[Declared, Finding]:
    known = declared.endpoints.get(claim.id)
    if known is not None and known.network != network_id:
        text = f"endpoint {claim.id} is on record with network {known.network}; remove it there"
        return declared, Finding(id=claim.id, outcome=Outcome.REFUSED, text=text)
    if known is not None and known.phase is not Phase.DORMANT:
        return declared, Finding(id=claim.id, outcome=Outcome.KNOWN, interface=known.host_end)
    if host_end is None:
        return declared, Finding(
            id=claim.id,
            outcome=Outcome.RESTART,
            text=f"no interface pair of evercan's is there for endpoint {claim.id[:12]}; "
            "restart the container",
        )
    try:
        wanted: EndpointOptions = endpoint_options(claim.options)
    except EvercanError as error:
        return declared, Finding(id=claim.id, outcome=Outcome.REFUSED, text=str(error))
    endpoint = Endpoint(
        id=claim.id,
        network=network_id,
        host_end=host_end,
        container_end=f"{host_end}{PAIR_SUFFIX}",
        peer_prefix=wanted.peer_prefix or declared.networks[network_id].peer_prefix,
        altname=wanted.altname,
        phase=Phase.JOINED,
    )
    return (
        declared.with_endpoint(endpoint),
        Finding(id=claim.id, outcome=Outcome.ADOPTED, interface=host_end),
    )


def _stray(
    declared: Declared, observed: Observed, network: Network, *, prune: Collection[str]
) -> tuple[Declared, Finding]:
    about = {"id": network.id, "interface": network.bus}
    if any(_is_taken(observed, each.host_end) for each in declared.endpoints_of(network.id)):
        text = "the engine does not list it, but a container has an interface of it; it is kept"
        return declared, Finding(outcome=Outcome.IN_USE, text=text, **about)
    if network.id not in prune:
        text = "on record, but the engine does not list it; it can be forgotten (--prune)"
        return declared, Finding(outcome=Outcome.REPORTED, text=text, **about)
    return declared.without_network(network.id), Finding(outcome=Outcome.FORGOTTEN, **about)


def _stray_pairs(
    declared: Declared, observed: Observed, *, prune: Collection[str]
) -> tuple[Declared, tuple[Finding, ...]]:
    """Find pairs of evercan's that are on no record and that no container has."""
    known = declared.pair_names() | declared.retired
    names = [
        name
        for name, link in sorted(observed.links.items())
        if is_host_end(name) and link.is_pair and not link.is_in_container and name not in known
    ]
    text = "an interface pair that no container has and no record names; --prune deletes it"
    found = tuple(
        Finding(id=name, outcome=Outcome.FORGOTTEN, interface=name)
        if name in prune
        else Finding(id=name, outcome=Outcome.REPORTED, interface=name, text=text)
        for name in names
    )
    return replace(declared, retired=declared.retired | {*names} & {*prune}), found


def _is_taken(observed: Observed, host_end: str) -> bool:
    """Whether an interface is the host end of a pair that a container has."""
    link = observed.links.get(host_end)
    return link is not None and link.is_pair and link.is_in_container


def _find_pairs(
    endpoint_ids: Iterable[str], declared: Declared, observed: Observed
) -> dict[str, str]:
    """Find the host ends of endpoints that are not on record.

    Ids that share their first digits share candidates; who has fewer to choose
    from chooses first.
    """
    choices = {
        endpoint_id: [
            link.name
            for link in intent.pairs_by_name(declared, observed, endpoint_id)
            if link.is_in_container
        ]
        for endpoint_id in endpoint_ids
    }
    found: dict[str, str] = {}
    for endpoint_id in sorted(choices, key=lambda each: len(choices[each])):
        free = [name for name in choices[endpoint_id] if name not in found.values()]
        if free:
            found[endpoint_id] = free[0]
    return found
