"""Provides aiohttp's server without its client and router, by the names of ``aiohttp.web``.

``aiohttp.web`` loads the client, its resolver, cookie jar and tracing: a third of the time
and of the memory, and a plugin makes no HTTP requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from evercan import BACKLOG, partial_import

# The version is used in the header ``Server`` only.
partial_import.defer("aiohttp", __version__="")

from aiohttp.web_exceptions import HTTPException  # noqa: E402 - after the line above
from aiohttp.web_request import BaseRequest as Request  # noqa: E402
from aiohttp.web_response import Response  # noqa: E402
from aiohttp.web_server import Server  # noqa: E402

__all__ = ["HTTPException", "Handler", "Pages", "Request", "Response"]

PUBLIC_CONNECTIONS = 16
"""Connections on TCP at the same time: more are closed at once."""

PUBLIC_TIME = 30.0
"""Seconds that a connection on TCP may take: one request and its answer."""

PUBLIC_REQUEST = 1 << 16
"""Bytes that may be sent on a connection on TCP."""

Handler = Callable[[Request], Awaitable[Response]]


class _PublicConnection(asyncio.Protocol):
    """A connection on TCP: one request, within bounds of time and size.

    Whoever reaches the address can open connections. Without the bounds they would take the
    descriptors that the engine's calls need.
    """

    def __init__(self, serve: Server, open_ones: set[_PublicConnection]) -> None:
        self._serve = serve
        self._open = open_ones
        self._received = 0
        self._handler: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._ending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._open) >= PUBLIC_CONNECTIONS:
            self._transport.abort()
            return
        self._open.add(self)
        self._ending = asyncio.get_running_loop().call_later(PUBLIC_TIME, self._transport.abort)
        self._handler = self._serve()
        self._handler.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        if self._ending is not None:
            self._ending.cancel()
        if self._handler is not None:
            self._handler.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._transport is not None and self._received > PUBLIC_REQUEST:
            self._transport.abort()
        elif self._handler is not None:
            self._handler.data_received(data)

    def eof_received(self) -> None:
        if self._handler is not None:
            self._handler.eof_received()

    def pause_writing(self) -> None:
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        if self._handler is not None:
            self._handler.resume_writing()


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
        self._servers: list[Server] = []
        self._listening: list[asyncio.AbstractServer] = []
        self._public: set[_PublicConnection] = set()

    async def start(self, bound: socket.socket) -> None:
        """Serve on a listening socket; calls that wait in its backlog are answered first."""
        server = Server(self._handle, access_log=None)
        self._servers.append(server)
        loop = asyncio.get_running_loop()
        self._listening.append(
            # The loop calls listen() again, by default with a backlog of 100: the calls
            # beyond that would be refused.
            await loop.create_unix_server(server, sock=bound, backlog=BACKLOG)
        )

    async def publish(self, host: str, port: int) -> None:
        """Serve on a TCP address: few connections, of one request each.

        Raises:
            OSError: it cannot be bound.
        """
        server = Server(self._handle_public, access_log=None)
        self._servers.append(server)
        loop = asyncio.get_running_loop()
        self._listening.append(
            await loop.create_server(
                lambda: _PublicConnection(server, self._public),
                host,
                port,
            )
        )

    async def close(self, wait: float) -> None:
        """Answer the calls that are running, and end all connections.

        Args:
            wait: seconds that the calls may take.
        """
        for listening in self._listening:
            listening.close()
        await asyncio.sleep(0)  # lets a call that has just arrived begin
        for server in self._servers:
            server.pre_shutdown()
        for server in self._servers:
            await server.shutdown(wait)

    async def _handle_public(self, request: Request) -> Response:
        answer = await self._handle(request)
        answer.force_close()
        return answer

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        page = self._pages.get((request.method, request.path), self._otherwise)
        return await page(request)
