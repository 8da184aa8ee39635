"""What users asked for, as it is kept on disk: networks and their endpoints.

A network or endpoint id is the engine's, 64 hex digits, and is never parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from evercan.model.access import NOTHING_ASKED, Access, AskedAccess
from evercan.model.controller import NO_SETTINGS, ControllerSettings
from evercan.model.fault import Fault
from evercan.model.names import filter_interface_of, wire_names
from evercan.model.rule import Rule
from evercan.model.wire import Wire, wire_of
from evercan.values import NamedTuple, dataclass, field, replace

NONE: Mapping[Any, Any] = MappingProxyType({})
"""An empty mapping that can serve as a default, since nobody can write to it."""


class BusKind(StrEnum):
    """What a bus interface is; recorded when the network is created, and never guessed again."""

    VIRTUAL = "virtual"
    PHYSICAL = "physical"


class Phase(StrEnum):
    """Where an endpoint is in its life, by the engine's calls and by what the kernel shows."""

    CREATED = "created"
    """CreateEndpoint was answered: the pair is wanted on the host, without rules so far."""
    OFFERED = "offered"
    """Join was answered: a member; the engine is about to move the container end."""
    JOINED = "joined"
    """A member whose container end was observed in a container's namespace."""
    LEFT = "left"
    """Leave was received: not a member; the pair stays until the engine has moved its end back."""
    DORMANT = "dormant"
    """Not running: it joined in another boot or process, and is wanted again when it joins."""


MEMBER_PHASES = frozenset({Phase.OFFERED, Phase.JOINED})
"""Phases in which frames are wanted to reach an endpoint."""

PAIR_PHASES = frozenset({Phase.CREATED, *MEMBER_PHASES})
"""Phases in which an endpoint's pair is wanted, so that a missing one is created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A Docker network, which is a CAN bus.

    Attributes:
        id: the engine's network id.
        bus: the bus interface on the host, for example ``vcan0``.
        kind: what the bus interface was when the network was created.
        alias: the altname by which the user has named the bus interface, if it was one.
            ``bus`` is then the name of the interface that has it now.
        auto_prefix: ``vxcan.dev``, if evercan has chosen the bus's number
            (``vxcan.id=auto``).
        link_kind: ``IFLA_INFO_KIND`` of a virtual bus interface when the network was
            created. evercan creates only a ``vcan`` again that is missing.
        owns_bus: evercan created the bus interface for its networks, so it may delete it.
            One that existed before, the host's own, is created again but never deleted.
        peer_prefix: prefix of the name inside containers (``vxcan.peer``).
        settings: what the controller is to be set to, if the bus is a controller; how fast
            the bus is, if it is virtual.
        bridge: further interfaces of the host that are members of the bus, by the names
            that the user gave (``vxcan.bridge``).
        access: what is asked for as the default of its members.
    """

    id: str
    bus: str
    kind: BusKind = BusKind.VIRTUAL
    alias: str | None = None
    auto_prefix: str | None = None
    link_kind: str = "vcan"
    owns_bus: bool = False
    peer_prefix: str = "vcanp"
    settings: ControllerSettings = NO_SETTINGS
    bridge: tuple[str, ...] = ()
    access: AskedAccess = NOTHING_ASKED

    @property
    def wire(self) -> Wire | None:
        """How fast a virtual bus is; None if it takes no time."""
        return wire_of(self.settings) if self.kind is BusKind.VIRTUAL else None

    @property
    def asked_bus(self) -> str:
        """The name by which the user asked for the bus interface."""
        return self.alias or self.bus


class Configured(NamedTuple):
    """What evercan has configured a controller with.

    Attributes:
        asked: the settings of the network.
        made: the settings that the kernel made of them; None until they were observed.
    """

    asked: ControllerSettings
    made: ControllerSettings | None = None

    def made_of(self, asked: ControllerSettings) -> ControllerSettings | None:
        """Return what the kernel made of settings, if it was asked for these."""
        return self.made if self.asked == asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A container's place on a network: one vxcan pair.

    Attributes:
        id: the engine's endpoint id.
        network: the id of its network.
        host_end: the end that stays on the host and that the rules refer to.
        container_end: the other end's name while it is on the host.
        peer_prefix: prefix of the container end's name inside the container.
        phase: where it is in its life.
        altname: the container end's second name, if it has one (``vxcan.name``).
        ifname: its whole name inside the container, if the user chose it
            (``com.docker.network.endpoint.ifname``).
        access: what it may send and receive; None without limits.
    """

    id: str
    network: str
    host_end: str
    container_end: str
    peer_prefix: str
    phase: Phase = Phase.CREATED
    altname: str | None = None
    ifname: str | None = None
    access: Access | None = None

    @property
    def filter_interface(self) -> str | None:
        """The vcan through which its frames pass, if it has limits.

        It stands in the rules in place of the host end, which then has none: so nothing
        passes if the filters between the two are gone.
        """
        return None if self.access is None else filter_interface_of(self.host_end)

    @property
    def rule_end(self) -> str:
        """The interface that the rules refer to."""
        return self.filter_interface or self.host_end

    @property
    def host_interfaces(self) -> tuple[str, ...]:
        """What it has on the host for as long as its container runs."""
        return tuple(dict.fromkeys((self.host_end, self.rule_end)))

    @property
    def is_member(self) -> bool:
        """Whether frames are wanted to reach it."""
        return self.phase in MEMBER_PHASES

    @property
    def has_left(self) -> bool:
        """Whether it was a member, and its pair is about to be deleted."""
        return self.phase is Phase.LEFT

    @property
    def wants_pair(self) -> bool:
        """Whether its pair is created if it is missing."""
        return self.phase in PAIR_PHASES


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Everything that is wanted, as it is on disk: the intent.

    Attributes:
        boot: the kernel's boot id in which ``endpoints`` and ``configured`` were true.
        networks: by network id.
        endpoints: by endpoint id.
        retired: names of interfaces that evercan created and no longer wants; only an
            interface that is named here and has evercan's tag is ever deleted.
        configured: the controllers that evercan has configured, by ifindex. A controller
            that is re-plugged has another ifindex.
        host_rules: the rules between two interfaces of the host that evercan has added, or
            was about to add. They have evercan's mark; the list says which of the marked
            rules are to go once no bus needs them.
        faults: the faults that users have set in this boot, in that order.
        fault_queues: the ifindexes of the interfaces to which evercan has given a queue for
            faults, or was about to.
    """

    boot: str = ""
    networks: Mapping[str, Network] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    configured: Mapping[int, Configured] = field(default_factory=dict)
    host_rules: frozenset[Rule] = frozenset()
    faults: tuple[Fault, ...] = ()
    fault_queues: frozenset[int] = frozenset()

    def with_network(self, network: Network) -> Self:
        """Add or replace a network; its bus is wanted from now on."""
        wanted = {network.bus}
        if network.wire is not None:
            wanted.update(wire_names(network.bus))
        return replace(
            self,
            networks={**self.networks, network.id: network},
            retired=self.retired - wanted,
        )

    def with_endpoint(self, endpoint: Endpoint) -> Self:
        """Add or replace an endpoint; its pair is wanted from now on unless it is dormant."""
        retired = self.retired
        if endpoint.phase is Phase.DORMANT:
            retired = retired.union(endpoint.host_interfaces)
        else:
            retired = retired.difference(endpoint.host_interfaces)
        return replace(self, endpoints={**self.endpoints, endpoint.id: endpoint}, retired=retired)

    def without_endpoint(self, endpoint_id: str) -> Self:
        """Remove an endpoint with the faults that name it, and retire its pair.

        An unknown id is no error.
        """
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint is None:
            return self
        rest = {key: value for key, value in self.endpoints.items() if key != endpoint_id}
        return replace(
            self,
            endpoints=rest,
            retired=self.retired.union(endpoint.host_interfaces),
            faults=tuple(
                fault for fault in self.faults if endpoint_id not in (fault.source, fault.target)
            ),
        )

    def without_network(self, network_id: str) -> Self:
        """Remove a network, its endpoints and faults; retire its bus if it is ours and unused.

        An unknown id is no error.
        """
        network = self.networks.get(network_id)
        if network is None:
            return self
        result = self
        for endpoint in self.endpoints_of(network_id):
            result = result.without_endpoint(endpoint.id)
        rest = {key: value for key, value in result.networks.items() if key != network_id}
        retired = result.retired
        if network.owns_bus and all(other.bus != network.bus for other in rest.values()):
            retired |= {network.bus}
        if network.wire is not None and all(
            other.bus != network.bus or other.wire is None for other in rest.values()
        ):
            retired = retired.union(wire_names(network.bus))
        faults = tuple(fault for fault in result.faults if fault.network != network_id)
        return replace(result, networks=rest, retired=retired, faults=faults)

    def endpoints_of(self, network_id: str) -> Iterator[Endpoint]:
        """Yield the endpoints of one network, in the order of their creation."""
        return (endpoint for endpoint in self.endpoints.values() if endpoint.network == network_id)

    def pair_names(self) -> set[str]:
        """Return the names of all pairs' ends and filter interfaces, as they are on the host."""
        return {
            name
            for endpoint in self.endpoints.values()
            for name in (*endpoint.host_interfaces, endpoint.container_end)
        }

    def networks_by_bus(self) -> dict[str, list[Network]]:
        """Group the networks by bus interface: all networks on one interface are one bus."""
        buses: dict[str, list[Network]] = {}
        for network in self.networks.values():
            buses.setdefault(network.bus, []).append(network)
        return buses

    def bridged(self) -> dict[str, tuple[str, ...]]:
        """Return by bus the further interfaces of the host that its networks ask for."""
        return {
            bus: tuple(dict.fromkeys(name for network in networks for name in network.bridge))
            for bus, networks in self.networks_by_bus().items()
        }

    def host_interfaces(self) -> set[str]:
        """Return the names of all bus interfaces and bridged interfaces."""
        bridged = self.bridged()
        return set(bridged).union(*bridged.values())

    def network_that_sets(self, bus: str) -> Network | None:
        """Find the network whose settings apply to a bus; others have the same, fewer or none."""
        setters = [n for n in self.networks.values() if n.bus == bus and n.settings]
        return max(setters, key=lambda network: len(list(network.settings.given())), default=None)

    def wires(self) -> dict[str, Wire]:
        """Return how fast each virtual bus is that takes time, by bus interface."""
        slow = dict.fromkeys(
            network.bus for network in self.networks.values() if network.wire is not None
        )
        return {bus: wire for bus in slow if (wire := self.wire_of(bus)) is not None}

    def wire_of(self, bus: str) -> Wire | None:
        """Return how fast a virtual bus is; None if it takes no time."""
        setter = self.network_that_sets(bus)
        return None if setter is None else setter.wire
