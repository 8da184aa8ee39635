"""The options of an endpoint: one container's place on a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from evercan.errors import OptionError
from evercan.model.names import why_invalid
from evercan.options.reading import PEER, own_options, peer_prefix

NAME = "vxcan.name"
ENDPOINT_OPTIONS = (PEER, NAME)

IFNAME = "com.docker.network.endpoint.ifname"
"""The engine's own option for the whole name inside a container."""


class EndpointOptions(NamedTuple):
    """What a user asks for one container's place on a network.

    Attributes:
        peer_prefix: ``vxcan.peer``; None uses the network's.
        altname: ``vxcan.name``, a second name of the interface inside the container.
    """

    peer_prefix: str | None = None
    altname: str | None = None


def endpoint_options(options: Mapping[str, object]) -> EndpointOptions:
    """Read an endpoint's driver options, which arrive flat among the engine's own.

    Raises:
        OptionError: names the first option that is unknown, malformed or too long; also
            for an interface name asked of the engine, which applies it to built-in
            drivers only.
    """
    if ifname := options.get(IFNAME):
        raise OptionError(
            IFNAME,
            ifname,
            "the engine ignores it for network plugins",
            f"remove it, and set the prefix of the name with {PEER}",
        )
    own = own_options(options, ENDPOINT_OPTIONS)
    prefix = peer_prefix(own[PEER]) if PEER in own else None
    if (name := own.get(NAME)) is not None and (why := why_invalid(name)) is not None:
        raise OptionError(NAME, name, f"the name {why}", "choose one such as 'powertrain'")
    return EndpointOptions(peer_prefix=prefix, altname=name)
