"""Checks the finished root file system from inside, before it is exported.

It imports everything that the daemon may import, so that the build fails if ``assemble`` left
out a file that is needed. It also checks that no shell, compiler or package manager is there.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path

PACKAGES = ("aiohttp.web", "orjson", "prometheus_client", "pyroute2", "uvloop")
# Standard modules that are imported late, by name, or only after errors.
LATE = (
    "argparse", "asyncio", "concurrent.futures", "contextlib", "ctypes", "dataclasses",
    "email.parser", "encodings.idna", "faulthandler", "gzip", "importlib.metadata", "ipaddress",
    "json", "logging.handlers", "multiprocessing", "queue", "resource", "select", "signal",
    "socket", "statistics", "struct", "subprocess", "tempfile", "traceback",
    "typing", "urllib.parse", "uuid", "zlib",
)  # fmt: skip
LEFT_OUT = ("pip", "dbm", "tkinter", "_ssl", "_hashlib", "evercan.cli", "evercan.link")
TOOLS = ("/bin", "/sbin", "/usr/sbin", "/usr/bin/sh", "/usr/bin/gcc", "/usr/bin/apt")


def check_start() -> None:
    """Import the daemon as the plugin does.

    Raises:
        ImportError: What the start puts off has run, so that the start is slower.
    """
    importlib.import_module("evercan.deferred")
    partial_import = importlib.import_module("evercan.partial_import")
    before = set(partial_import.deferred())
    importlib.import_module("evercan.daemon")
    if run := before - set(partial_import.deferred()):
        raise ImportError(f"evercan/deferred.py puts off what the start uses: {sorted(run)}")


def main() -> None:
    """Import everything that is needed.

    Raises:
        ImportError: Something needed is missing, or something unwanted is there or runs.
    """
    check_start()
    for name in (*PACKAGES, *LATE):
        importlib.import_module(name)
    own = importlib.import_module("evercan")
    for module in pkgutil.walk_packages(own.__path__, "evercan."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LEFT_OUT:
        if importlib.util.find_spec(name) is not None:
            raise ImportError(f"{name} is in the root file system and should not be")
    if found := [tool for tool in TOOLS if Path(tool).exists()]:
        raise ImportError(f"tools in the root file system: {found}")
    print("evercan: everything imports in the root file system, under", sys.version.split()[0])


if __name__ == "__main__":
    main()
