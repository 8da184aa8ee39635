"""What is shown of a plugin: its status document, in the names that people know; pure.

The document is that of ``GET /status``. A plugin may be older than this command:
what it does not tell is None here, and shown as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from evercan.cli.access.engine import Network
from evercan.cli.errors import CliError


class Verdict(StrEnum):
    """How well something is, from good to bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


UNKNOWN_NETWORK, UNKNOWN_ENDPOINT = "unknown-network", "unknown-endpoint"
"""Troubles that show when engine and plugin are put side by side; the plugin tells the others."""


@dataclass(frozen=True)
class Trouble:
    """Something that is not as it should be.

    Attributes:
        kind: for machines, as in ``/health``.
        text: what is wrong, and what to do about it.
        bus: the bus interface concerned; empty if it is not about one.
        endpoint: the endpoint id, when it concerns one alone.
    """

    kind: str
    text: str
    bus: str = ""
    endpoint: str | None = None


@dataclass(frozen=True)
class MemberView:
    """A container on a bus.

    Attributes:
        container: its name, or what stands for it when the engine knows none.
        endpoint: the engine's endpoint id.
        host_end: its interface on the host.
        state: one word: joined, down, gone, dormant, …
        verdict: what that word means.
        sent: frames that the container sent; None if the plugin does not say.
        received: frames handed to it.
        dropped: frames that were to reach it and did not.
        troubles: what is wrong with it.
    """

    container: str
    endpoint: str
    host_end: str
    state: str
    verdict: Verdict
    sent: int | None = None
    received: int | None = None
    dropped: int | None = None
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class NetworkView:
    """A Docker network, which is a bus.

    Attributes:
        name: the network's name.
        id: the engine's network id.
        bus: the bus interface on the host; empty if the plugin does not know the network.
        kind: ``virtual`` or ``physical``.
        state: one word: up, down, absent, not on record; or the controller's state.
        bus_verdict: what that word means, and what is wrong with the bus itself.
        verdict: the worst of that and of its members.
        owns_bus: evercan made the bus interface.
        members: the containers on it.
        from_bus: frames that came from the bus interface, once for each container they reached.
        to_bus: frames handed to the bus interface.
        dropped: frames that did not reach somebody on this bus.
        recovered_at: when it was last mended, seconds since 1970.
        recovery: what was mended then, in a sentence.
        controller: what the plugin says of the CAN controller.
        troubles: what is wrong with the bus, and not with one member alone.
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
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class Overview:
    """A plugin and its networks.

    Attributes:
        plugin: its name.
        version: its version; empty if it does not say.
        recovery: ``auto`` or ``fail-fast``; empty if it does not say.
        started: seconds since 1970.
        now: the host's clock when it answered.
        networks: by name.
        troubles: all that ``/health`` gives as reasons.
    """

    plugin: str
    version: str = ""
    recovery: str = ""
    started: float | None = None
    now: float | None = None
    networks: tuple[NetworkView, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the plugin has all on record that the engine has."""
        told = {each.kind for net in self.networks for each in net.troubles}
        return not told & {UNKNOWN_NETWORK, UNKNOWN_ENDPOINT}

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        parts = [each.verdict for each in self.networks]
        return worst([Verdict.FAIL if self.troubles else Verdict.OK, *parts])


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of some verdicts."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.OK)


SCHEMA = 1
"""The version of the status document that is read here."""


def overview(plugin: str, networks: Sequence[Network], status: Mapping[str, Any]) -> Overview:
    """Put the engine's and the plugin's knowledge together.

    Raises:
        CliError: the document is none that this command knows.
    """
    schema = status.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise CliError(
            f"plugin {plugin} gives a status of schema {schema}, and this command reads {SCHEMA}; "
            "upgrade the older of the two"
        )
    try:
        return _overview(plugin, networks, status)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CliError(
            f"plugin {plugin} gives a status that cannot be read ({error!r}); upgrade it, or this "
            "command"
        ) from error


def _overview(plugin: str, networks: Sequence[Network], status: Mapping[str, Any]) -> Overview:
    troubles = tuple(map(_trouble, status.get("reasons") or ()))
    known = {each["network"]: each for each in status.get("networks") or ()}
    views = [
        _network(each.name, known[each.id], each, troubles) if each.id in known else _unknown(each)
        for each in networks
    ]
    listed = {each.id for each in networks}
    views += [
        _network(f"(network {key[:12]})", found, None, troubles)
        for key, found in known.items()
        if key not in listed
    ]
    return Overview(
        plugin=plugin,
        version=status.get("version") or "",
        recovery=status.get("recovery") or "",
        started=status.get("started"),
        now=status.get("now"),
        networks=tuple(views),
        troubles=troubles,
    )


def _trouble(reason: Mapping[str, Any]) -> Trouble:
    return Trouble(
        reason.get("kind") or "unknown",
        reason.get("text") or "the plugin does not say what",
        reason.get("bus") or "",
        reason.get("endpoint"),
    )


def _unknown(network: Network) -> NetworkView:
    """A network that the engine has and the plugin does not."""
    text = (
        f"network {network.name} is not on the plugin's record; run 'evercan adopt', or remove "
        "and create it again"
    )
    members = tuple(
        MemberView(each.container, each.endpoint, "", "not on record", Verdict.FAIL)
        for each in network.members
    )
    return NetworkView(
        name=network.name,
        id=network.id,
        bus="",
        kind="",
        state="not on record",
        bus_verdict=Verdict.FAIL,
        verdict=Verdict.FAIL,
        members=members,
        troubles=(Trouble(UNKNOWN_NETWORK, text),),
    )


def _network(
    name: str, found: Mapping[str, Any], engine: Network | None, troubles: Sequence[Trouble]
) -> NetworkView:
    bus = found.get("bus") or ""
    names = {each.endpoint: each.container for each in engine.members} if engine else {}
    mine = {each["endpoint"] for each in found.get("endpoints") or ()}
    on_bus = tuple(each for each in troubles if each.bus == bus and each.endpoint is None)
    members = tuple(
        sorted(
            (
                _member(each, names, [t for t in troubles if t.endpoint == each["endpoint"]])
                for each in found.get("endpoints") or ()
            ),
            key=lambda each: each.container,
        )
    )
    if engine is not None and any(key not in mine for key in names):
        lost = sorted(names[key] for key in names if key not in mine)
        on_bus += (
            Trouble(
                UNKNOWN_ENDPOINT,
                f"{', '.join(lost)}: running, and not on the plugin's record; run 'evercan adopt'",
                bus,
            ),
        )
    controller = found.get("controller") or {}
    state, verdict = _bus_state(found, controller)
    verdict = worst([verdict, Verdict.FAIL if on_bus else Verdict.OK])
    recovery = found.get("last_recovery") or {}
    frames = found.get("frames") or {}
    return NetworkView(
        name=name,
        id=found["network"],
        bus=bus,
        kind=found.get("kind") or "",
        state=state,
        bus_verdict=verdict,
        verdict=worst([verdict, *(each.verdict for each in members)]),
        owns_bus=bool(found.get("owns_bus")),
        members=members,
        from_bus=_figure(frames, "from_bus", "handled"),
        to_bus=_figure(frames, "to_bus", "handled"),
        dropped=_sum(_figure(frames, way, "dropped") for way in frames),
        recovered_at=recovery.get("at"),
        recovery=recovery.get("what") or "",
        controller=controller,
        troubles=on_bus,
    )


def _figure(frames: Mapping[str, Any], way: str, fate: str) -> int | None:
    return (frames.get(way) or {}).get(fate)


def _sum(figures: Iterator[int | None]) -> int | None:
    known = [each for each in figures if each is not None]
    return sum(known) if known else None


AT_REST = ("dormant", "left")
"""States of a container that does not run: nothing is wanted of it until it starts again."""

_CONTROLLER = {
    "error-active": ("error-active", Verdict.OK),
    "error-warning": ("error-warning", Verdict.WARN),
    "error-passive": ("error-passive", Verdict.WARN),
    "bus-off": ("bus-off", Verdict.FAIL),
    "stopped": ("down", Verdict.FAIL),
}


def _bus_state(found: Mapping[str, Any], controller: Mapping[str, Any]) -> tuple[str, Verdict]:
    if not found.get("present"):
        return "absent", Verdict.FAIL
    if not found.get("up"):
        return "down", Verdict.FAIL
    state = controller.get("state")
    if state:
        return _CONTROLLER.get(state, (str(state), Verdict.WARN))
    return "up", Verdict.OK


def _member(
    found: Mapping[str, Any], names: Mapping[str, str], troubles: Sequence[Trouble]
) -> MemberView:
    key = found["endpoint"]
    frames = found.get("frames") or {}
    state, verdict = _member_state(found)
    if troubles and verdict is Verdict.OK:
        state = troubles[0].kind
    return MemberView(
        container=names.get(key) or f"({key[:12]})",
        endpoint=key,
        host_end=found.get("host_end") or "",
        state=state,
        verdict=Verdict.FAIL if troubles else verdict,
        sent=frames.get("sent"),
        received=frames.get("received"),
        dropped=frames.get("dropped"),
        troubles=tuple(troubles),
    )


def _member_state(found: Mapping[str, Any]) -> tuple[str, Verdict]:
    phase = found.get("phase") or "unknown"
    if phase in AT_REST:
        return phase, Verdict.OK
    if not found.get("present"):
        return "gone", Verdict.FAIL
    if found.get("up") is False:
        return "down", Verdict.FAIL
    return phase, Verdict.OK
