"""How the intent changes: each engine call, each start and each look at the kernel.

Pure functions from one ``Declared`` to the next. They refuse by raising, and
then nothing has changed; they are idempotent, since the engine repeats itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from evercan.altnames import require_free
from evercan.bus_choice import choose_bus
from evercan.controller_match import may_be_granted
from evercan.errors import RequestError, UnknownNetwork
from evercan.model import (
    BusKind,
    Declared,
    Endpoint,
    Link,
    Network,
    Observed,
    Phase,
    placeholder_name,
)
from evercan.names import host_ends, pair_names
from evercan.options import EndpointOptions, NetworkOptions

_CANDIDATES = 16
"""Names that an endpoint's host end is looked for under: all windows of a 64-digit id, and more."""


def create_network(
    declared: Declared, observed: Observed, network_id: str, options: NetworkOptions
) -> Declared:
    """Record a network, and what its bus interface turns out to be.

    Raises:
        OptionError: as of ``choose_bus``.
        RequestError: the id is on record with other options.
    """
    known = declared.networks.get(network_id)
    if known is not None:
        _require_same(known, options)
        return declared
    kind, owns = choose_bus(declared, observed, options)
    return declared.with_network(
        Network(
            id=network_id,
            bus=options.bus,
            kind=kind,
            owns_bus=owns,
            peer_prefix=options.peer_prefix,
            settings=options.settings,
        )
    )


def _require_same(known: Network, options: NetworkOptions) -> None:
    """Refuse a network id that comes again with other options."""
    facts = (
        ("bus", known.bus, options.bus),
        ("peer prefix", repr(known.peer_prefix), repr(options.peer_prefix)),
        ("kind", known.kind, options.kind or known.kind),
        ("settings", known.settings.words() or "none", options.settings.words() or "none"),
    )
    differing = [f"{what} {had}, not {has}" for what, had, has in facts if had != has]
    if differing:
        raise RequestError(
            f"network {known.id} is on record with {', '.join(differing)}; remove it first"
        )


def create_endpoint(
    declared: Declared,
    observed: Observed,
    network_id: str,
    endpoint_id: str,
    options: EndpointOptions,
) -> Declared:
    """Record an endpoint and choose its names.

    Raises:
        UnknownNetwork: the network is not on record.
        OptionError: the name for people is not to be had.
        RequestError: the endpoint is on record with another network.
    """
    network = declared.networks.get(network_id)
    if network is None:
        raise UnknownNetwork(network_id)
    known = declared.endpoints.get(endpoint_id)
    if known is not None:
        if known.network != network_id:
            raise RequestError(
                f"endpoint {endpoint_id} is on record with network {known.network}, "
                f"not {network_id}; remove it there first"
            )
        return declared
    prefix = options.peer_prefix or network.peer_prefix
    if options.altname is not None:
        require_free(declared, observed, options.altname, prefix)
    buses = set(declared.networks_by_bus())
    taken = observed.names() | declared.retired | declared.pair_names() | buses
    host_end, container_end = pair_names(endpoint_id, taken)
    return declared.with_endpoint(
        Endpoint(
            id=endpoint_id,
            network=network_id,
            host_end=host_end,
            container_end=container_end,
            peer_prefix=prefix,
            altname=options.altname,
        )
    )


def join(declared: Declared, observed: Observed, network_id: str, endpoint_id: str) -> Declared:
    """Make an endpoint a member; one that is not on record is recorded anew.

    Raises:
        UnknownNetwork: the network is not on record.
        RequestError: the endpoint is on record with another network.
    """
    declared = create_endpoint(declared, observed, network_id, endpoint_id, EndpointOptions())
    endpoint = declared.endpoints[endpoint_id]
    return declared.with_endpoint(replace(endpoint, phase=Phase.OFFERED))


def move(declared: Declared, endpoint_id: str, phase: Phase) -> Declared:
    """Put an endpoint into a phase; the unknown is no error."""
    endpoint = declared.endpoints.get(endpoint_id)
    if endpoint is None or endpoint.phase is phase:
        return declared
    return declared.with_endpoint(replace(endpoint, phase=phase))


def leave(declared: Declared, endpoint_id: str) -> Declared:
    """End a membership; the pair stays until the engine has handed its end back."""
    endpoint = declared.endpoints.get(endpoint_id)
    if endpoint is None or not endpoint.is_member:
        return declared
    return move(declared, endpoint_id, Phase.LEFT)


def delete_endpoint(declared: Declared, observed: Observed, endpoint_id: str) -> Declared:
    """Forget an endpoint and retire its pair; the unknown is no error.

    One that is not on record may have a pair all the same, if the record was lost
    while its container ran. The engine names it, and has handed its end back by
    now: that, and the tag, is the evidence by which it is collected.
    """
    if endpoint_id in declared.endpoints:
        return declared.without_endpoint(endpoint_id)
    pairs = pairs_by_name(declared, observed, endpoint_id)
    stray = next((link for link in pairs if not link.is_in_container), None)
    if stray is None:
        return declared
    return replace(declared, retired=declared.retired | {stray.name})


def pairs_by_name(declared: Declared, observed: Observed, endpoint_id: str) -> Iterator[Link]:
    """Yield the host ends, on no record, that may be an endpoint's by name and tag."""
    recorded = declared.pair_names()
    for name in islice(host_ends(endpoint_id), _CANDIDATES):
        link = observed.links.get(name)
        if link is not None and link.is_pair and name not in recorded:
            yield link


def wake(declared: Declared, boot: str) -> Declared:
    """Read the record with the eyes of a new process.

    Another boot id means that no namespace of the old one lives: its endpoints
    fall dormant. Those that already were dormant are forgotten, since the engine
    has had the whole life of a process to speak of them: it may never do, of a
    container that ended while nobody listened. In the same boot an endpoint that
    was created and never joined falls dormant too, its options kept: Join makes
    its pair anew. One that was offered stays so: the engine may have the answer
    and be about to take the end; if it has not, it deletes the endpoint.
    """
    same_boot = declared.boot == boot
    awake = replace(declared, boot=boot)
    for endpoint in declared.endpoints.values():
        if endpoint.phase is Phase.DORMANT:
            awake = awake.without_endpoint(endpoint.id)
        elif not same_boot or endpoint.phase is Phase.CREATED:
            awake = move(awake, endpoint.id, Phase.DORMANT)
    return awake


def settle(declared: Declared, observed: Observed) -> Declared:
    """Take into the record what the kernel shows to have happened.

    An offered pair whose other end is in a namespace was taken. A joined pair
    whose other end is back on the host was handed back by the engine, and the call
    that should have said so got lost: it falls dormant, and so does one that is
    gone with its namespace. One that left falls dormant when the engine has handed
    its end back: nobody needs the pair any more, and the call that deletes it may
    have got lost. A pair that is being mended was not handed back. A virtual bus
    that is gone will be made by evercan, whoever made the former one. A retired
    name that is gone needs no remembering. What the kernel made of a controller's
    settings is remembered for as long as it is up.
    """
    settled = declared
    for network in declared.networks.values():
        virtual = network.kind is BusKind.VIRTUAL
        if virtual and not network.owns_bus and observed.find(network.bus) is None:
            settled = settled.with_network(replace(network, owns_bus=True))
        settled = _settle_grant(settled, settled.networks[network.id], observed)
    for endpoint in declared.endpoints.values():
        link = observed.links.get(endpoint.host_end)
        if link is None and endpoint.id in observed.ended and endpoint.phase is Phase.JOINED:
            settled = move(settled, endpoint.id, Phase.DORMANT)
        if link is None or not link.is_ours:
            continue
        if endpoint.phase is Phase.OFFERED and link.peer_nsid is not None:
            settled = move(settled, endpoint.id, Phase.JOINED)
        elif link.peer_nsid is None and (
            endpoint.phase is Phase.LEFT
            or (endpoint.phase is Phase.JOINED and not observed.is_half_mended(link))
        ):
            settled = move(settled, endpoint.id, Phase.DORMANT)
    gone = frozenset(
        name
        for name in settled.retired
        if name not in observed.links and placeholder_name(name) not in observed.links
    )
    return replace(settled, retired=settled.retired - gone) if gone else settled


def _settle_grant(declared: Declared, network: Network, observed: Observed) -> Declared:
    """Remember what the kernel made of a network's settings, or that it is no longer so.

    Without that, a bitrate that a clock cannot be divided into would look wrong for ever,
    and one that somebody changed a little would look right.
    """
    if not network.settings:
        return declared
    link = observed.find(network.bus)
    granted = network.granted
    if link is None or not link.up or not link.is_set_up_by_us or link.controller is None:
        granted = None
    elif granted is None and may_be_granted(network.settings, link.controller.timing):
        granted = link.controller.timing
    if granted == network.granted:
        return declared
    return declared.with_network(replace(network, granted=granted))
