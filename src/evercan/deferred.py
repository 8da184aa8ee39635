"""Puts off the modules that libraries import and that the plugin does not use at its start.

Import this before everything else. None of these modules runs before the first answer, and most
of them never do.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from evercan import partial_import
from evercan.values import dataclass


def _attrs(*classes: type, **options: Any) -> Any:
    """Stand in for ``attr.s``: aiohttp's server uses it only for frozen classes with slots."""
    if not classes and options == {"auto_attribs": True, "frozen": True, "slots": True}:
        return dataclass(frozen=True, slots=True)
    attr: Any = import_module("attr")
    return attr.attrs(*classes, **options)  # another name of attr.s, so that attr runs


# asyncio, uvloop and aiohttp: whether functions are coroutines, in calls that evercan avoids.
partial_import.defer("inspect", "isgenerator", "iscoroutinefunction")
# logging and subprocess: tracebacks, text that processes print.
partial_import.defer("textwrap", "indent")
partial_import.defer("locale")
# pathlib: patterns.
partial_import.defer("fnmatch")
# aiohttp: its client, forms, files and error pages. Names with letters beyond ASCII in URLs.
partial_import.defer("attr", s=_attrs)
partial_import.defer("html", "escape")
partial_import.defer("idna")
partial_import.defer("mimetypes")
partial_import.defer("tempfile", "SpooledTemporaryFile")
partial_import.defer("urllib.request", "getproxies", "proxy_bypass")
# evercan: names of interfaces, sample points.
partial_import.defer("decimal", "Decimal")
partial_import.defer("hashlib")
