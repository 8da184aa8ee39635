"""The steps that a plan consists of: each one change of the kernel, as a value.

Each step knows the bus that it is for (empty for none) and the endpoint, if it is for
one endpoint alone, so that a failure is reported to the call that it concerns.
"""

from __future__ import annotations

from typing import ClassVar

from evercan.errors import number_of
from evercan.model.access import Filters
from evercan.model.controller import ControllerSettings
from evercan.model.fault import FaultQueue
from evercan.model.observed import Location
from evercan.model.rule_list import RuleList
from evercan.model.wire import Wire, WireEntry
from evercan.values import NamedTuple, dataclass


@dataclass(frozen=True, slots=True)
class MakeBus:
    """Create a vcan of this name, tagged, and bring it up.

    Attributes:
        for_host: it takes the place of one of the host's own, and gets the tag that says so.
    """

    bus: str
    for_host: bool = False

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"create bus interface {self.bus}"


@dataclass(frozen=True, slots=True)
class MakePair:
    """Create a vxcan pair on the host, tagged, with the host end up."""

    bus: str
    endpoint: str
    host_end: str
    container_end: str

    def __str__(self) -> str:
        return f"create interface pair {self.host_end} <-> {self.container_end}"


@dataclass(frozen=True, slots=True)
class RepairPair:
    """Create a pair again whose container end belongs in a running container."""

    bus: str
    endpoint: str
    host_end: str
    container_end: str
    location: Location
    altname: str | None = None

    def __str__(self) -> str:
        return f"restore interface pair {self.host_end} <-> {self.location.name} in its container"


@dataclass(frozen=True, slots=True)
class MakeFilterInterface:
    """Create the filter interface of an endpoint with limits: a vcan, tagged, up."""

    bus: str
    endpoint: str
    name: str

    def __str__(self) -> str:
        return f"create filter interface {self.name}"


@dataclass(frozen=True, slots=True)
class SetFilters:
    """Replace the classifiers of a host end, or of a filter interface, by these.

    Attributes:
        index: its ifindex.
        name: its name.
        ingress: as of ``Filtered``.
        filters: the classifiers.
    """

    bus: str
    endpoint: str
    index: int
    name: str
    ingress: bool
    filters: Filters

    def __str__(self) -> str:
        whose = "may send" if self.ingress else "receives"
        return f"set the filters on {self.name}: what endpoint {self.endpoint[:12]} {whose}"


@dataclass(frozen=True, slots=True)
class SetFaults:
    """Give an interface a queue that makes faults, change that queue, or remove it.

    Attributes:
        bus: the bus interface.
        endpoint: the endpoint that receives through the interface; None if it is the host's.
        index: its ifindex.
        name: its name.
        marker: the filter interface on which frames are marked for the bands; 0 if the queue
            itself classifies them.
        queue: the queue; None removes it.
        former: the queue of evercan's that it has; None if it has none.
    """

    bus: str
    endpoint: str | None
    index: int
    name: str
    marker: int
    queue: FaultQueue | None
    former: FaultQueue | None = None

    def __str__(self) -> str:
        if self.queue is None:
            return f"remove the faults from {self.name}"
        return f"set {number_of(len(self.queue.bands), 'fault')} on {self.name}"


@dataclass(frozen=True, slots=True)
class MakeWire:
    """Create the wire of a virtual bus and its meter, with all queues and classifiers.

    Attributes:
        bus: the bus interface.
        name: the name of the wire.
        meter: the name of its meter.
        wire: how fast it is.
        former: the ifindexes of a former wire and its meter, which are deleted first.
    """

    bus: str
    name: str
    meter: str
    wire: Wire
    former: tuple[int, ...] = ()

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"make the bus {self.bus} as slow as a wire of {self.wire.words()}"


@dataclass(frozen=True, slots=True)
class SetWireEntry:
    """Make frames that arrive on an interface pass through a wire, or end that.

    Attributes:
        bus: the bus interface.
        endpoint: the endpoint that sends on the interface; None if it is the host's.
        index: its ifindex.
        name: its name.
        entry: the classifier; None removes it.
    """

    bus: str
    endpoint: str | None
    index: int
    name: str
    entry: WireEntry | None

    def __str__(self) -> str:
        if self.entry is None:
            return f"let frames from {self.name} pass without delay"
        return f"let frames from {self.name} pass through the wire of {self.bus}"


@dataclass(frozen=True, slots=True)
class BringUp:
    """Set an interface administratively up."""

    bus: str
    endpoint: str | None
    name: str

    def __str__(self) -> str:
        return f"bring {self.name} up"


@dataclass(frozen=True, slots=True)
class BringDown:
    """Set the host end of an endpoint that has left down, so that no frame reaches it."""

    bus: str
    endpoint: str
    index: int
    name: str

    def __str__(self) -> str:
        return f"set {self.name} down"


@dataclass(frozen=True, slots=True)
class SetMtu:
    """Set the MTU of an interface that evercan created, which is set down for it."""

    bus: str
    endpoint: str | None
    index: int
    name: str
    mtu: int

    def __str__(self) -> str:
        return f"set the MTU of {self.name} to {self.mtu}"


@dataclass(frozen=True, slots=True)
class ConfigureBus:
    """Configure a controller, which is set down for it if necessary, and bring it up.

    Attributes:
        bus: the bus interface, by the name in the intent.
        index: the controller's ifindex.
        name: its name.
        settings: what it is to be set to.
        former: how it was set; restored if the kernel rejects ``settings``.
        was_up: it is up and has to be set down first.
    """

    bus: str
    index: int
    name: str
    settings: ControllerSettings
    former: ControllerSettings
    was_up: bool

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"configure {self.name} with {self.settings.words()} and bring it up"


@dataclass(frozen=True, slots=True)
class RestartBus:
    """Set a controller that is bus-off down and up, which ends that with every driver."""

    bus: str
    index: int
    name: str

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"restart {self.name}, which is bus-off"


@dataclass(frozen=True, slots=True)
class ClearTag:
    """Set ``IFLA_GROUP`` of a controller back to 0; a release before 0.2 had set it."""

    index: int
    name: str

    bus: ClassVar[str] = ""
    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"clear the group of {self.name} that an older release has set"


@dataclass(frozen=True, slots=True)
class NameEnd:
    """Give a container end, while it is on the host, its ``vxcan.name``."""

    bus: str
    endpoint: str
    index: int
    altname: str

    def __str__(self) -> str:
        return f"give the interface of endpoint {self.endpoint[:12]} the name {self.altname}"


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Delete an interface that evercan created; of a vxcan pair both ends go."""

    index: int
    name: str

    bus: ClassVar[str] = ""
    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"delete interface {self.name}"


@dataclass(frozen=True, slots=True)
class AddRules:
    """Add these can-gw rules to a bus, in one batch."""

    bus: str
    rules: RuleList

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"add {number_of(len(self.rules), 'rule')} to {self.bus}"


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Remove these can-gw rules, each of them one time, in one batch.

    Without a bus: rules between interfaces of the host that no bus needs any more.
    """

    bus: str
    rules: RuleList

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        whence = f"from {self.bus}" if self.bus else "between interfaces of the host"
        return f"remove {number_of(len(self.rules), 'rule')} {whence}"


Step = (
    MakeBus
    | MakePair
    | RepairPair
    | MakeFilterInterface
    | SetFilters
    | SetFaults
    | MakeWire
    | SetWireEntry
    | BringUp
    | BringDown
    | SetMtu
    | ConfigureBus
    | RestartBus
    | ClearTag
    | NameEnd
    | DeleteLink
    | AddRules
    | RemoveRules
)


class Failure(NamedTuple):
    """A step that the kernel did not take.

    Attributes:
        step: the step.
        code: the errno, positive.
        words: the kernel's own message, if it gave one.
    """

    step: Step
    code: int
    words: str = ""
