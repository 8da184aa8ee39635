"""Waits for conditions that the plugin fulfils without a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def wait_until(condition: Callable[[], bool], *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the caller's bound
    """Return as soon as a condition is true.

    Raises:
        TimeoutError: it is not true within ``timeout`` seconds.
    """
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - a fake kernel notifies nobody
            await asyncio.sleep(0.005)
