"""Provides aiohttp's server without its client and router, by the names of ``aiohttp.web``.

``aiohttp.web`` loads the client, its resolver, cookie jar and tracing: a third of the time
and of the memory, and a plugin makes no HTTP requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

from evercan import BACKLOG, partial_import

# The version is used in the header ``Server`` only.
partial_import.allow("aiohttp", __version__="")

from aiohttp.web_exceptions import HTTPException  # noqa: E402 - after the line above
from aiohttp.web_request import BaseRequest as Request  # noqa: E402
from aiohttp.web_response import Response  # noqa: E402
from aiohttp.web_server import Server  # noqa: E402

__all__ = ["HTTPException", "Handler", "Pages", "Request", "Response"]

Handler = Callable[[Request], Awaitable[Response]]


class Pages:
    """Some pages by method and path, served on a unix socket or on a TCP address."""

    def __init__(self, pages: Mapping[tuple[str, str], Handler], otherwise: Handler) -> None:
        """Take the handlers by method and path; HEAD is answered wherever GET is.

        Args:
            pages: for example ``("GET", "/health")``.
            otherwise: answers for whatever is not among them.
        """
        heads = {("HEAD", path): page for (method, path), page in pages.items() if method == "GET"}
        self._pages = {**heads, **pages}
        self._otherwise = otherwise
        self._server: Server | None = None
        self._listening: list[asyncio.AbstractServer] = []

    def _serve(self) -> Server:
        self._server = self._server or Server(self._handle, access_log=None)
        return self._server

    async def start(self, bound: socket.socket) -> None:
        """Serve on a listening socket; calls that wait in its backlog are answered first."""
        loop = asyncio.get_running_loop()
        self._listening.append(
            # The loop calls listen() again, by default with a backlog of 100: the calls
            # beyond that would be refused.
            await loop.create_unix_server(self._serve(), sock=bound, backlog=BACKLOG)
        )

    async def publish(self, host: str, port: int) -> None:
        """Serve on a TCP address.

        Raises:
            OSError: it cannot be bound.
        """
        loop = asyncio.get_running_loop()
        self._listening.append(await loop.create_server(self._serve(), host, port))

    async def close(self, wait: float) -> None:
        """Answer the calls that are running, and end all connections.

        Args:
            wait: seconds that the calls may take.
        """
        for server in self._listening:
            server.close()
        if self._server is not None:
            await asyncio.sleep(0)  # lets a call that has just arrived begin
            self._server.pre_shutdown()
            await self._server.shutdown(wait)

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        page = self._pages.get((request.method, request.path), self._otherwise)
        return await page(request)
