"""Problems: what keeps a bus or an endpoint from working, for machines and for people."""

from __future__ import annotations

from enum import StrEnum

from evercan.errors import EvercanError
from evercan.values import NamedTuple


class ProblemKind(StrEnum):
    """What is wrong, in one word for machines; ``docs/reference.md`` explains each."""

    MODULE_MISSING = "module-missing"
    CAN_GW_MISSING = "can-gw-missing"
    BUS_ABSENT = "bus-absent"
    BUS_DOWN = "bus-down"
    BUS_OFF = "bus-off"
    BUS_SETTINGS = "bus-settings"
    BUS_FOREIGN = "bus-foreign"
    BUS_IMPERSONATES = "bus-impersonates"
    BUS_NO_FD = "bus-no-fd"
    BUS_SWAPPED = "bus-swapped"
    BRIDGE_ABSENT = "bridge-absent"
    BRIDGE_DOWN = "bridge-down"
    BRIDGE_FOREIGN = "bridge-foreign"
    FOREIGN_RULES = "foreign-rules"
    PAIR_MISSING = "pair-missing"
    PAIR_FOREIGN = "pair-foreign"
    PAIR_REPLACED = "pair-replaced"
    END_DOWN = "end-down"
    FAULT_INJECTED = "fault-injected"
    FAULTS_BLOCKED = "faults-blocked"
    IFNAME_IGNORED = "ifname-ignored"
    DRIFT = "drift"
    REPAIRS_LIMITED = "repairs-limited"
    REFUSED = "refused"
    INTERNAL_ERROR = "internal-error"


class Problem(NamedTuple):
    """One thing that is wrong, what it concerns, and what a person can do.

    Attributes:
        kind: what is wrong, for machines.
        bus: the bus interface concerned; empty if it concerns all.
        text: what is wrong, without the remedy.
        endpoint: the endpoint id, when it concerns one endpoint alone.
        remedy: what to do about it.
    """

    kind: ProblemKind
    bus: str
    text: str
    endpoint: str | None = None
    remedy: str = ""

    @classmethod
    def of_error(
        cls, error: EvercanError, *, kind: ProblemKind = ProblemKind.REFUSED, bus: str = ""
    ) -> Problem:
        """Turn an error into the problem that it causes."""
        return cls(kind=kind, bus=bus, text=error.text, remedy=error.remedy)

    def __str__(self) -> str:
        """Write what is wrong and the remedy as one sentence."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text
