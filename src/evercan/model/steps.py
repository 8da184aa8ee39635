"""The words in which ``plan`` speaks to the kernel.

A step is a value: what to do, to which interface. Each knows the bus it
serves (empty where it serves none any more) and the endpoint, if it serves one
alone, so that a failure reaches the caller it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from evercan.controller import ControllerSettings
from evercan.model import Rule, Sandbox


@dataclass(frozen=True, slots=True)
class MakeBus:
    """Make a vcan of this name, tagged, and set it up."""

    bus: str

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"make bus interface {self.bus}"


@dataclass(frozen=True, slots=True)
class MakePair:
    """Make a vxcan pair on the host, tagged, with the host end up."""

    bus: str
    endpoint: str
    host_end: str
    container_end: str

    def __str__(self) -> str:
        return f"make interface pair {self.host_end} <-> {self.container_end}"


@dataclass(frozen=True, slots=True)
class MendPair:
    """Make a pair anew whose container end belongs into a running container."""

    bus: str
    endpoint: str
    host_end: str
    container_end: str
    sandbox: Sandbox
    altname: str | None = None

    def __str__(self) -> str:
        return f"put interface pair {self.host_end} <-> {self.sandbox.name} back into its container"


@dataclass(frozen=True, slots=True)
class SetUp:
    """Set an interface administratively up."""

    bus: str
    endpoint: str | None
    name: str

    def __str__(self) -> str:
        return f"set {self.name} up"


@dataclass(frozen=True, slots=True)
class ConfigureBus:
    """Set a controller, down if need be, tag it and set it up.

    Attributes:
        bus: the bus interface, as it is called on record.
        index: the controller's ifindex.
        name: its name.
        settings: what it is to be set to.
        former: how it was set, to be put back if the kernel refuses.
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
        return f"set {self.name} up with {self.settings.words()}"


@dataclass(frozen=True, slots=True)
class NameEnd:
    """Give a container end, while it is on the host, the name that people know it by."""

    bus: str
    endpoint: str
    index: int
    altname: str

    def __str__(self) -> str:
        return f"give the interface of endpoint {self.endpoint[:12]} the name {self.altname}"


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Delete an interface of ours; with a vxcan end goes its other end."""

    index: int
    name: str

    bus: ClassVar[str] = ""
    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"delete interface {self.name}"


@dataclass(frozen=True, slots=True)
class AddRules:
    """Lay these can-gw rules on a bus, in one batch."""

    bus: str
    rules: tuple[Rule, ...]

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"lay {len(self.rules)} rules on {self.bus}"


@dataclass(frozen=True, slots=True)
class DropRules:
    """Remove these can-gw rules, each once, in one batch."""

    bus: str
    rules: tuple[Rule, ...]

    endpoint: ClassVar[str | None] = None

    def __str__(self) -> str:
        return f"remove {len(self.rules)} rules from {self.bus}"


Step = (
    MakeBus
    | MakePair
    | MendPair
    | SetUp
    | ConfigureBus
    | NameEnd
    | DeleteLink
    | AddRules
    | DropRules
)


class Failure(NamedTuple):
    """A step that the kernel refused.

    Attributes:
        step: the step.
        code: the errno, positive.
        words: what the kernel said beyond the errno, if anything.
    """

    step: Step
    code: int
    words: str = ""
