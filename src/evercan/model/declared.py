"""What is wanted and what is there: frozen values, no I/O.

*Declared* is the intent that evercan keeps on disk; *Observed* is what the
kernel shows at one moment. ``plan`` compares the two.

Ids: a network or endpoint id is the engine's, 64 hex digits, and is never
parsed. Interface names are at most 15 bytes (``IFNAMSIZ`` of ``linux/if.h``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import repeat
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from evercan.controller import NO_SETTINGS, Controller, ControllerSettings, Timing

LINK_GROUP = 0x0CA0_E7E2
"""``IFLA_GROUP`` of every interface that evercan makes: the tag that says "ours".

On a controller it says that evercan has set it up, and no more than that.
"""

NONE: Mapping[Any, Any] = MappingProxyType({})
"""Nothing by any key, as a default that nobody can write to."""

MAX_NAME = 15
"""Bytes in an interface name: ``IFNAMSIZ`` without the closing NUL."""


def clashing_name(host_end: str) -> str:
    """Name the end that the kernel has to rename on its way into a container.

    Borne only while a pair is being mended: by the container end on the host, and
    by one end of the placeholder pair in the container.
    """
    return f"{host_end}q"


def placeholder_name(host_end: str) -> str:
    """Name the placeholder pair's end on the host, there only while a pair is being mended."""
    return f"{host_end}r"


class BusKind(StrEnum):
    """What a bus interface is; recorded at creation and never guessed again."""

    VIRTUAL = "virtual"
    PHYSICAL = "physical"


class Phase(StrEnum):
    """Where an endpoint is in its life, as the engine's calls and the kernel tell it."""

    CREATED = "created"
    """CreateEndpoint was answered: the pair is wanted on the host, no rules yet."""
    OFFERED = "offered"
    """Join was answered: a member; the engine is about to take the container end."""
    JOINED = "joined"
    """A member whose container end has been seen in its sandbox."""
    LEFT = "left"
    """Leave was heard: no member; the pair stays until the engine has handed it back."""
    DORMANT = "dormant"
    """On record only: joined in another boot or life, wanted again once it joins."""


MEMBER_PHASES = frozenset({Phase.OFFERED, Phase.JOINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A Docker network: one view of a CAN bus.

    Attributes:
        id: the engine's network id.
        bus: the bus interface on the host, for example ``vcan0``.
        kind: what the bus interface was when the network was created.
        owns_bus: evercan made the bus interface, so it may remove it.
        peer_prefix: prefix of the name inside containers (``vxcan.peer``).
        settings: what the controller is to be set to, if the bus is one.
        granted: what the kernel made of the bitrates in ``settings``, as long as the
            controller is up that evercan has set so.
    """

    id: str
    bus: str
    kind: BusKind = BusKind.VIRTUAL
    owns_bus: bool = False
    peer_prefix: str = "vcanp"
    settings: ControllerSettings = NO_SETTINGS
    granted: Timing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A container's place on a network: one vxcan pair.

    Attributes:
        id: the engine's endpoint id.
        network: the id of its network.
        host_end: the end that stays on the host and carries the rules.
        container_end: the other end's name while it is on the host.
        peer_prefix: prefix of the container end's name inside the container.
        phase: where it is in its life.
        altname: the container end's second name, if it has one (``vxcan.name``).
    """

    id: str
    network: str
    host_end: str
    container_end: str
    peer_prefix: str
    phase: Phase = Phase.CREATED
    altname: str | None = None

    @property
    def is_member(self) -> bool:
        """Whether frames are wanted to reach it."""
        return self.phase in MEMBER_PHASES


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The whole intent, as it is on disk.

    Attributes:
        boot: the kernel's boot id in which the endpoints' phases were true.
        networks: by network id.
        endpoints: by endpoint id.
        retired: names of interfaces that evercan made and no longer wants; only
            what is named here (and carries the tag) is ever deleted.
    """

    boot: str = ""
    networks: Mapping[str, Network] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()

    def with_network(self, network: Network) -> Self:
        """Add or replace a network; its bus is wanted from now on."""
        return replace(
            self,
            networks={**self.networks, network.id: network},
            retired=self.retired - {network.bus},
        )

    def with_endpoint(self, endpoint: Endpoint) -> Self:
        """Add or replace an endpoint; unless dormant, its pair is wanted from now on."""
        retired = self.retired
        if endpoint.phase is Phase.DORMANT:
            retired |= {endpoint.host_end}
        else:
            retired -= {endpoint.host_end}
        return replace(self, endpoints={**self.endpoints, endpoint.id: endpoint}, retired=retired)

    def without_endpoint(self, endpoint_id: str) -> Self:
        """Forget an endpoint and retire its pair; the unknown is no error."""
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint is None:
            return self
        rest = {key: value for key, value in self.endpoints.items() if key != endpoint_id}
        return replace(self, endpoints=rest, retired=self.retired | {endpoint.host_end})

    def without_network(self, network_id: str) -> Self:
        """Forget a network and its endpoints; retire its bus if it was ours and is unused."""
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
        return replace(result, networks=rest, retired=retired)

    def endpoints_of(self, network_id: str) -> Iterator[Endpoint]:
        """Yield the endpoints of one network, in the order of their creation."""
        return (each for each in self.endpoints.values() if each.network == network_id)

    def pair_names(self) -> set[str]:
        """Return the names of all pairs' ends, as they are on the host."""
        endpoints = self.endpoints.values()
        return {name for each in endpoints for name in (each.host_end, each.container_end)}

    def networks_by_bus(self) -> dict[str, list[Network]]:
        """Group the networks by bus interface: all on one interface are one bus."""
        buses: dict[str, list[Network]] = {}
        for network in self.networks.values():
            buses.setdefault(network.bus, []).append(network)
        return buses

    def network_that_sets(self, bus: str) -> Network | None:
        """Find the network whose settings hold for a bus; others have the same or none."""
        return next((n for n in self.networks.values() if n.bus == bus and n.settings), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface of the host, as ``RTM_GETLINK`` shows it.

    Attributes:
        index: ifindex.
        name: ``IFLA_IFNAME``.
        kind: ``IFLA_INFO_KIND``; empty when the driver gives none.
        is_can: its hardware type is ``ARPHRD_CAN``.
        up: ``IFF_UP``, the administrative state.
        running: carrier: for a vxcan end, both ends are up.
        group: ``IFLA_GROUP``.
        peer_index: ``IFLA_LINK``: for a vxcan end, the other end's ifindex.
        peer_nsid: ``IFLA_LINK_NETNSID``: the id of the other end's network
            namespace, None while it is on the host.
        altnames: ``IFLA_ALT_IFNAME``.
        controller: what it shows as a CAN controller (kind ``can``), else None.
    """

    index: int
    name: str
    kind: str = ""
    is_can: bool = True
    up: bool = False
    running: bool = False
    group: int = 0
    peer_index: int | None = None
    peer_nsid: int | None = None
    altnames: frozenset[str] = frozenset()
    controller: Controller | None = None

    @property
    def is_virtual(self) -> bool:
        """Whether it is of a kind that is made, not plugged in."""
        return self.kind in ("vcan", "vxcan")

    @property
    def is_ours(self) -> bool:
        """Whether it carries evercan's tag on a kind that evercan makes."""
        return self.group == LINK_GROUP and self.is_virtual

    @property
    def is_set_up_by_us(self) -> bool:
        """Whether it is a controller that evercan has set up since it appeared."""
        return self.group == LINK_GROUP and self.controller is not None

    @property
    def is_pair(self) -> bool:
        """Whether it is an end of a pair that evercan made."""
        return self.is_ours and self.kind == "vxcan"

    @property
    def is_in_container(self) -> bool:
        """Whether its other end is in a namespace of its own."""
        return self.peer_nsid is not None


class Rule(NamedTuple):
    """A can-gw job, compared as the kernel compares it (``net/can/gw.c``, cgw_remove_job).

    Attributes:
        source: ifindex the frames come from.
        target: ifindex they are sent to.
        flags: ``CGW_FLAGS_*`` of ``linux/can/gw.h``.
        hops: ``CGW_LIM_HOPS``; 0 when not limited.
        extras: the message's other attributes, encoded, in the kernel's order:
            filters and modifications of somebody else's making.
    """

    source: int
    target: int
    flags: int
    hops: int = 1
    extras: bytes = b""

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, int, bytes]]) -> Iterator[Self]:
        """Make rules of rows of all their attributes, without a call of Python for each."""
        return map(tuple.__new__, repeat(cls), rows)


class RuleCount(NamedTuple):
    """The counters of a can-gw job, in frames since it was made."""

    handled: int = 0
    dropped: int = 0
    deleted: int = 0

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]]) -> Iterator[Self]:
        """Make counts of rows, as ``Rule.of`` does."""
        return map(tuple.__new__, repeat(cls), rows)


Counts = Sequence[tuple[Rule, RuleCount]]
"""What rules have counted, each as often as it is there."""


class Sandbox(NamedTuple):
    """Where a container's end is.

    Attributes:
        nsid: the id of its network namespace, as the host's namespace counts them.
        name: what it is called there.
    """

    nsid: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The host's CAN plumbing at one moment.

    Attributes:
        links: by name.
        rules: a multiset: the kernel keeps a rule as often as it was added.
        counts: rules that have counted something, as often as each is there, if the look
            was a close one.
        can_gw: the kernel has can-gw loaded.
        sandboxes: by endpoint id, where container ends are, as far as that is
            certain (see ``sandboxes``).
        ended: endpoints whose sandbox is certain to have ended.
        at: when the look began, in seconds of the monotonic clock.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    rules: Counter[Rule] = field(default_factory=Counter)
    counts: Counts = ()
    can_gw: bool = True
    sandboxes: Mapping[str, Sandbox] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    at: float = field(default=0.0, compare=False)

    def without_rules(self) -> Self:
        """Forget the rules, which nobody needs after a look and which are 5 MB for 100 members."""
        return replace(self, rules=Counter(), counts=())

    def find(self, name: str) -> Link | None:
        """Find a link as the kernel would: by name, then by altname."""
        link = self.links.get(name)
        if link is not None:
            return link
        return next((each for each in self.links.values() if name in each.altnames), None)

    def is_half_mended(self, host_end: Link) -> bool:
        """Whether a pair was to be put back into a container and its end never got there."""
        end = self.links.get(clashing_name(host_end.name))
        return end is not None and end.peer_index == host_end.index

    def names(self) -> set[str]:
        """Return every name that a new interface could collide with."""
        taken = set(self.links)
        for link in self.links.values():
            taken |= link.altnames
        return taken
