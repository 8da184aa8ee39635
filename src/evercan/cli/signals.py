"""Signals that end a command which runs in an event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress


def at_signals(act: Callable[[], object], *numbers: signal.Signals) -> None:
    """Call a function in the running loop at each of some signals.

    On a system whose loop takes no handlers, Ctrl-C still raises KeyboardInterrupt.
    """
    loop = asyncio.get_running_loop()
    for number in numbers:
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, act)
