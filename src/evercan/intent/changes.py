"""The engine's calls as values: how each changes the declared state, and how it is undone.

A change rejects a call by raising an error, and then nothing has changed. Changes are
idempotent, since the engine repeats its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from evercan.errors import RequestError, UnknownNetwork
from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.names import filter_interface_of, host_ends, pair_names
from evercan.model.observed import Link, Observed
from evercan.options.access import access_of
from evercan.options.altname import require_free
from evercan.options.bus import choose_bus, with_free_number
from evercan.options.endpoint import EndpointOptions
from evercan.options.network import NetworkOptions
from evercan.values import NamedTuple, replace

_CANDIDATES = 16
"""Names under which an endpoint's host end is searched: all windows of its id, and more."""


class Change(Protocol):
    """A change of the declared state, as a value."""

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Return the declared state with the change in it.

        Raises:
            EvercanError: the change is rejected; nothing has changed.
        """
        ...

    def undo(self, before: Declared, declared: Declared) -> Declared:
        """Remove what the change has added, and nothing else.

        Args:
            before: the declared state that it was applied to.
            declared: the declared state now.
        """
        ...


class NoChange(NamedTuple):
    """Asks for a reconcile pass, and changes nothing."""

    def apply(self, declared: Declared, _: Observed) -> Declared:
        """Return the declared state as it is."""
        return declared

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Return the declared state as it is."""
        return declared


class Undo(NamedTuple):
    """Removes what another change has added.

    Attributes:
        change: the other change.
        before: the declared state that it was applied to.
    """

    change: Change
    before: Declared

    def apply(self, declared: Declared, _: Observed) -> Declared:
        """Return the declared state without what the change has added."""
        return self.change.undo(self.before, declared)

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave it undone."""
        return declared


class CreateNetwork(NamedTuple):
    """CreateNetwork: records a network, and what its bus interface is."""

    network: str
    options: NetworkOptions

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Add the network.

        Raises:
            OptionError: as of ``choose_bus``.
            RequestError: the id is known with other options.
        """
        options = self.options
        known = declared.networks.get(self.network)
        if known is not None:
            _require_same(known, options)
            return declared
        options = with_free_number(declared, observed, options)
        link = observed.find(options.bus)
        kind, owns = choose_bus(declared, observed, options)
        return declared.with_network(
            Network(
                id=self.network,
                bus=options.bus if link is None else link.name,
                kind=kind,
                alias=None if link is None or link.name == options.bus else options.bus,
                auto_prefix=options.auto_prefix,
                link_kind="vcan" if link is None or not link.is_virtual else link.kind,
                owns_bus=owns,
                peer_prefix=options.peer_prefix,
                settings=options.settings,
                bridge=options.bridge,
                access=options.access,
            )
        )

    def undo(self, before: Declared, declared: Declared) -> Declared:
        """Remove the network, unless it existed before the call."""
        if self.network in before.networks:
            return declared
        return declared.without_network(self.network)


class DeleteNetwork(NamedTuple):
    """DeleteNetwork: removes a network; an unknown one is no error."""

    network: str

    def apply(self, declared: Declared, _: Observed) -> Declared:
        """Remove the network and its endpoints."""
        return declared.without_network(self.network)

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave it removed: the engine does not repeat the call."""
        return declared


class CreateEndpoint(NamedTuple):
    """CreateEndpoint: records an endpoint and chooses its names."""

    network: str
    endpoint: str
    options: EndpointOptions

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Add the endpoint.

        Raises:
            UnknownNetwork: the network is not known.
            OptionError: ``vxcan.name`` is in use, or ``vxcan.send-burst`` is without a rate.
            RequestError: the endpoint is known with another network.
        """
        network = declared.networks.get(self.network)
        if network is None:
            raise UnknownNetwork(self.network)
        known = declared.endpoints.get(self.endpoint)
        if known is not None:
            if known.network != self.network:
                raise RequestError(
                    f"endpoint {self.endpoint} belongs to network {known.network}, "
                    f"not {self.network}",
                    "remove it there first",
                )
            return declared
        prefix = self.options.peer_prefix or network.peer_prefix
        if self.options.altname is not None:
            require_free(declared, observed, self.options.altname, prefix)
        taken = observed.names() | declared.retired | declared.pair_names()
        taken |= declared.host_interfaces()
        host_end, container_end = pair_names(self.endpoint, taken)
        return declared.with_endpoint(
            Endpoint(
                id=self.endpoint,
                network=self.network,
                host_end=host_end,
                container_end=container_end,
                peer_prefix=prefix,
                altname=self.options.altname,
                ifname=self.options.ifname,
                access=access_of(self.options.access.over(network.access)),
            )
        )

    def undo(self, before: Declared, declared: Declared) -> Declared:
        """Remove the endpoint, unless it existed before the call."""
        if self.endpoint in before.endpoints:
            return declared
        return declared.without_endpoint(self.endpoint)


class Join(NamedTuple):
    """Join: makes an endpoint a member; one that is unknown is recorded."""

    network: str
    endpoint: str

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Make the endpoint a member.

        Raises:
            UnknownNetwork: the network is not known.
            RequestError: the endpoint is known with another network.
        """
        create = CreateEndpoint(self.network, self.endpoint, EndpointOptions())
        return with_phase(create.apply(declared, observed), self.endpoint, Phase.OFFERED)

    def undo(self, before: Declared, declared: Declared) -> Declared:
        """End the membership, unless it existed before the call.

        A repeated Join that fails must not end the membership of a running container.
        """
        known = before.endpoints.get(self.endpoint)
        if known is not None and known.is_member:
            return declared
        return _leave(declared, self.endpoint)


class Leave(NamedTuple):
    """Leave: ends a membership; the pair stays until the engine has moved its end back."""

    endpoint: str

    def apply(self, declared: Declared, _: Observed) -> Declared:
        """End the membership; an unknown endpoint is no error."""
        return _leave(declared, self.endpoint)

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave it ended: the engine does not repeat the call."""
        return declared


class DeleteEndpoint(NamedTuple):
    """DeleteEndpoint: removes an endpoint and retires its pair."""

    endpoint: str

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Remove the endpoint; an unknown one is no error.

        One that is unknown may have a pair all the same, if the state was lost while its
        container ran. The engine names it and has moved its end back by now; that and the
        tag are the evidence on which its pair is deleted.
        """
        if self.endpoint in declared.endpoints:
            return declared.without_endpoint(self.endpoint)
        pairs = unknown_pairs(declared, observed, self.endpoint)
        stray = next((link for link in pairs if not link.is_in_container), None)
        if stray is None:
            return declared
        names = {stray.name, filter_interface_of(stray.name)}
        return replace(declared, retired=declared.retired | names)

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave it removed: the engine does not repeat the call."""
        return declared


Removal = DeleteNetwork | Leave | DeleteEndpoint | Undo
"""Changes that only remove. The engine never repeats them, whatever the answer was."""


def endpoint_of(change: Change) -> tuple[str, str | None] | None:
    """Return the endpoint that a change is about, and its network if the change names it.

    None means that the change may be about more, or depends on more of the host.
    """
    if isinstance(change, CreateEndpoint) and change.options.altname is None:
        return change.endpoint, change.network
    if isinstance(change, Join):
        return change.endpoint, change.network
    if isinstance(change, Leave | DeleteEndpoint):
        return change.endpoint, None
    return None


def with_phase(declared: Declared, endpoint_id: str, phase: Phase) -> Declared:
    """Put an endpoint into a phase; an unknown one is no error."""
    endpoint = declared.endpoints.get(endpoint_id)
    if endpoint is None or endpoint.phase is phase:
        return declared
    return declared.with_endpoint(replace(endpoint, phase=phase))


def unknown_pairs(declared: Declared, observed: Observed, endpoint_id: str) -> Iterator[Link]:
    """Yield the host ends that may be an endpoint's by name and tag, and are in no intent."""
    recorded = declared.pair_names()
    for name in islice(host_ends(endpoint_id), _CANDIDATES):
        link = observed.links.get(name)
        if link is not None and link.is_pair and name not in recorded:
            yield link


def _leave(declared: Declared, endpoint_id: str) -> Declared:
    endpoint = declared.endpoints.get(endpoint_id)
    if endpoint is None or not endpoint.is_member:
        return declared
    return with_phase(declared, endpoint_id, Phase.LEFT)


def _listed(names: Iterable[str]) -> str:
    return ",".join(sorted(names)) or "none"


def _asked(bus: str, asked: Network | NetworkOptions) -> str:
    """Write which bus was asked for."""
    return bus if asked.auto_prefix is None else f"{asked.auto_prefix}(auto)"


def _require_same(known: Network, options: NetworkOptions) -> None:
    """Reject a network id that comes again with other options."""
    facts = (
        ("bus", _asked(known.asked_bus, known), _asked(options.bus, options)),
        ("peer prefix", repr(known.peer_prefix), repr(options.peer_prefix)),
        ("kind", known.kind, options.kind or known.kind),
        ("bridge", _listed(known.bridge), _listed(options.bridge)),
        ("access", known.access.words() or "all", options.access.words() or "all"),
        ("settings", known.settings.words() or "none", options.settings.words() or "none"),
    )
    differing = [f"{what} {had}, not {has}" for what, had, has in facts if had != has]
    if differing:
        raise RequestError(
            f"network {known.id} exists with {', '.join(differing)}", "remove it first"
        )
