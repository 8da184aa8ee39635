"""Plugins with their networks and containers, as the commands show them; no I/O.

A plugin may be older than this command: what it does not report is None here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from evercan.cli.errors import NoNetwork
from evercan.cli.views.faults import FaultView


class Verdict(StrEnum):
    """The health of something, from good to bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


UNKNOWN_NETWORK, UNKNOWN_ENDPOINT = "unknown-network", "unknown-endpoint"
"""Problem kinds found by comparing engine and plugin; the plugin reports all others."""

_NAMED = 3
"""Networks that a sentence about a shared bus names."""

NOT_RUNNING = ("dormant", "left")
"""States of an endpoint whose container does not run: nothing is wanted until it starts again."""

UNKNOWN_TO_PLUGIN = "not on record"
"""State of a network, and of its containers, that the plugin does not know."""

_SHOWN_STATES = {"dormant": "not running", UNKNOWN_TO_PLUGIN: "unknown to plugin"}
"""States that people read in other words than machines."""


def shown_state(state: str) -> str:
    """Return a state in the words that people read."""
    return _SHOWN_STATES.get(state, state)


@dataclass(frozen=True)
class ProblemView:
    """A problem.

    Attributes:
        kind: for machines, as in ``/health``.
        text: what is wrong.
        bus: the bus interface concerned; empty if it does not concern one.
        endpoint: the endpoint id, if it concerns one endpoint only.
        remedy: what to do; empty if the plugin does not report it. Plugins up to 0.1 have the
            remedy in the text.
        container: the endpoint's container, if the engine knows it.
    """

    kind: str
    text: str
    bus: str = ""
    endpoint: str | None = None
    remedy: str = ""
    container: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, with the container's name."""
        return f"container {self.container}: {self.text}" if self.container else self.text


@dataclass(frozen=True)
class MemberView:
    """A container on a bus.

    Attributes:
        container: its name, or a part of the endpoint id if the engine does not know it.
        endpoint: the engine's endpoint id.
        host_end: its interface on the host.
        filter_interface: the interface on the host where its limits are; empty without limits.
        prefix: what the name of its interface in the container begins with; empty if unknown.
        altname: the second name of that interface; empty if it has none.
        state: one word: joined, down, gone, dormant, …
        verdict: the health that this state means.
        arrives_at: the interface that what it sends arrives at: with limits its filter interface,
            else its host end.
        sent: frames that the container sent; None if the plugin does not report it.
        received: frames delivered to it.
        dropped: frames for it that were lost.
        limits: what it may send and receive, in a line; empty without limits.
        modules: kernel modules that its limits need.
        denied_sent: frames that it sent and that its limits did not let through; None without
            limits.
        denied_received: frames that its limits kept from it.
        problems: what is wrong with it.
        warnings: what works, and is probably not as its user expects.
        link: if it is a link between hosts, whom it links, in a line; else empty.
    """

    container: str
    endpoint: str
    host_end: str
    state: str
    verdict: Verdict
    arrives_at: str = ""
    sent: int | None = None
    received: int | None = None
    dropped: int | None = None
    limits: str = ""
    modules: tuple[str, ...] = ()
    denied_sent: int | None = None
    denied_received: int | None = None
    problems: tuple[ProblemView, ...] = ()
    warnings: tuple[ProblemView, ...] = ()
    filter_interface: str = ""
    prefix: str = ""
    altname: str = ""
    link: str = ""

    @property
    def denied(self) -> int | None:
        """Frames that its limits did not let through, in both directions."""
        if self.denied_sent is None or self.denied_received is None:
            return None
        return self.denied_sent + self.denied_received

    @property
    def running(self) -> bool:
        """Whether its container runs."""
        return self.state not in NOT_RUNNING


@dataclass(frozen=True)
class BridgedView:
    """A further interface of the host that is a member of a bus (``vxcan.bridge``).

    Attributes:
        name: its name.
        state: one word: up, down or absent.
    """

    name: str
    state: str

    @property
    def verdict(self) -> Verdict:
        """The health that its state means."""
        return Verdict.OK if self.state == "up" else Verdict.FAIL

    @property
    def caption(self) -> str:
        """Its name, and its state unless it is up."""
        return self.name if self.state == "up" else f"{self.name} ({self.state})"


@dataclass(frozen=True)
class NetworkView:
    """A Docker network and its bus.

    Attributes:
        name: the network's name.
        id: the engine's network id.
        bus: the bus interface on the host; empty if the plugin does not know the network.
        kind: ``virtual`` or ``physical``.
        state: one word: up, down, absent; or the controller's state.
        bus_verdict: the health of the bus itself.
        verdict: the worst of that and of its members.
        owns_bus: evercan created the bus interface.
        members: the containers on it.
        left_out: how many more containers are on it, which a filter does not show.
        bridge: the further interfaces of the host on it.
        from_bus: frames from the bus interface, counted once for each container that got them.
        to_bus: frames to the bus interface.
        dropped: frames of this bus that were lost.
        recovered_at: when it was last repaired, seconds since 1970.
        recovery: what was repaired then, in a sentence.
        controller: what the plugin reports of the CAN controller.
        wire: how fast a virtual bus with a bitrate is, as the plugin reports it.
        load: the part of the time that frames took since the plugin was asked before.
        faults: the faults that are set on it.
        problems: what is wrong with the bus, without the problems of single members.
        warnings: the warnings about the bus, without those about single members.
        shares: the names of other networks on its bus interface, if not all of them have asked
            for it with ``vxcan.id``.
    """

    name: str
    id: str
    bus: str
    kind: str
    state: str
    bus_verdict: Verdict
    verdict: Verdict
    owns_bus: bool = False
    members: tuple[MemberView, ...] = ()
    left_out: int = 0
    bridge: tuple[BridgedView, ...] = ()
    from_bus: int | None = None
    to_bus: int | None = None
    dropped: int | None = None
    recovered_at: float | None = None
    recovery: str = ""
    controller: Mapping[str, Any] = field(default_factory=dict)
    wire: Mapping[str, Any] = field(default_factory=dict)
    load: float | None = None
    faults: tuple[FaultView, ...] = ()
    problems: tuple[ProblemView, ...] = ()
    warnings: tuple[ProblemView, ...] = ()
    shares: tuple[str, ...] = ()

    @property
    def timing(self) -> Mapping[str, Any]:
        """What has the bitrates of the bus: its controller, or the wire of a virtual bus."""
        return self.controller or self.wire

    @property
    def all_problems(self) -> tuple[ProblemView, ...]:
        """The problems of the bus, then those of its members."""
        return (
            *self.problems,
            *(problem for member in self.members for problem in member.problems),
        )

    @property
    def all_warnings(self) -> tuple[ProblemView, ...]:
        """The warnings about the bus, then those about its members."""
        return (
            *self.warnings,
            *(warning for member in self.members for warning in member.warnings),
        )

    @property
    def sharing(self) -> str:
        """Which networks it shares its bus with and may not know of; empty if none."""
        if not self.shares:
            return ""
        if len(self.shares) == 1:
            return f"shares {self.bus} with network {self.shares[0]}"
        named = ", ".join(self.shares[:_NAMED])
        rest = len(self.shares) - _NAMED
        more = f" and {rest} more" if rest > 0 else ""
        return f"shares {self.bus} with networks {named}{more}"


@dataclass(frozen=True)
class Overview:
    """A plugin and its networks.

    Attributes:
        plugin: its name.
        version: its version; empty if unknown.
        recovery: ``auto`` or ``fail-fast``; empty if unknown.
        started: when it started, seconds since 1970.
        now: the host's clock at the time of the answer.
        networks: sorted by name.
        problems: all reasons that ``/health`` reports.
        warnings: all warnings that it reports; none of a plugin that reports no warnings.
    """

    plugin: str
    version: str = ""
    recovery: str = ""
    started: float | None = None
    now: float | None = None
    networks: tuple[NetworkView, ...] = ()
    problems: tuple[ProblemView, ...] = ()
    warnings: tuple[ProblemView, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the plugin knows all networks and endpoints of the engine."""
        kinds = {problem.kind for network in self.networks for problem in network.problems}
        return not kinds & {UNKNOWN_NETWORK, UNKNOWN_ENDPOINT}

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        verdicts = [network.verdict for network in self.networks]
        if self.warnings:
            verdicts.append(Verdict.WARN)
        return worst([Verdict.FAIL if self.problems else Verdict.OK, *verdicts])

    @property
    def other_problems(self) -> list[ProblemView]:
        """The problems that no network here has, such as those of the plugin as a whole."""
        shown = {problem for network in self.networks for problem in network.all_problems}
        return [problem for problem in self.problems if problem not in shown]

    @property
    def other_warnings(self) -> list[ProblemView]:
        """The warnings that concern no network here."""
        shown = {warning for network in self.networks for warning in network.all_warnings}
        return [warning for warning in self.warnings if warning not in shown]

    def only(self, names: Sequence[str]) -> Overview:
        """Return the overview of some networks, without problems and warnings of other buses."""
        chosen = tuple(network for network in self.networks if network.name in names)
        buses = {"", *(network.bus for network in chosen)}
        problems = tuple(problem for problem in self.problems if problem.bus in buses)
        warnings = tuple(warning for warning in self.warnings if warning.bus in buses)
        return replace(self, networks=chosen, problems=problems, warnings=warnings)


def select_networks(overviews: Sequence[Overview], names: Sequence[str]) -> list[Overview]:
    """Keep the named networks, and the plugins that have one; keep everything without names.

    Raises:
        NoNetwork: a name is unknown.
    """
    if not names:
        return list(overviews)
    known = {network.name for overview in overviews for network in overview.networks}
    for name in names:
        if name not in known:
            plugin = overviews[0].plugin if overviews else "evercan:latest"
            raise NoNetwork(name, known, plugin)
    chosen = [overview.only(names) for overview in overviews]
    return [overview for overview in chosen if overview.networks]


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of some verdicts."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.OK)
