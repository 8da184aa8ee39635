"""Docker's option maps, as typed values; what is unknown or bad is refused by name.

Values arrive as strings, from ``-o`` of ``docker network create`` and from
``driver_opts`` in a compose file. Keys outside ``vxcan.`` belong to others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from evercan.controller import NO_SETTINGS, ControllerSettings, written
from evercan.controller_options import CONTROLLER_OPTIONS, controller_settings
from evercan.errors import OptionError, shown
from evercan.model import BusKind
from evercan.names import complaint

DEV, ID, PEER = "vxcan.dev", "vxcan.id", "vxcan.peer"
KIND, NAME = "vxcan.kind", "vxcan.name"
NETWORK_OPTIONS = (DEV, ID, PEER, KIND, *CONTROLLER_OPTIONS)
ENDPOINT_OPTIONS = (PEER, NAME)

AUTO = "auto"
"""The ``vxcan.kind`` that leaves it to what is there."""

IFNAME = "com.docker.network.endpoint.ifname"


class NetworkOptions(NamedTuple):
    """What a user says of a network.

    Attributes:
        bus: ``vxcan.dev`` and ``vxcan.id``, the bus interface on the host.
        peer_prefix: ``vxcan.peer``.
        kind: ``vxcan.kind``; None is ``auto``.
        settings: what the controller is to be set to.
    """

    bus: str = "vcan0"
    peer_prefix: str = "vcanp"
    kind: BusKind | None = None
    settings: ControllerSettings = NO_SETTINGS


class EndpointOptions(NamedTuple):
    """What a user says of one container's place on a network.

    Attributes:
        peer_prefix: ``vxcan.peer``; None leaves the network's.
        altname: ``vxcan.name``, a second name of the interface inside the container.
    """

    peer_prefix: str | None = None
    altname: str | None = None


def _own(options: Mapping[str, object], known: Collection[str]) -> dict[str, str]:
    """Pick evercan's keys out of a map; refuse unknown ones and values that are no text."""
    own: dict[str, str] = {}
    for key, value in options.items():
        if not key.startswith("vxcan."):
            continue
        if key not in known:
            raise OptionError(key, value, "unknown option", f"known here: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise OptionError(key, value, "is not text", "give it as a quoted string")
        own[key] = str(value)
    return own


def _prefix(value: str) -> str:
    if (why := complaint(value, room=1)) is not None:
        raise OptionError(
            PEER, value, f"the name's prefix {why}", "choose a prefix such as 'can' or 'vcanp'"
        )
    return value


def network_options(options: Mapping[str, object]) -> NetworkOptions:
    """Read the ``-o`` map of a network.

    Raises:
        OptionError: names the first option that is unknown, malformed or too long.
    """
    own = _own(options, NETWORK_OPTIONS)
    default = NetworkOptions()
    dev, number = own.get(DEV, "vcan"), own.get(ID, "0")
    if not re.fullmatch(r"[0-9]+", number):
        raise OptionError(ID, number, "is not a number", f"give digits, as in {ID}=0")
    if not dev:
        raise OptionError(DEV, dev, "the prefix is empty", f"give one, as in {DEV}=vcan")
    bus = f"{dev}{number}"
    if (why := complaint(bus)) is not None:
        raise OptionError(
            DEV,
            dev,
            f"the bus interface {shown(bus)} {why}",
            f"change {DEV} or {ID} (now {shown(number)})",
        )
    settings = controller_settings(own)
    kind = _kind(own.get(KIND, AUTO))
    if kind is BusKind.VIRTUAL:
        refuse_on_virtual(settings, f"{KIND}=virtual asks for a bus without a controller")
    return NetworkOptions(
        bus=bus,
        peer_prefix=_prefix(own.get(PEER, default.peer_prefix)),
        kind=kind,
        settings=settings,
    )


def _kind(value: str) -> BusKind | None:
    kinds = [AUTO, *BusKind]
    if value not in kinds:
        raise OptionError(KIND, value, "is no kind of bus", f"known here: {', '.join(kinds)}")
    return None if value == AUTO else BusKind(value)


def refuse_on_virtual(settings: ControllerSettings, why: str) -> None:
    """Refuse settings that a bus without a controller cannot have.

    Raises:
        OptionError: names the first that is given.
    """
    for name, value in settings.given():
        raise OptionError(
            f"vxcan.{name}",
            written(name, value),
            f"{why}, and only a controller can be set",
            f"remove it, or name a controller and set {KIND}=physical, which waits for it",
        )


def endpoint_options(options: Mapping[str, object]) -> EndpointOptions:
    """Read an endpoint's driver options, which arrive flat among the engine's own.

    Raises:
        OptionError: as above; also for an interface name asked of the engine,
            which the engine applies to its built-in drivers only.
    """
    if ifname := options.get(IFNAME):
        raise OptionError(
            IFNAME,
            ifname,
            "the engine ignores it for network plugins",
            f"remove it, and set the prefix of the name with {PEER}",
        )
    own = _own(options, ENDPOINT_OPTIONS)
    prefix = _prefix(own[PEER]) if PEER in own else None
    if (name := own.get(NAME)) is not None and (why := complaint(name)) is not None:
        raise OptionError(NAME, name, f"the name {why}", "choose one such as 'powertrain'")
    return EndpointOptions(peer_prefix=prefix, altname=name)
