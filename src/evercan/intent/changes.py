"""The engine's calls as values: how each changes the declared state, and how it is undone.

A change rejects a call by raising an error, and then nothing has changed. Changes are
idempotent, since the engine repeats its calls. Those about endpoints are in
``intent.endpoint_changes``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from evercan.errors import RequestError
from evercan.intent.endpoint_changes import CreateEndpoint, DeleteEndpoint, Join, Leave
from evercan.model.declared import Declared, Network
from evercan.model.observed import Observed
from evercan.options.bus import choose_bus, with_free_number
from evercan.options.network import NetworkOptions
from evercan.values import NamedTuple


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
