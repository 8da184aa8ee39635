"""Checks ``vxcan.name``, the second name of an interface inside a container."""

from __future__ import annotations

import re

from evercan.errors import OptionError
from evercan.model.declared import Declared
from evercan.model.observed import Observed
from evercan.options.endpoint import NAME


def require_free(declared: Declared, observed: Observed, altname: str, prefix: str) -> None:
    """Reject a name that something else has, or may get.

    In the container, that is what the engine may call an interface: a network's prefix
    and a number. On the host, where the interface is created, it is every name except those
    of other container ends, which are about to be moved.

    Args:
        declared: whose prefixes and buses count.
        observed: the host.
        altname: the name that is asked for.
        prefix: what the engine calls the interface itself, before its number.

    Raises:
        OptionError: it is something else's.
    """
    prefixes = {prefix, "eth", *(network.peer_prefix for network in declared.networks.values())}
    prefixes |= {endpoint.peer_prefix for endpoint in declared.endpoints.values()}
    for known in sorted(prefixes):
        if re.fullmatch(rf"{re.escape(known)}[0-9]+", altname):
            raise OptionError(
                NAME,
                altname,
                f"the engine may give an interface inside this name: {known} and a number",
                "choose a name of another form, such as 'powertrain'",
            )
    ends = {endpoint.container_end for endpoint in declared.endpoints.values()}
    link = observed.find(altname)
    on_host = link is not None and link.name not in ends
    wanted = declared.host_interfaces()
    if altname == "lo" or on_host or altname in wanted:
        raise OptionError(
            NAME,
            altname,
            "the host has an interface of that name, and the container's is created there",
            "choose another name",
        )
