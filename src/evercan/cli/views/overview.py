"""Combine the plugin's ``GET /status`` with what the engine lists; no I/O.

A plugin may be older than this command: what it does not report is None here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from evercan.cli.errors import CliError, NoNetwork
from evercan.cli.views.docker import DockerNetwork


class Verdict(StrEnum):
    """The health of something, from good to bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


UNKNOWN_NETWORK, UNKNOWN_ENDPOINT = "unknown-network", "unknown-endpoint"
"""Problem kinds found by comparing engine and plugin; the plugin reports all others."""

NOT_RUNNING = ("dormant", "left")
"""States of an endpoint whose container does not run: nothing is wanted until it starts again."""

_UNKNOWN_TO_PLUGIN = "not on record"

_SHOWN_STATES = {"dormant": "not running", _UNKNOWN_TO_PLUGIN: "unknown to plugin"}
"""States that people read in other words than machines."""

_RESTART_KINDS = ("pair-missing",)
"""Problem kinds that a restart of the container solves."""


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
        state: one word: joined, down, gone, dormant, …
        verdict: the health that this state means.
        sent: frames that the container sent; None if the plugin does not report it.
        received: frames delivered to it.
        dropped: frames for it that were lost.
        problems: what is wrong with it.
    """

    container: str
    endpoint: str
    host_end: str
    state: str
    verdict: Verdict
    sent: int | None = None
    received: int | None = None
    dropped: int | None = None
    problems: tuple[ProblemView, ...] = ()

    @property
    def running(self) -> bool:
        """Whether its container runs."""
        return self.state not in NOT_RUNNING


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
        from_bus: frames from the bus interface, counted once for each container that got them.
        to_bus: frames to the bus interface.
        dropped: frames of this bus that were lost.
        recovered_at: when it was last repaired, seconds since 1970.
        recovery: what was repaired then, in a sentence.
        controller: what the plugin reports of the CAN controller.
        problems: what is wrong with the bus, without the problems of single members.
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
    from_bus: int | None = None
    to_bus: int | None = None
    dropped: int | None = None
    recovered_at: float | None = None
    recovery: str = ""
    controller: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[ProblemView, ...] = ()

    @property
    def all_problems(self) -> tuple[ProblemView, ...]:
        """The problems of the bus, then those of its members."""
        return (
            *self.problems,
            *(problem for member in self.members for problem in member.problems),
        )


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
    """

    plugin: str
    version: str = ""
    recovery: str = ""
    started: float | None = None
    now: float | None = None
    networks: tuple[NetworkView, ...] = ()
    problems: tuple[ProblemView, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the plugin knows all networks and endpoints of the engine."""
        kinds = {problem.kind for network in self.networks for problem in network.problems}
        return not kinds & {UNKNOWN_NETWORK, UNKNOWN_ENDPOINT}

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        verdicts = [network.verdict for network in self.networks]
        return worst([Verdict.FAIL if self.problems else Verdict.OK, *verdicts])

    @property
    def other_problems(self) -> list[ProblemView]:
        """The problems that no network here has, such as those of the plugin as a whole."""
        shown = {problem for network in self.networks for problem in network.all_problems}
        return [problem for problem in self.problems if problem not in shown]

    def only(self, names: Sequence[str]) -> Overview:
        """Return the overview of some networks, without the problems of other buses."""
        chosen = tuple(network for network in self.networks if network.name in names)
        buses = {"", *(network.bus for network in chosen)}
        problems = tuple(problem for problem in self.problems if problem.bus in buses)
        return replace(self, networks=chosen, problems=problems)


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


SCHEMA = 1
"""The version of the status document that this command reads."""


def overview(plugin: str, networks: Sequence[DockerNetwork], status: Mapping[str, Any]) -> Overview:
    """Combine the engine's networks with the plugin's status document.

    Raises:
        CliError: this command cannot read the document.
    """
    schema = status.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise CliError(
            f"plugin {plugin} reports its status in schema {schema}, and this command reads "
            f"schema {SCHEMA}",
            "upgrade the older of the two",
        )
    try:
        return _overview(plugin, networks, status)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CliError(
            f"the status of plugin {plugin} cannot be read ({error!r})",
            "upgrade the plugin, or this command",
        ) from error


def _overview(
    plugin: str, networks: Sequence[DockerNetwork], status: Mapping[str, Any]
) -> Overview:
    containers = {
        endpoint.endpoint: endpoint.container
        for network in networks
        for endpoint in network.members
    }
    problems = tuple(_problem(reason, containers) for reason in status.get("reasons") or ())
    known = {document["network"]: document for document in status.get("networks") or ()}
    views = [
        _network(network.name, known[network.id], network, problems)
        if network.id in known
        else _unknown(network)
        for network in networks
    ]
    listed = {network.id for network in networks}
    views += [
        _network(f"(network {key[:12]})", document, None, problems)
        for key, document in known.items()
        if key not in listed
    ]
    return Overview(
        plugin=plugin,
        version=status.get("version") or "",
        recovery=status.get("recovery") or "",
        started=status.get("started"),
        now=status.get("now"),
        networks=tuple(views),
        problems=problems,
    )


def _problem(reason: Mapping[str, Any], containers: Mapping[str, str]) -> ProblemView:
    kind = reason.get("kind") or "unknown"
    endpoint = reason.get("endpoint")
    container = containers.get(endpoint or "", "")
    remedy = reason.get("remedy") or ""
    if container and kind in _RESTART_KINDS:
        remedy = f"docker restart {container}"
    return ProblemView(
        kind,
        reason.get("text") or "the plugin does not report what is wrong",
        reason.get("bus") or "",
        endpoint,
        remedy,
        container,
    )


def _unknown(network: DockerNetwork) -> NetworkView:
    """Return a network that the engine has and the plugin does not."""
    members = tuple(
        MemberView(endpoint.container, endpoint.endpoint, "", _UNKNOWN_TO_PLUGIN, Verdict.FAIL)
        for endpoint in network.members
    )
    problem = ProblemView(
        UNKNOWN_NETWORK,
        f"the plugin does not know network {network.name}",
        remedy="run 'evercan adopt', or remove the network and create it again",
    )
    return NetworkView(
        name=network.name,
        id=network.id,
        bus="",
        kind="",
        state=_UNKNOWN_TO_PLUGIN,
        bus_verdict=Verdict.FAIL,
        verdict=Verdict.FAIL,
        members=members,
        problems=(problem,),
    )


def _network(
    name: str,
    document: Mapping[str, Any],
    engine: DockerNetwork | None,
    problems: Sequence[ProblemView],
) -> NetworkView:
    bus = document.get("bus") or ""
    endpoints = document.get("endpoints") or ()
    containers = (
        {endpoint.endpoint: endpoint.container for endpoint in engine.members} if engine else {}
    )
    on_bus = tuple(
        problem for problem in problems if problem.bus == bus and problem.endpoint is None
    )
    members = sorted(
        (_member(endpoint, containers, problems) for endpoint in endpoints),
        key=lambda member: member.container,
    )
    known = {endpoint["endpoint"] for endpoint in endpoints}
    unknown = sorted(container for key, container in containers.items() if key not in known)
    if unknown:
        text = f"the plugin does not know these running containers: {', '.join(unknown)}"
        on_bus += (ProblemView(UNKNOWN_ENDPOINT, text, bus, remedy="run 'evercan adopt'"),)
    controller = document.get("controller") or {}
    state, verdict = _bus_state(document, controller)
    verdict = worst([verdict, Verdict.FAIL if on_bus else Verdict.OK])
    recovery = document.get("last_recovery") or {}
    frames = document.get("frames") or {}
    return NetworkView(
        name=name,
        id=document["network"],
        bus=bus,
        kind=document.get("kind") or "",
        state=state,
        bus_verdict=verdict,
        verdict=worst([verdict, *(member.verdict for member in members)]),
        owns_bus=bool(document.get("owns_bus")),
        members=tuple(members),
        from_bus=_count(frames, "from_bus", "handled"),
        to_bus=_count(frames, "to_bus", "handled"),
        dropped=_sum(_count(frames, direction, "dropped") for direction in frames),
        recovered_at=recovery.get("at"),
        recovery=recovery.get("what") or "",
        controller=controller,
        problems=on_bus,
    )


def _count(frames: Mapping[str, Any], direction: str, fate: str) -> int | None:
    return (frames.get(direction) or {}).get(fate)


def _sum(counts: Iterator[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


_CONTROLLER = {
    "error-active": ("error-active", Verdict.OK),
    "error-warning": ("error-warning", Verdict.WARN),
    "error-passive": ("error-passive", Verdict.WARN),
    "bus-off": ("bus-off", Verdict.FAIL),
    "stopped": ("down", Verdict.FAIL),
}


def _bus_state(document: Mapping[str, Any], controller: Mapping[str, Any]) -> tuple[str, Verdict]:
    if not document.get("present"):
        return "absent", Verdict.FAIL
    if not document.get("up"):
        return "down", Verdict.FAIL
    state = controller.get("state")
    if state:
        return _CONTROLLER.get(state, (str(state), Verdict.WARN))
    return "up", Verdict.OK


def _member(
    document: Mapping[str, Any],
    containers: Mapping[str, str],
    problems: Sequence[ProblemView],
) -> MemberView:
    endpoint = document["endpoint"]
    own = tuple(problem for problem in problems if problem.endpoint == endpoint)
    frames = document.get("frames") or {}
    state, verdict = _member_state(document)
    if own and verdict is Verdict.OK:
        state = own[0].kind
    return MemberView(
        container=containers.get(endpoint) or f"({endpoint[:12]})",
        endpoint=endpoint,
        host_end=document.get("host_end") or "",
        state=state,
        verdict=Verdict.FAIL if own else verdict,
        sent=frames.get("sent"),
        received=frames.get("received"),
        dropped=frames.get("dropped"),
        problems=own,
    )


def _member_state(document: Mapping[str, Any]) -> tuple[str, Verdict]:
    phase = document.get("phase") or "unknown"
    if phase in NOT_RUNNING:
        return phase, Verdict.OK
    if not document.get("present"):
        return "gone", Verdict.FAIL
    if document.get("up") is False:
        return "down", Verdict.FAIL
    return phase, Verdict.OK
