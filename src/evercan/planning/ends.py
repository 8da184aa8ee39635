"""What an endpoint's interfaces on the host need, its host end and its filter interface; pure."""

from __future__ import annotations

from collections.abc import Iterator

from evercan.model.declared import Endpoint
from evercan.model.observed import FD_MTU, Link
from evercan.model.problems import Problem, ProblemKind
from evercan.model.steps import BringUp, SetMtu, Step


def plan_end(bus: str, endpoint: Endpoint, link: Link) -> Iterator[Step]:
    """Plan that an interface of an endpoint carries FD frames and is up."""
    if link.mtu != FD_MTU:
        yield SetMtu(bus, endpoint.id, link.index, link.name, FD_MTU)
    elif not link.up:
        yield BringUp(bus, endpoint.id, link.name)


def foreign_end(bus: str, endpoint: Endpoint, link: Link, what: str) -> Problem:
    """Return the problem that an interface is not evercan's and has the name of one.

    Args:
        bus: the bus interface.
        endpoint: the endpoint that needs the name.
        link: the interface.
        what: what the endpoint needs the name for.
    """
    return Problem(
        kind=ProblemKind.PAIR_FOREIGN,
        bus=bus,
        endpoint=endpoint.id,
        text=f"the host's interface {link.name} has the name of an endpoint's {what} "
        "and is not evercan's",
        remedy="rename or remove it",
    )
