"""The engine's calls about endpoints as changes of the declared state (``intent.changes``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from evercan.errors import RequestError, UnknownNetwork
from evercan.model.declared import Declared, Endpoint, Phase
from evercan.model.names import filter_interface_of, host_ends, pair_names
from evercan.model.observed import Link, Observed
from evercan.options.access import access_of
from evercan.options.altname import require_free
from evercan.options.endpoint import EndpointOptions
from evercan.values import NamedTuple, replace

_CANDIDATES = 16
"""Names under which an endpoint's host end is searched: all windows of its id, and more."""


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
