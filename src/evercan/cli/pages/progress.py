"""Show on a terminal how far a command is that takes longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evercan.cli.pages.terminal import console

_AFTER = 2.0
"""Seconds after which something is shown."""


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Provide what shows a line on standard error; it shows nothing in a pipe."""
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield lambda _: None
        return
    status = errors.status("")
    started = time.monotonic()

    def show(text: str) -> None:
        if time.monotonic() - started >= _AFTER:
            status.start()
            status.update(text)

    try:
        yield show
    finally:
        status.stop()
