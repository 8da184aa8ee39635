"""Answers many readers with what was read one time, for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Recent:
    """Reads at most once per period, whoever asks and however often."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], age: float) -> None:
        """Take what reads.

        Args:
            read: reads the value.
            age: seconds for which the result is used, also if it is an error.
        """
        self._read = read
        self._age = age
        self._reading: asyncio.Task[bytes] | None = None
        self._ended = 0.0

    async def read(self) -> bytes:
        """Return what was read last; read again if that is too old."""
        reading = self._reading
        if reading is None or (reading.done() and time.monotonic() > self._ended + self._age):
            reading = self._reading = asyncio.ensure_future(self._once())
            reading.add_done_callback(self._over)
        # Shielded: others wait for the same result.
        return await asyncio.shield(reading)

    async def _once(self) -> bytes:
        return await self._read()

    def _over(self, reading: asyncio.Task[bytes]) -> None:
        self._ended = time.monotonic()
        if not reading.cancelled():
            reading.exception()  # retrieved even if everybody who waited has gone
