"""Serve the page of ``evercan web``: its files, snapshots as server-sent events, and a token.

Only the extra has aiohttp, so this module is imported when the command is used.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from aiohttp import web

_PAGE = resources.files("evercan.cli.pages") / "web_page"
_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("page", "dom", "topology", "draw", "charts", "ids", "lists")
    },
}
"""The files of the page, by their paths."""

_LOGIN = "/login"
_HIDDEN = " hidden"
"""Hides, in the sign-in, that the token was wrong."""

_OPEN = (_LOGIN, "/style.css", "/icon.svg")
"""What is served without a token."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_STREAMS = 32
"""Pages that can be open at a time."""

_STALLED = 20.0
"""Seconds after which a page that takes no snapshot is disconnected; it connects again."""

_KEYS = 64
"""Signals that one request can ask for."""

_FORM_SIZE = 4096
_YEAR = 365 * 24 * 3600

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Source(Protocol):
    """Where snapshots come from; `evercan.cli.access.live.Live` is one."""

    on_snapshot: Callable[[dict[str, Any]], None]

    def history(self) -> dict[str, Any]:
        """Return rate and load of each bus over the last minutes."""
        ...

    def signals(self, keys: Collection[str]) -> dict[str, list[tuple[float, float]]]:
        """Return the values of signals over the last minutes."""
        ...


@dataclass(frozen=True)
class Access:
    """Who may see the page.

    Attributes:
        token: what they have to give; empty if nothing.
        names: names by which browsers may call this host, besides its addresses and localhost.
    """

    token: str = ""
    names: Collection[str] = ()

    def names_this_host(self, host: str) -> bool:
        """Whether a Host header names this host.

        A page of another site can let its own name lead to this host's address, and would then
        be allowed to read the answers; but the header has that name.
        """
        name = host.rpartition(":")[0] if _has_port(host) else host
        name = name.strip("[]").rstrip(".").casefold()
        if name == "localhost" or name in {known.casefold() for known in self.names}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def is_token(self, given: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    @property
    def session(self) -> str:
        """What a browser keeps in place of the token."""
        return hmac.new(self.token.encode(), b"evercan web session", "sha256").hexdigest()

    def allows(self, request: web.Request) -> bool:
        """Whether a request has the token, or the session that followed from it."""
        if not self.token:
            return True
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and self.is_token(given.strip()):
            return True
        kept = request.cookies.get(cookie_of(request), "")
        return hmac.compare_digest(kept.encode(errors="replace"), self.session.encode())


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and (host.count(":") == 1 or "]:" in host)


def cookie_of(request: web.Request) -> str:
    """Return the cookie's name; browsers give a host's cookies to all of its ports."""
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    return f"evercan-web-{socket[1]}" if socket else "evercan-web"


class Pages:
    """The pages that are open, and what they are sent.

    Attributes:
        stopping: whether the server ends.
    """

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        """Take the source of snapshots, and the loop that the server runs in."""
        self._source, self._loop = source, loop
        self.stopping = False
        self._open = 0
        self._latest = b""
        self._next = asyncio.Event()
        source.on_snapshot = self._publish

    def _publish(self, snapshot: dict[str, Any]) -> None:
        """Take a snapshot from another thread."""
        if self._open:
            text = event("snapshot", snapshot)
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._take, text)

    def _take(self, text: bytes) -> None:
        self._latest = text
        self._wake()

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    def stop(self) -> None:
        """End all streams."""
        self.stopping = True
        self._wake()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send the history, then each snapshot; a slow page leaves some out."""
        if self._open >= _STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{_STREAMS} pages are open already\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._open += 1
        try:
            await response.prepare(request)
            await response.write(event("history", self._source.history()))
            while not self.stopping:
                await self._next.wait()
                async with asyncio.timeout(_STALLED):
                    await response.write(self._latest)
        except (ConnectionError, TimeoutError):
            pass  # the page was closed, or its machine sleeps
        finally:
            self._open -= 1
        return response

    async def signals(self, request: web.Request) -> web.Response:
        """Send the values of signals over the last minutes."""
        keys = request.query.getall("key", [])[:_KEYS]
        return web.json_response(text=_json(self._source.signals(keys)))


def event(kind: str, document: dict[str, Any]) -> bytes:
    """Format a server-sent event."""
    return f"event: {kind}\ndata: {_json(document)}\n\n".encode()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Site:
    """Checks requests, and answers those for files and for the sign-in."""

    def __init__(self, access: Access) -> None:
        """Take who may see the page."""
        self._access = access

    @web.middleware
    async def check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer a request only if it names this host and has the token."""
        if not self._access.names_this_host(request.headers.get("Host", "")):
            text = (
                "this server is not known by the name in the address; use its IP address, or "
                "start it with --name NAME\n"
            )
            raise web.HTTPMisdirectedRequest(text=text)
        if request.path == "/" and self._has_token(request.query.get("token")):
            return self._signed_in(request)
        if request.path in _OPEN or self._access.allows(request):
            return await handler(request)
        if request.path == "/":
            raise web.HTTPSeeOther(_LOGIN)
        raise web.HTTPUnauthorized(text="a token is required\n")

    def _has_token(self, given: object) -> bool:
        return bool(self._access.token) and self._access.is_token(str(given).strip())

    def _signed_in(self, request: web.Request) -> web.Response:
        """Let the browser keep the session, and forget the token in the address."""
        answer = web.Response(status=303, headers={"Location": "/"})
        session = self._access.session
        answer.set_cookie(
            cookie_of(request), session, max_age=_YEAR, httponly=True, samesite="Strict"
        )
        return answer

    async def login(self, request: web.Request) -> web.Response:
        """Ask for the token, and take it."""
        if request.method != "POST":
            text = _text("login.html")
            if "wrong" in request.query:
                text = text.replace(_HIDDEN, "")
            return _answer(text, "text/html")
        form = await request.post()
        if self._has_token(form.get("token")):
            return self._signed_in(request)
        raise web.HTTPSeeOther(f"{_LOGIN}?wrong")

    async def file(self, request: web.Request) -> web.Response:
        """Send a file of the page."""
        name, kind = _FILES[request.path]
        return _answer(_text(name), kind)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.pop("Server", None)


def application(pages: Pages, access: Access) -> web.Application:
    """Return the server's application."""
    site = Site(access)
    app = web.Application(middlewares=[site.check], client_max_size=_FORM_SIZE)
    app.on_response_prepare.append(_add_headers)
    for path in _FILES:
        app.router.add_get(path, site.file)
    app.router.add_route("GET", _LOGIN, site.login)
    app.router.add_route("POST", _LOGIN, site.login)
    app.router.add_get("/events", pages.events, allow_head=False)
    app.router.add_get("/signals", pages.signals)
    return app


def _text(name: str) -> str:
    return (_PAGE / name).read_text("utf-8")


def _answer(text: str, kind: str) -> web.Response:
    return web.Response(text=text, content_type=kind, charset="utf-8")


class Server:
    """The server, while it listens."""

    def __init__(self, source: Source, access: Access) -> None:
        """Take the source of snapshots, and who may see them."""
        self._source, self._access = source, access
        self._pages: Pages | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._pages = Pages(self._source, asyncio.get_running_loop())
        # No log of requests: the first one can have the token in its path.
        self._runner = web.AppRunner(
            application(self._pages, self._access), access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """End all streams, and stop listening."""
        if self._pages is not None:
            self._pages.stop()
        if self._runner is not None:
            await self._runner.cleanup()
