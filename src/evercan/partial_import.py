"""Enters a package by the side door: one of its modules, without all that its ``__init__`` loads.

Some libraries import everything they have as soon as anything of them is asked
for. What is put in their place here has the package's name and path, so that
its modules load as ever, and turns into the whole package the moment that
something else of it is wanted. A release that needs more of its own ``__init__``
therefore works as before, only slower: ``tests/unit/test_start_path.py`` says so
on that day.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _SideDoor(ModuleType):
    """A package whose ``__init__`` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Leave modules and what Python asks of any module alone; become whole for the rest."""
        spec = self.__spec__
        if spec is None or spec.loader is None or (name.startswith("__") and name != "__all__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            raise AttributeError(f"{self.__name__}.{name} is to be imported", name=name)
        self.__class__ = ModuleType  # type: ignore[assignment] # one way, and the layouts agree
        spec.loader.exec_module(self)
        return getattr(self, name)


def enter(package: str, **stand_ins: object) -> None:
    """Let modules of a package be imported alone from now on.

    A package that somebody has loaded already is used as it is.

    Args:
        package: its name.
        stand_ins: what its modules ask of its ``__init__`` and may have another value
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
    module.__class__ = _SideDoor
    vars(module).update(stand_ins)
    sys.modules[package] = module
