"""Carries out an adoption: the claims into the record, and what is not well with them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from evercan.adoption import Adoption, NetworkClaim, adopt
from evercan.log import about
from evercan.model import Declared, Observed
from evercan.turns import Turns

_log = logging.getLogger(__name__)


async def take_in(
    turns: Turns, claims: Sequence[NetworkClaim], *, prune: Collection[str]
) -> tuple[Adoption, Mapping[str, list[str]]]:
    """Take into the record what the engine lists of networks and running containers.

    Args:
        turns: the way to the record.
        claims: what the engine lists.
        prune: what to forget of the strays that an earlier answer named.

    Returns:
        What was done, and by network or endpoint id what is not well with it.
    """
    done = Adoption()

    def record(declared: Declared, observed: Observed) -> Declared:
        nonlocal done
        after, done = adopt(declared, observed, claims, prune=prune)
        return after

    await turns.change(record)
    state = turns.state
    troubles: dict[str, list[str]] = {}
    for network, members in done.networks:
        shared = [each.text for each in state.troubles(network.interface) if each.bus]
        troubles[network.id] = list(dict.fromkeys(shared))
        for each in members:
            own = [one.text for one in state.problems if one.endpoint == each.id]
            troubles[each.id] = list(dict.fromkeys(own))
        _log.info(
            "Network %s %s on %s with %d endpoints",
            network.id[:12],
            network.outcome,
            network.interface or "no bus",
            len(members),
            extra=about(network=network.id, interface=network.interface),
        )
    for stray in done.strays:
        _log.info(
            "Network %s is not the engine's: %s",
            stray.id[:12],
            stray.outcome,
            extra=about(network=stray.id, interface=stray.interface),
        )
    for pair in done.pairs:
        _log.info(
            "Interface pair %s is on no record and in no container: %s",
            pair.interface,
            pair.outcome,
            extra=about(interface=pair.interface),
        )
    return done, troubles
