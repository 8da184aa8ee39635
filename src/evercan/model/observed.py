"""What the kernel shows at one moment: links and can-gw rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from evercan.model.access import FilterCount, Filters
from evercan.model.controller import Controller
from evercan.model.fault import FaultQueue
from evercan.model.names import FILTER_SUFFIX
from evercan.model.rule import TAG
from evercan.model.rule_counts import RuleCounts
from evercan.model.rule_table import RuleTable
from evercan.model.wire import WireCount, WireEntry, WireSeen
from evercan.values import NamedTuple, dataclass, field, replace

LINK_GROUP = TAG
"""``IFLA_GROUP`` of every interface that evercan creates: the tag that says "ours".

Releases before 0.2 set it on controllers that they had configured, too.
"""

HOST_GROUP = LINK_GROUP + 1
"""``IFLA_GROUP`` of a vcan that evercan has created in the place of one of the host's own.

It says whose the interface is, also if the state file is lost.
"""

FILTER_GROUP = LINK_GROUP + 2
"""``IFLA_GROUP`` of the filter interface of an endpoint with limits."""

WIRE_GROUP = LINK_GROUP + 3
"""``IFLA_GROUP`` of the wire of a virtual bus with a bitrate, and of its meter."""

FD_MTU = 72
"""``CANFD_MTU``: the MTU of every interface that evercan creates.

From kernel 7 on vcan and vxcan come up with the MTU of CAN XL, which can-gw does not forward
and with which the ``cansend`` of can-utils 2023.03 refuses to send FD frames.
"""


def clashing_name(host_end: str) -> str:
    """Name the end that the kernel has to rename on its way into a container.

    Used only while a pair is being repaired: by the container end on the host, and
    by one end of the placeholder pair in the container.
    """
    return f"{host_end}q"


def placeholder_name(host_end: str) -> str:
    """Name the placeholder pair's end on the host, which exists only during a repair."""
    return f"{host_end}r"


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
            namespace, None while it is on the host. Negative while that namespace is
            ending: the other end is inside, and the number means nothing.
        altnames: ``IFLA_ALT_IFNAME``.
        mtu: ``IFLA_MTU``: 16 carries classic frames, 72 also FD, more also CAN XL.
        controller: what it shows as a CAN controller (kind ``can``), else None.
        qdisc: the kind of its queue for frames that are sent (``IFLA_QDISC``).
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
    mtu: int = FD_MTU
    controller: Controller | None = None
    qdisc: str = field(default="", compare=False)

    @property
    def is_virtual(self) -> bool:
        """Whether it is of a kind that is created by software, not plugged in."""
        return self.kind in ("vcan", "vxcan")

    @property
    def is_ours(self) -> bool:
        """Whether evercan created it, by the tag and the kind: evercan repairs it."""
        groups = (LINK_GROUP, HOST_GROUP, FILTER_GROUP)
        return self.is_wire or (self.group in groups and self.is_virtual)

    @property
    def is_deletable(self) -> bool:
        """Whether evercan created it for its own networks, so that it may delete it."""
        return self.is_ours and self.group != HOST_GROUP

    @property
    def is_tagged_controller(self) -> bool:
        """Whether it is a controller that has the tag of a release before 0.2."""
        return self.group == LINK_GROUP and self.controller is not None

    @property
    def is_pair(self) -> bool:
        """Whether it is an end of a pair that evercan created."""
        return self.is_ours and self.kind == "vxcan"

    @property
    def is_filter_interface(self) -> bool:
        """Whether it is the vcan through which the frames of an endpoint with limits pass."""
        return self.group == FILTER_GROUP and self.kind == "vcan"

    @property
    def is_wire(self) -> bool:
        """Whether it is the wire of a virtual bus with a bitrate, or its meter."""
        return self.group == WIRE_GROUP and self.kind == "ifb"

    @property
    def is_of_endpoint(self) -> bool:
        """Whether evercan created it for an endpoint, not for a bus."""
        return self.is_pair or self.is_filter_interface

    @property
    def may_have_faults(self) -> bool:
        """Whether its queue may be one for faults, so that it is worth a look."""
        return self.is_can and self.qdisc == "prio"

    @property
    def delivers_before_queue(self) -> bool:
        """Whether programs on the host receive what is sent on it before it is in a queue."""
        return self.kind == "vcan"

    @property
    def is_in_container(self) -> bool:
        """Whether its other end is in another namespace."""
        return self.peer_nsid is not None

    @property
    def known_nsid(self) -> int | None:
        """The number of its other end's namespace, if requests may refer to it.

        ``peernet2id`` gives ``NETNSA_NSID_NOT_ASSIGNED`` (-1) for a namespace that is ending.
        """
        return None if self.peer_nsid is None or self.peer_nsid < 0 else self.peer_nsid


class Filtered(NamedTuple):
    """An interface whose classifiers matter.

    Attributes:
        ifindex: its number.
        ingress: the frames that arrive on it are classified: it is a host end. Otherwise
            those that are sent on it: it is a filter interface.
    """

    ifindex: int
    ingress: bool


def filtered_interfaces(links: Mapping[str, Link]) -> Iterator[Filtered]:
    """Yield the filter interfaces among links, and the host ends that they belong to."""
    for link in links.values():
        if link.is_filter_interface:
            yield Filtered(link.index, ingress=False)
            host_end = links.get(link.name.removesuffix(FILTER_SUFFIX))
            if host_end is not None and host_end.is_pair:
                yield Filtered(host_end.index, ingress=True)


class Location(NamedTuple):
    """Where a container end is.

    Attributes:
        nsid: the id of its network namespace, as the host's namespace numbers them.
        name: its name there.
    """

    nsid: int
    name: str


class Receivers(NamedTuple):
    """How many entries the receive lists of the host's namespace have.

    Attributes:
        entries: all of them, before the rules were read.
        rules: the can-gw rules that were read, each of which is one.
    """

    entries: int
    rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The host's CAN interfaces and rules at one moment.

    Attributes:
        links: by name.
        rules: a multiset: the kernel keeps a rule as often as it was added.
        counts: rules that have counted frames, if the counters were asked for.
        can_gw: the kernel has can-gw loaded.
        locations: by endpoint id, where container ends are, as far as that is certain
            (see ``tracking.namespaces``).
        ended: endpoints whose container's namespace has certainly ended.
        filters: the classifiers of each filter interface and its host end, by ifindex.
        filter_counts: what they have counted, by ifindex.
        fault_queues: the queues for faults, by ifindex of the interfaces that have one.
        wires: the wires of virtual buses, by ifindex.
        wire_counts: what they have counted, by ifindex.
        wire_entries: what makes arriving frames pass through wires, by ifindex of the
            interfaces that have it; read only where there is a wire.
        receivers: the receive lists; None if the kernel does not show them.
        bus_off_since: when each controller that is bus-off was first seen so, by ifindex and in
            seconds of the monotonic clock.
        at: when the observation began, in seconds of the monotonic clock.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    rules: RuleTable = field(default_factory=RuleTable)
    counts: RuleCounts = field(default_factory=RuleCounts)
    can_gw: bool = True
    locations: Mapping[str, Location] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    filters: Mapping[int, Filters] = field(default_factory=dict)
    filter_counts: Mapping[int, FilterCount] = field(default_factory=dict, compare=False)
    fault_queues: Mapping[int, FaultQueue] = field(default_factory=dict)
    wires: Mapping[int, WireSeen] = field(default_factory=dict)
    wire_counts: Mapping[int, WireCount] = field(default_factory=dict, compare=False)
    wire_entries: Mapping[int, WireEntry] = field(default_factory=dict)
    receivers: Receivers | None = field(default=None, compare=False)
    bus_off_since: Mapping[int, float] = field(default_factory=dict, compare=False)
    at: float = field(default=0.0, compare=False)

    def without_rules(self) -> Self:
        """Drop the rules, of which there are N² and which are needed only during a pass."""
        return replace(self, rules=RuleTable(), counts=RuleCounts())

    def find(self, name: str) -> Link | None:
        """Find a link as the kernel would: by name, then by altname."""
        link = self.links.get(name)
        if link is not None:
            return link
        return next((link for link in self.links.values() if name in link.altnames), None)

    def is_repair_unfinished(self, host_end: Link) -> bool:
        """Whether a pair was being repaired and its end never reached the container."""
        end = self.links.get(clashing_name(host_end.name))
        return end is not None and end.peer_index == host_end.index

    def names(self) -> set[str]:
        """Return every name that a new interface could collide with."""
        taken = set(self.links)
        for link in self.links.values():
            taken |= link.altnames
        return taken
