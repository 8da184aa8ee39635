"""Keep the members of overviews that have some words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evercan.cli.views.overview import NetworkView, Overview, shown_state


def matching(overviews: Sequence[Overview], words: str) -> list[Overview]:
    """Keep the members that have every word in their names, states or networks.

    A network stays if a member does, or if its own name has every word; then all of its members
    stay. Problems of members that are left out are left out too.
    """
    wanted = words.casefold().split()
    if not wanted:
        return list(overviews)

    def chosen(network: NetworkView) -> NetworkView | None:
        own = f"{network.name} {network.bus}"
        if _has(own, wanted):
            return network
        members = tuple(
            member
            for member in network.members
            if _has(f"{own} {member.container} {shown_state(member.state)}", wanted)
        )
        left_out = len(network.members) - len(members)
        return replace(network, members=members, left_out=left_out) if members else None

    return [
        replace(overview, networks=tuple(filter(None, map(chosen, overview.networks))))
        for overview in overviews
    ]


def _has(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)
