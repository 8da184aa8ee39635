"""Loads pyroute2's link codec without the rest of pyroute2.

``import pyroute2`` loads every protocol that the library knows: about 25 MB and 165 ms, of
which the codec of link messages is a sixth, and it needs nothing of the package's
``__init__``.
"""

from __future__ import annotations

import importlib
from typing import Any

from evercan import partial_import


def load_ifinfmsg() -> Any:
    """Return the class ``pyroute2.netlink.rtnl.ifinfmsg.ifinfmsg``.

    A pyroute2 that somebody else has loaded already is used as it is.
    """
    partial_import.defer("pyroute2")
    return importlib.import_module("pyroute2.netlink.rtnl.ifinfmsg").ifinfmsg
