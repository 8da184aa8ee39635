"""What the doctor thinks of the engine's CAN networks and their containers; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evercan.cli.access.engine import Network
from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words


def pool_check(networks: Sequence[Network]) -> Check:
    """Judge whether CAN networks eat the engine's address pools."""
    eaters = [each.name for each in networks if each.subnets]
    if not eaters:
        return Check(
            "networks.pools", "address pools", Result.OK, "no CAN network takes an address pool"
        )
    some = ", ".join(eaters[:5]) + (" …" if len(eaters) > 5 else "")
    return Check(
        "networks.pools",
        "address pools",
        Result.WARN,
        f"{words.number_of(len(eaters), 'CAN network')} ({some}) took one of the engine's about 31"
        f"{' each' if len(eaters) > 1 else ''}, and gave the CAN interfaces addresses",
        'create them with --ipam-driver null (compose: ipam: {driver: "null"})',
    )


def gateway_check(networks: Sequence[Network], on_gateway: Mapping[str, object]) -> Check:
    """Judge whether containers got a second card that an older plugin asked for.

    Args:
        networks: the CAN networks.
        on_gateway: what is attached to docker_gwbridge, by container id.
    """
    title = "docker_gwbridge"
    with_card = sorted(
        {
            each.container
            for network in networks
            for each in network.members
            if each.container_id in on_gateway
        }
    )
    if not with_card:
        return Check(
            "networks.gwbridge", title, Result.OK, "no container on a bus has a card on it"
        )
    return Check(
        "networks.gwbridge",
        title,
        Result.WARN,
        f"{', '.join(with_card)}: a second card with a default route, as older plugins leave it",
        f"docker restart {' '.join(with_card)}",
    )


def refusal_checks(refused: Mapping[str, str]) -> Iterator[Check]:
    """Tell of containers that did not start, by name, with the engine's words."""
    for name, text in sorted(refused.items()):
        yield Check(
            "networks.refused",
            f"container {name}",
            Result.FAIL,
            f"did not start: {text}",
            f"docker start {name}, once that is mended",
        )
