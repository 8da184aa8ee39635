"""Puts off running a module until something of it is used.

Libraries import more than a plugin's start needs. A substitute with the module's name and
path takes its place, and runs it when something is used that the substitute does not have.
Modules inside a package whose ``__init__`` is put off load as usual. So a release that uses
more of a module still works, only more slowly, and ``tests/unit/test_start_path.py`` fails to
say so.
"""

from __future__ import annotations

import importlib.util
import sys
from _thread import RLock
from collections.abc import Callable
from types import ModuleType
from typing import Any

_lock = RLock()
_running: set[str] = set()


class _Deferred(ModuleType):
    """A module that has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Run the module for a name that it may define, and return what the name stands for."""
        # Python itself asks any module for such names, and must not run it.
        if name.startswith("__") and name != "__all__":
            raise self._missing(name)
        inside = f"{self.__name__}.{name}"
        if "__path__" in vars(self) and importlib.util.find_spec(inside) is not None:
            raise self._missing(name)  # a module of the package, which has to be imported
        with _lock:
            if self.__name__ in _running:  # its own imports ask for what it does not have yet
                raise self._missing(name)
            _run(self)
        return getattr(self, name)

    def _missing(self, name: str) -> AttributeError:
        return AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)


def _run(module: ModuleType) -> None:
    """Run a module unless it has run already."""
    spec = module.__spec__
    if not isinstance(module, _Deferred) or spec is None or spec.loader is None:
        return
    _running.add(module.__name__)
    try:
        spec.loader.exec_module(module)
    finally:
        _running.discard(module.__name__)
    module.__class__ = ModuleType  # type: ignore[assignment] # one way, and the layouts agree


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    """Return what can be called in place of something that a module defines."""

    def call(*args: Any, **keywords: Any) -> Any:
        with _lock:
            _run(module)
        return getattr(module, name)(*args, **keywords)

    return call


def defer(name: str, *functions: str, **values: object) -> None:
    """Put off running a module from now on.

    A module that is loaded already is used as it is.

    Args:
        name: the module's name.
        functions: what is imported from it only in order to be called.
        values: what else is used of it at the start, with the values that this gets until
            the module has run.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    vars(module).update(values, **{function: _function(module, function) for function in functions})
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package:
        setattr(sys.modules[package], last, module)


def deferred() -> list[str]:
    """Return the names of the modules that were put off and have not run."""
    return [name for name, module in sys.modules.items() if isinstance(module, _Deferred)]
