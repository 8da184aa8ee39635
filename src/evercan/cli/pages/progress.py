"""Show on a terminal how far a command is that takes longer than a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evercan.cli.pages.terminal import console

_AFTER = 2.0
"""Seconds after which something is shown."""


@contextmanager
def progress(text: str = "") -> Iterator[Callable[[str], None]]:
    """Provide what changes a line on standard error; in a pipe there is no line.

    Args:
        text: the line at first.
    """
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield lambda _: None
        return
    status = errors.status(text)
    lock, over = threading.Lock(), threading.Event()

    def begin() -> None:
        with lock:
            if not over.is_set():
                status.start()

    timer = threading.Timer(_AFTER, begin)
    timer.daemon = True
    timer.start()
    try:
        yield status.update
    finally:
        timer.cancel()
        with lock:
            over.set()
            status.stop()
