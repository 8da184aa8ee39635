"""What ``evercan adopt`` claims, and what was done about each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from evercan.model.declared import NONE
from evercan.values import NamedTuple


class Outcome(StrEnum):
    """What became of a network, an endpoint or a pair."""

    ADOPTED = "adopted"
    """It is in the state now."""
    KNOWN = "known"
    """It was in the state before."""
    RESTART = "restart"
    """Its interface pair does not exist: its container must be restarted."""
    REFUSED = "refused"
    """It cannot be taken into the state."""
    REPORTED = "reported"
    """A stray, which is kept."""
    FORGOTTEN = "forgotten"
    """A stray, which was removed."""
    IN_USE = "in-use"
    """A stray that is kept because a container has a pair of it."""


class EndpointClaim(NamedTuple):
    """An endpoint of a running container, as the engine lists it.

    Attributes:
        id: the engine's endpoint id.
        options: the driver options that it was connected with.
    """

    id: str
    options: Mapping[str, object] = NONE


class NetworkClaim(NamedTuple):
    """A network as the engine lists it.

    Attributes:
        id: the engine's network id.
        options: the ``-o`` map that it was created with.
        endpoints: those of running containers.
    """

    id: str
    options: Mapping[str, object] = NONE
    endpoints: Sequence[EndpointClaim] = ()


class Finding(NamedTuple):
    """What was done about one network, endpoint, stray or pair.

    Attributes:
        id: the engine's id.
        outcome: for machines.
        interface: the bus interface or the host end, empty if there is none.
        text: what is wrong with it; empty if nothing is.
        remedy: what to do about that.
    """

    id: str
    outcome: Outcome
    interface: str = ""
    text: str = ""
    remedy: str = ""


class Adoption(NamedTuple):
    """What was done about everything that was claimed.

    Attributes:
        networks: each with its endpoints, in the order of the claims.
        strays: networks in the state that were not claimed.
        pairs: interface pairs of evercan's that are in no state, by their host ends.
        rules: rules of evercan's between two interfaces of the host that no bus of the state
            has, by the two interfaces.
    """

    networks: tuple[tuple[Finding, tuple[Finding, ...]], ...] = ()
    strays: tuple[Finding, ...] = ()
    pairs: tuple[Finding, ...] = ()
    rules: tuple[Finding, ...] = ()
