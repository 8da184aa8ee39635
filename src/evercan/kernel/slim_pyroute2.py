"""pyroute2's link codec without the rest of pyroute2.

``import pyroute2`` loads every protocol that the library speaks: about 25 MB
and 165 ms, of which the codec of link messages is a sixth. The codec imports
nothing from the package's ``__init__``, so it is loaded beneath an empty
stand-in of that package. ``tests/unit/test_slim_pyroute2.py`` fails on the day
a release of pyroute2 makes this untrue.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any


def load_ifinfmsg() -> Any:
    """Return the class ``pyroute2.netlink.rtnl.ifinfmsg.ifinfmsg``.

    A pyroute2 that somebody else has loaded already is used as it is.
    """
    if "pyroute2" not in sys.modules:
        spec = importlib.util.find_spec("pyroute2")
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("pyroute2 is not installed", name="pyroute2")
        package = types.ModuleType("pyroute2")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules["pyroute2"] = package
    return importlib.import_module("pyroute2.netlink.rtnl.ifinfmsg").ifinfmsg
