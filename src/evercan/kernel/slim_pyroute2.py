"""pyroute2's link codec without the rest of pyroute2.

``import pyroute2`` loads every protocol that the library speaks: about 25 MB
and 165 ms, of which the codec of link messages is a sixth, and it asks nothing
of the package's ``__init__``.
"""

from __future__ import annotations

import importlib
from typing import Any

from evercan import side_door


def load_ifinfmsg() -> Any:
    """Return the class ``pyroute2.netlink.rtnl.ifinfmsg.ifinfmsg``.

    A pyroute2 that somebody else has loaded already is used as it is.
    """
    side_door.enter("pyroute2")
    return importlib.import_module("pyroute2.netlink.rtnl.ifinfmsg").ifinfmsg
