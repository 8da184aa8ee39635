"""Names for people: second names of interfaces inside containers; pure."""

from __future__ import annotations

import re

from evercan.errors import OptionError
from evercan.model import Declared, Observed
from evercan.options import NAME


def require_free(declared: Declared, observed: Observed, altname: str, prefix: str) -> None:
    """Refuse a name that something else has, or may get, beside the interface.

    In the container, that is what the engine may call an interface: a network's prefix
    and a number. On the host, through which the interface comes and goes, it is every
    name but those of other container ends, which are about to leave.

    Args:
        declared: whose prefixes and buses count.
        observed: the host.
        altname: the name that is asked.
        prefix: what the engine calls the interface itself, before its number.

    Raises:
        OptionError: it is something else's.
    """
    prefixes = {prefix, "eth", *(each.peer_prefix for each in declared.networks.values())}
    prefixes |= {each.peer_prefix for each in declared.endpoints.values()}
    for each in sorted(prefixes):
        if re.fullmatch(rf"{re.escape(each)}[0-9]+", altname):
            raise OptionError(
                NAME,
                altname,
                f"the engine may call an interface in the container so, {each} and a number",
                "choose a name of another form, such as 'powertrain'",
            )
    ends = {each.container_end for each in declared.endpoints.values()}
    link = observed.find(altname)
    on_host = link is not None and link.name not in ends
    if altname == "lo" or on_host or altname in declared.networks_by_bus():
        raise OptionError(
            NAME,
            altname,
            "the host has an interface of that name, and the container's comes from there",
            "choose another name",
        )
