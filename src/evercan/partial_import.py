"""Lets a module of a package be imported alone, without all that the package's ``__init__`` loads.

Some libraries import everything they have as soon as anything of them is imported. A
substitute with the package's name and path takes its place, so that its modules load as
usual, and becomes the whole package as soon as something else of it is used. A release
that needs more of its own ``__init__`` therefore still works, only more slowly, and
``tests/unit/test_start_path.py`` fails to say so.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _PartialPackage(ModuleType):
    """A package whose ``__init__`` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Run ``__init__`` for a name that is not a module, and return the name."""
        spec = self.__spec__
        # Python itself asks any module for such names, and must not load the package.
        if spec is None or spec.loader is None or (name.startswith("__") and name != "__all__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            raise AttributeError(f"{self.__name__}.{name} has to be imported", name=name)
        self.__class__ = ModuleType  # type: ignore[assignment] # one way, and the layouts agree
        spec.loader.exec_module(self)
        return getattr(self, name)


def allow(package: str, **values: object) -> None:
    """Let modules of a package be imported alone from now on.

    A package that is loaded already is used as it is.

    Args:
        package: its name.
        values: what its modules need of its ``__init__``, with the values that they get
            until that has run.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _PartialPackage
    vars(module).update(values)
    sys.modules[package] = module
