"""The extra ``evercan[workbench]``, which commands that decode, record and play need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evercan.cli.errors import CliError

_PACKAGES = {"aiohttp", "asammdf", "can", "cantools", "numpy"}


@contextmanager
def workbench(purpose: str) -> Iterator[None]:
    """Import packages of the extra in a block; say how to install it if one is missing.

    Args:
        purpose: what needs them: a command or an option.

    Raises:
        CliError: one is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in _PACKAGES:
            raise
        raise CliError(
            f"{purpose} needs the Python package {name}, which is missing",
            "install it: pip install 'evercan[workbench]'",
        ) from error
