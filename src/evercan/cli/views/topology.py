"""Group networks into buses with their members; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evercan.cli.views import words
from evercan.cli.views.overview import (
    BridgedView,
    MemberView,
    NetworkView,
    Verdict,
    shown_state,
    worst,
)


@dataclass(frozen=True)
class BusView:
    """A bus interface with its networks: networks that name the same interface are one bus.

    Attributes:
        interface: its name; ``?`` if the plugin does not know the network.
        kind: what it is, in a few words.
        speed: a controller's bitrates; empty if it has none.
        state: its state, in one word.
        verdict: the health that this state means.
        networks: the names of its networks.
        members: its containers, each with the network's name.
        bridge: the further interfaces of the host on it.
        notes: what its networks should know: warnings about the bus, and who shares it unasked.
    """

    interface: str
    kind: str
    speed: str
    state: str
    verdict: Verdict
    networks: tuple[str, ...]
    members: tuple[tuple[str, MemberView], ...]
    bridge: tuple[BridgedView, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """Its kind and speed, in one line."""
        return ", ".join(filter(None, (self.kind, self.speed)))

    @property
    def bridged(self) -> str:
        """The further interfaces of the host on it, in one line; empty if there is none."""
        names = ", ".join(bridged.caption for bridged in self.bridge)
        return f"bridged: {names}" if names else ""


def buses(networks: Sequence[NetworkView]) -> list[BusView]:
    """Group networks by their bus interface."""
    groups: dict[str, list[NetworkView]] = {}
    for network in networks:
        groups.setdefault(network.bus or network.id, []).append(network)
    return [
        BusView(
            group[0].bus or "?",
            _kind(group[0]),
            words.speed(group[0].timing) if group[0].bus else "",
            group[0].state,
            worst([network.bus_verdict for network in group]),
            tuple(network.name for network in group),
            tuple((network.name, member) for network in group for member in network.members),
            tuple(dict.fromkeys(bridged for network in group for bridged in network.bridge)),
            tuple(_notes(group)),
        )
        for group in groups.values()
    ]


def _notes(group: Sequence[NetworkView]) -> Iterator[str]:
    yield from dict.fromkeys(warning.text for network in group for warning in network.warnings)
    named: set[str] = set()
    for network in group:
        # Of two networks that share a bus one says so.
        if network.sharing and network.name not in named:
            yield f"{network.name} {network.sharing}"
            named |= {network.name, *network.shares}


def document(shown: Sequence[BusView]) -> dict[str, Any]:
    """Return buses as a JSON document."""
    return {
        "schema": 1,
        "buses": [
            {
                **asdict(bus),
                "members": [
                    {
                        "network": network,
                        "container": member.container,
                        "endpoint": member.endpoint,
                        "host_end": member.host_end,
                        "state": member.state,
                        "verdict": member.verdict,
                        "sent": member.sent,
                        "received": member.received,
                        "limits": member.limits,
                        "denied_sent": member.denied_sent,
                        "denied_received": member.denied_received,
                        "link": member.link,
                    }
                    for network, member in bus.members
                ],
            }
            for bus in shown
        ],
    }


def _kind(network: NetworkView) -> str:
    if not network.bus:
        return "no bus"
    return "CAN controller" if network.kind == "physical" else f"{network.kind} bus"


NOT_RUNNING_STYLE = "rest"
"""The style of a member whose container does not run; the other styles are the verdicts."""


def style_of(member: MemberView) -> str:
    """Return the style that a member is drawn in."""
    return member.verdict if member.running else NOT_RUNNING_STYLE


def unusual_state(member: MemberView) -> str:
    """Return a member's state as people read it; empty if it is joined, as it should be."""
    return "" if member.state == "joined" else shown_state(member.state)


def frames_of(member: MemberView) -> str:
    """Return what a member sent and received, in a line; empty if the plugin does not report it."""
    if member.sent is None or member.received is None:
        return ""
    return f"{words.count(member.sent)} sent, {words.count(member.received)} received"


def denied_of(member: MemberView) -> str:
    """Return what the limits of a member did not let through; empty if there was nothing."""
    if not member.denied:
        return ""
    sent, received = words.count(member.denied_sent), words.count(member.denied_received)
    return f"denied: {sent} sent, {received} received"
