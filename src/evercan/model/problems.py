"""What keeps a bus or an endpoint from being whole, in a machine's word and a person's."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Trouble(StrEnum):
    """What no step can, or may, mend."""

    MODULE_MISSING = "module-missing"
    BUS_ABSENT = "bus-absent"
    BUS_DOWN = "bus-down"
    BUS_OFF = "bus-off"
    BUS_SETTINGS = "bus-settings"
    BUS_FOREIGN = "bus-foreign"
    PAIR_MISSING = "pair-missing"
    PAIR_FOREIGN = "pair-foreign"
    DRIFT = "drift"
    REFUSED = "refused"


class Problem(NamedTuple):
    """A trouble, whom it concerns, and what a person can do.

    Attributes:
        kind: what it is, for machines.
        bus: the bus interface concerned.
        text: what is wrong, and the remedy.
        endpoint: the endpoint id, when it concerns one alone.
    """

    kind: Trouble
    bus: str
    text: str
    endpoint: str | None = None
