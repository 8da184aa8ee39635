"""Combine the plugin's ``GET /status`` with what the engine lists; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evercan.cli.errors import CliError
from evercan.cli.views.docker import DockerNetwork
from evercan.cli.views.faults import FAULT_KIND, parse_faults
from evercan.cli.views.host import modules_of_limits
from evercan.cli.views.overview import (
    NOT_RUNNING,
    UNKNOWN_ENDPOINT,
    UNKNOWN_NETWORK,
    UNKNOWN_TO_PLUGIN,
    BridgedView,
    MemberView,
    NetworkView,
    Overview,
    ProblemView,
    Verdict,
    worst,
)

_RESTART_KINDS = ("pair-missing",)
"""Problem kinds that a restart of the container solves."""

_BUS_OPTION = "vxcan.id"
"""The network option by which users choose a bus."""

SCHEMA = 1
"""The version of the status document that this command reads."""


def parse_status(
    plugin: str, networks: Sequence[DockerNetwork], status: Mapping[str, Any]
) -> Overview:
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
        return _parse(plugin, networks, status)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CliError(
            f"the status of plugin {plugin} cannot be read ({error!r})",
            "upgrade the plugin, or this command",
        ) from error


def _parse(plugin: str, networks: Sequence[DockerNetwork], status: Mapping[str, Any]) -> Overview:
    containers = {
        endpoint.endpoint: endpoint.container
        for network in networks
        for endpoint in network.members
    }
    problems = tuple(_problem(reason, containers) for reason in status.get("reasons") or ())
    with_faults = {
        document.get("bus") for document in status.get("networks") or () if document.get("faults")
    }
    # A plugin of an older release reports no warnings.
    warnings = tuple(
        _problem(warning, containers)
        for warning in status.get("warnings") or ()
        # Where the faults are listed they are named by containers, not by ids.
        if warning.get("kind") != FAULT_KIND or warning.get("bus") not in with_faults
    )
    known = {document["network"]: document for document in status.get("networks") or ()}
    views = [
        _network(network.name, known[network.id], network, containers, problems, warnings)
        if network.id in known
        else _unknown(network)
        for network in networks
    ]
    listed = {network.id for network in networks}
    views += [
        _network(f"(network {key[:12]})", document, None, containers, problems, warnings)
        for key, document in known.items()
        if key not in listed
    ]
    return Overview(
        plugin=plugin,
        version=status.get("version") or "",
        recovery=status.get("recovery") or "",
        started=status.get("started"),
        now=status.get("now"),
        networks=tuple(_with_shares(views, networks)),
        problems=problems,
        warnings=(*warnings, *_fault_warnings(views)),
    )


def _fault_warnings(views: Sequence[NetworkView]) -> Iterator[ProblemView]:
    for view in views:
        yield from (warning for warning in view.warnings if warning.kind == FAULT_KIND)


def _with_shares(
    views: Sequence[NetworkView], networks: Sequence[DockerNetwork]
) -> Iterator[NetworkView]:
    """Add the networks that share a bus and did not all choose it.

    Two projects that know nothing of each other get the same bus by default. Networks that have
    all been given ``vxcan.id`` share their bus on purpose.
    """
    chosen = {network.id for network in networks if _BUS_OPTION in network.options}
    for view in views:
        others = [
            other
            for other in views
            if view.bus
            and other.bus == view.bus
            and other.id != view.id
            and not {view.id, other.id} <= chosen
        ]
        yield replace(view, shares=tuple(other.name for other in others))


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
        MemberView(endpoint.container, endpoint.endpoint, "", UNKNOWN_TO_PLUGIN, Verdict.FAIL)
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
        state=UNKNOWN_TO_PLUGIN,
        bus_verdict=Verdict.FAIL,
        verdict=Verdict.FAIL,
        members=members,
        problems=(problem,),
    )


def _network(
    name: str,
    document: Mapping[str, Any],
    engine: DockerNetwork | None,
    all_containers: Mapping[str, str],
    problems: Sequence[ProblemView],
    warnings: Sequence[ProblemView],
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
        (_member(endpoint, containers, problems, warnings) for endpoint in endpoints),
        key=lambda member: member.container,
    )
    known = {endpoint["endpoint"] for endpoint in endpoints}
    unknown = sorted(container for key, container in containers.items() if key not in known)
    if unknown:
        text = f"the plugin does not know these running containers: {', '.join(unknown)}"
        on_bus += (ProblemView(UNKNOWN_ENDPOINT, text, bus, remedy="run 'evercan adopt'"),)
    faults = parse_faults(document.get("faults") or (), all_containers)
    about_bus = tuple(
        warning for warning in warnings if warning.bus == bus and warning.endpoint is None
    )
    about_bus += tuple(
        ProblemView(FAULT_KIND, fault.sentence, bus, remedy=f"evercan fault clear {name}")
        for fault in faults
    )
    controller = document.get("controller") or {}
    state, verdict = _bus_state(document, controller)
    verdict = worst([verdict, _verdict(on_bus, about_bus)])
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
        bridge=tuple(_bridged(bridged) for bridged in document.get("bridge") or ()),
        from_bus=_count(frames, "from_bus", "handled"),
        to_bus=_count(frames, "to_bus", "handled"),
        dropped=_sum(_count(frames, direction, "dropped") for direction in frames),
        recovered_at=recovery.get("at"),
        recovery=recovery.get("what") or "",
        controller=controller,
        wire=document.get("wire") or {},
        load=(document.get("load") or {}).get("share"),
        faults=faults,
        problems=on_bus,
        warnings=about_bus,
    )


def _verdict(problems: Sequence[ProblemView], warnings: Sequence[ProblemView]) -> Verdict:
    if problems:
        return Verdict.FAIL
    return Verdict.WARN if warnings else Verdict.OK


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


def _bridged(document: Mapping[str, Any]) -> BridgedView:
    state = "absent" if not document.get("present") else "up" if document.get("up") else "down"
    return BridgedView(document["name"], state)


def _member(
    document: Mapping[str, Any],
    containers: Mapping[str, str],
    problems: Sequence[ProblemView],
    warnings: Sequence[ProblemView],
) -> MemberView:
    endpoint = document["endpoint"]
    own = tuple(problem for problem in problems if problem.endpoint == endpoint)
    about = tuple(warning for warning in warnings if warning.endpoint == endpoint)
    frames = document.get("frames") or {}
    # A plugin of an older release knows no limits.
    access = document.get("access") or {}
    denied = access.get("denied") or {}
    state, verdict = _member_state(document)
    if (own or about) and verdict is Verdict.OK:
        state = (*own, *about)[0].kind
    return MemberView(
        container=containers.get(endpoint) or f"({endpoint[:12]})",
        endpoint=endpoint,
        host_end=document.get("host_end") or "",
        state=state,
        verdict=worst([verdict, _verdict(own, about)]),
        arrives_at=access.get("filter_interface") or document.get("host_end") or "",
        sent=frames.get("sent"),
        received=frames.get("received"),
        dropped=frames.get("dropped"),
        limits=_limits(access),
        modules=tuple(sorted(modules_of_limits(access))),
        denied_sent=denied.get("send", 0) + access.get("over_rate", 0) if access else None,
        denied_received=denied.get("receive", 0) if access else None,
        problems=own,
        warnings=about,
        filter_interface=access.get("filter_interface") or "",
        prefix=document.get("peer_prefix") or "",
        altname=document.get("altname") or "",
    )


def _limits(access: Mapping[str, Any]) -> str:
    if not access:
        return ""
    parts = [f"may send {access['send']}", f"receives {access['receive']}"]
    if access.get("send_rate"):
        rate, burst = access["send_rate"], access["send_burst"]
        parts.append(f"at most {rate} frames/s, {burst} at once")
    return ", ".join(parts)


def _member_state(document: Mapping[str, Any]) -> tuple[str, Verdict]:
    phase = document.get("phase") or "unknown"
    if phase in NOT_RUNNING:
        return phase, Verdict.OK
    if not document.get("present"):
        return "gone", Verdict.FAIL
    if document.get("up") is False:
        return "down", Verdict.FAIL
    return phase, Verdict.OK
