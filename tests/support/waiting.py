"""Waiting for what comes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(holds: Callable[[], bool], *, within: float = 10.0) -> None:
    """Return as soon as it holds; TimeoutError when it does not come to."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - the kernel of a test rings no bell
            await asyncio.sleep(0.005)
