"""Reads one option map of Docker's; an unknown or malformed option is rejected by its name.

Values arrive as strings, from ``-o`` of ``docker network create`` and from
``driver_opts`` in a compose file. Keys outside ``vxcan.`` belong to others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from evercan.errors import OptionError
from evercan.model.names import why_invalid

PEER = "vxcan.peer"


def own_options(options: Mapping[str, object], known: Collection[str]) -> dict[str, str]:
    """Return evercan's options of a map, as text.

    Raises:
        OptionError: one is unknown, or its value is not text.
    """
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


def peer_prefix(value: str) -> str:
    """Check a ``vxcan.peer``.

    Raises:
        OptionError: no interface name can begin with it.
    """
    if (why := why_invalid(value, room=1)) is not None:
        raise OptionError(
            PEER, value, f"the name's prefix {why}", "choose a prefix such as 'can' or 'vcanp'"
        )
    return value
