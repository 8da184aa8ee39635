"""Serves ``POST /adopt``: its request, the adoption, and its answer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from evercan.errors import RequestError, shown
from evercan.intent.adoption import Adopt, adopt
from evercan.intent.findings import Adoption, EndpointClaim, Finding, NetworkClaim
from evercan.libnetwork.requests import engine_id, object_field
from evercan.libnetwork.transaction import raise_error
from evercan.log.writer import about
from evercan.model.state import State
from evercan.reconcile.queue import PassQueue
from evercan.values import NamedTuple

_log = logging.getLogger(__name__)


class AdoptRequest(NamedTuple):
    """``POST /adopt``: what the engine lists, read by a person's command on the host.

    Attributes:
        claims: every network that the engine has of this driver.
        prune: strays of an earlier answer to forget, if they still are strays: network ids,
            host ends of pairs, and interfaces between which there are rules.
    """

    claims: tuple[NetworkClaim, ...]
    prune: frozenset[str]

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> AdoptRequest:
        """Raise RequestError naming the field that is wrong."""
        # A missing list must not be taken for an engine without networks.
        if fields.get("Networks") is None:
            raise RequestError("field Networks is missing", "give the engine's networks as a list")
        prune = fields.get("Prune") or []
        if not isinstance(prune, list) or not all(isinstance(name, str) for name in prune):
            raise RequestError(
                f"field Prune={shown(prune)} is not a list of texts",
                "give the NetworkIDs, HostEnds and Interfaces of strays that an earlier answer has "
                "named",
            )
        claims = [
            NetworkClaim(
                id=engine_id(network, "NetworkID", where),
                options=object_field(network, "Options", where),
                endpoints=tuple(
                    EndpointClaim(
                        id=engine_id(endpoint, "EndpointID", inside),
                        options=object_field(endpoint, "Options", inside),
                    )
                    for endpoint, inside in object_list(
                        {"Endpoints": [], **_given(network)}, "Endpoints", where
                    )
                ),
            )
            for network, where in object_list(fields, "Networks")
        ]
        _require_unique("NetworkID", [claim.id for claim in claims])
        _require_unique(
            "EndpointID", [endpoint.id for claim in claims for endpoint in claim.endpoints]
        )
        return cls(tuple(claims), frozenset(prune))


def _given(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what is null."""
    return {key: value for key, value in fields.items() if value is not None}


def _require_unique(name: str, ids: list[str]) -> None:
    for id_, times in Counter(ids).items():
        if times > 1:
            raise RequestError(f"field {name}={shown(id_)} is given {times} times", "give it once")


async def run_adoption(
    queue: PassQueue, claims: Sequence[NetworkClaim], *, prune: Collection[str]
) -> tuple[Adoption, Mapping[str, list[str]]]:
    """Take the networks and running containers that the engine lists into the state.

    Args:
        queue: runs reconcile passes.
        claims: what the engine lists.
        prune: which strays to remove of those that an earlier answer has named.

    Returns:
        What was done, and by network or endpoint id what is wrong with it.
    """
    outcome = await queue.run(Adopt(claims, prune))
    raise_error(outcome)
    done = Adoption()
    if outcome.before is not None:
        # Adoption is a pure function: this is the result that the pass has saved.
        _, done = adopt(outcome.before, outcome.observed, claims, prune=prune)
    _log_adoption(done)
    return done, _problems_of(outcome.state, done)


def answer(done: Adoption, problems: Mapping[str, list[str]]) -> Mapping[str, Any]:
    """Write what was done, and what is wrong with it, as the answer of the call."""

    def described(name: str, interface: str, finding: Finding) -> dict[str, Any]:
        return {
            name: finding.id,
            interface: finding.interface,
            "Outcome": finding.outcome,
            "Text": finding.text,
            "Remedy": finding.remedy,
            "Troubles": problems.get(finding.id, []),
        }

    return {
        "Networks": [
            {
                **described("NetworkID", "Bus", network),
                "Endpoints": [
                    described("EndpointID", "HostEnd", endpoint) for endpoint in endpoints
                ],
            }
            for network, endpoints in done.networks
        ],
        "Strays": [described("NetworkID", "Bus", stray) for stray in done.strays],
        "Pairs": [
            {
                "HostEnd": pair.interface,
                "Outcome": pair.outcome,
                "Text": pair.text,
                "Remedy": pair.remedy,
            }
            for pair in done.pairs
        ],
        "Rules": [
            {
                "Interfaces": rules.interface,
                "Outcome": rules.outcome,
                "Text": rules.text,
                "Remedy": rules.remedy,
            }
            for rules in done.rules
        ],
    }


def object_list(
    fields: Mapping[str, Any], name: str, where: str = ""
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Read a list of objects; yield each object with the words for where it is."""
    value = fields[name]
    if not isinstance(value, list):
        raise RequestError(f"field {where}{name}={shown(value)} is not a list", "give a JSON array")
    for number, item in enumerate(value):
        place = f"{where}{name}[{number}]"
        if not isinstance(item, dict):
            raise RequestError(f"field {place}={shown(item)} is not a JSON object", "give one")
        yield item, f"{place}."


def _problems_of(state: State, done: Adoption) -> dict[str, list[str]]:
    """Return what is wrong with each adopted network and endpoint, by its id."""
    problems: dict[str, list[str]] = {}
    for network, members in done.networks:
        of_bus = [str(item) for item in state.problems_of(network.interface) if item.bus]
        problems[network.id] = list(dict.fromkeys(of_bus))
        for member in members:
            own = [str(item) for item in state.problems if item.endpoint == member.id]
            problems[member.id] = list(dict.fromkeys(own))
    return problems


def _log_adoption(done: Adoption) -> None:
    """Log what an adoption did about each network, stray and pair."""
    for network, members in done.networks:
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
            "Network %s is not in the engine's list: %s",
            stray.id[:12],
            stray.outcome,
            extra=about(network=stray.id, interface=stray.interface),
        )
    for pair in done.pairs:
        _log.info(
            "Interface pair %s belongs to no network and no container: %s",
            pair.interface,
            pair.outcome,
            extra=about(interface=pair.interface),
        )
    for rules in done.rules:
        _log.info(
            "Rules between %s, which no network needs: %s",
            rules.interface,
            rules.outcome,
            extra=about(interface=rules.interface),
        )
