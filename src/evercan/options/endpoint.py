"""The options of an endpoint: one container's place on a network."""

from __future__ import annotations

from collections.abc import Mapping

from evercan.errors import OptionError, shown
from evercan.model.access import NOTHING_ASKED, AskedAccess
from evercan.model.names import why_invalid
from evercan.options.access import ACCESS_OPTIONS, asked_access
from evercan.options.reading import PEER, own_options, peer_prefix
from evercan.values import NamedTuple

NAME = "vxcan.name"
ENDPOINT_OPTIONS = (PEER, NAME, *ACCESS_OPTIONS)

IFNAME = "com.docker.network.endpoint.ifname"
"""The engine's own option for the whole name inside a container (compose ``interface_name``).

Every engine since 28 sends it to the plugin; from 29.8 on it applies the ``DstName`` that
Join answers, before that it ignores it (moby#52866). Nothing else that it sends differs,
so the plugin cannot find out which engine it has.
"""

PORTMAP = "com.docker.network.portmap"
"""The engine's own option for the ports that ``docker run -p`` publishes."""

_PORTS = 5
"""Ports that are written out."""

_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}

IFNAME_SETTING = "EVERCAN_ENGINE_IFNAME"
"""The setting of the plugin for engines that apply it."""


class EndpointOptions(NamedTuple):
    """What a user asks for one container's place on a network.

    Attributes:
        peer_prefix: ``vxcan.peer``; None uses the network's.
        altname: ``vxcan.name``, a second name of the interface inside the container.
        ifname: the whole name inside the container, which the engine gives the interface.
        access: what it may send and receive, where that is asked for.
    """

    peer_prefix: str | None = None
    altname: str | None = None
    ifname: str | None = None
    access: AskedAccess = NOTHING_ASKED


def endpoint_options(
    options: Mapping[str, object], *, ifname_applied: bool = True
) -> EndpointOptions:
    """Read an endpoint's driver options, which arrive flat among the engine's own.

    Args:
        options: the map.
        ifname_applied: the engine gives an interface the name that the driver answers.

    Raises:
        OptionError: names the first option that is unknown, malformed or too long; also
            for an interface name asked of an engine that ignores it.
    """
    own = own_options(options, ENDPOINT_OPTIONS)
    prefix = peer_prefix(own[PEER]) if PEER in own else None
    if (name := own.get(NAME)) is not None and (why := why_invalid(name)) is not None:
        raise OptionError(NAME, name, f"the name {why}", "choose one such as 'powertrain'")
    ifname = _ifname(options.get(IFNAME), applied=ifname_applied)
    if ifname is not None and ifname == name:
        raise OptionError(NAME, name, f"is the name that {IFNAME} gives", "remove one of the two")
    return EndpointOptions(prefix, name, ifname, asked_access(own))


def _ifname(value: object, *, applied: bool) -> str | None:
    if value is None or value == "":
        return None
    if not applied:
        raise OptionError(
            IFNAME,
            value,
            "engines before 29.8 ignore it for network plugins",
            f"remove it (interface_name in compose), and set the prefix of the name with {PEER}; "
            f"on an engine of 29.8 or newer set {IFNAME_SETTING}=on",
        )
    if not isinstance(value, str):
        raise OptionError(IFNAME, value, "is not text", "give it as a quoted string")
    if (why := why_invalid(value)) is not None or value == "lo":
        why = why or "is that of the loopback interface"
        raise OptionError(IFNAME, value, f"the name {why}", "choose one such as 'can0'")
    return value


def published_ports(options: Mapping[str, object]) -> str:
    """Write the ports that a container publishes, as ``docker ps`` does; empty if none.

    Args:
        options: an endpoint's options, with the engine's ``types.PortBinding`` in them.
    """
    bindings = options.get(PORTMAP)
    if not isinstance(bindings, list):
        return ""
    ports = [_port(binding) for binding in bindings if isinstance(binding, Mapping)]
    return ", ".join(ports[:_PORTS]) + (", …" if len(ports) > _PORTS else "")


def _port(binding: Mapping[str, object]) -> str:
    inside, outside, number = (binding.get(key) for key in ("Port", "HostPort", "Proto"))
    protocol = _PROTOCOLS.get(number, shown(number)) if isinstance(number, int) else shown(number)
    return f"{shown(outside or 'any')}->{shown(inside)}/{protocol}".replace("'", "")
