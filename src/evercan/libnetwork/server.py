"""Serves the calls and the operators' pages on a socket that is already bound."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import orjson

from evercan.errors import EvercanError, InternalFault, RequestError, SettingsError, printable
from evercan.libnetwork import web
from evercan.libnetwork.driver import Driver
from evercan.libnetwork.recent import Recent
from evercan.libnetwork.requests import subject
from evercan.libnetwork.routes import Routes, Verb
from evercan.log.writer import about, call_id

BOUND = 8.0
"""Seconds until a call is ended: after a restart the engine itself waits for ever.

The rollback that follows may take another second, and a call is answered within 10 s.
"""

PUBLIC_AGE = 1.0
"""Seconds for which the metrics that were read for TCP answer every scrape on TCP."""

_CLOSE_TIMEOUT = 5.0
"""Seconds that connections have to end: the engine kills a plugin 10 s after SIGTERM."""

CONTENT_TYPE_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json"

_log = logging.getLogger(__name__)

View = Callable[[], Awaitable[tuple[int, Mapping[str, Any]]]]
"""A page to read with GET: the HTTP status and a JSON object."""

Scrape = Callable[[], Awaitable[bytes]]
"""All metrics, in Prometheus' text format."""

Count = Callable[[str, str, float], None]
"""Counts a call: its verb, its outcome, the seconds that it took."""


def _answer(status: int, document: Mapping[str, Any]) -> web.Response:
    return web.Response(
        status=status, body=_encode(document), headers={"Content-Type": _CONTENT_TYPE}
    )


def _encode(document: Mapping[str, Any]) -> bytes:
    """Encode an answer, in which texts are printable: docker and curl write them to terminals."""
    try:
        body = orjson.dumps(document)
    except TypeError:  # a name of an interface that is no UTF-8
        return orjson.dumps(_printable(document))
    if body.isascii() and b"\\" not in body:
        return body  # nothing in it had to be escaped
    return orjson.dumps(_printable(document))


def _printable(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case Mapping():
            return {_printable(key): _printable(item) for key, item in value.items()}
        case list() | tuple():
            return [_printable(item) for item in value]
        case _:
            return value


def _error(status: int, error: object) -> web.Response:
    return _answer(status, {"Err": str(error)})


class Server:
    """An aiohttp server of one driver."""

    def __init__(
        self, driver: Driver, views: Mapping[str, View], scrape: Scrape, called: Count
    ) -> None:
        """Set up the routes: every verb by POST, every view and the metrics by GET."""
        self._calls = count(1)
        self._called = called
        metrics = self._metrics_handler(scrape)
        pages: dict[tuple[str, str], web.Handler] = {("GET", "/metrics"): metrics}
        for name, verb in Routes(driver).by_path().items():
            pages["POST", f"/{name}"] = self._call_handler(name, verb)
        for path, view in views.items():
            pages["GET", f"/{path}"] = self._view_handler(path, view)
        self._pages = web.Pages(pages, _unknown)
        recent = Recent(scrape, PUBLIC_AGE)
        public = self._metrics_handler(recent.read)
        self._public = web.Pages({("GET", "/metrics"): public}, _unknown)

    async def start(self, bound: socket.socket) -> None:
        """Serve on a listening socket; calls that wait in its backlog are answered first."""
        await self._pages.start(bound)

    async def publish_metrics(self, host: str, port: int) -> None:
        """Serve the metrics, and nothing else, on a TCP address.

        Raises:
            SettingsError: the address cannot be bound.
        """
        try:
            await self._public.publish(host, port)
        except OSError as error:
            mistake = (
                f"EVERCAN_METRICS={host}:{port} cannot be bound ({error.strerror}); free it or "
                "give another; the plugin's socket serves the metrics in any case"
            )
            raise SettingsError([mistake]) from error

    async def close(self) -> None:
        """Answer the calls that are running, and stop."""
        await self._public.close(_CLOSE_TIMEOUT)
        await self._pages.close(_CLOSE_TIMEOUT)

    @staticmethod
    def _metrics_handler(scrape: Scrape) -> web.Handler:
        async def page() -> web.Response:
            return web.Response(body=await scrape(), headers={"Content-Type": CONTENT_TYPE_METRICS})

        async def handle(_: web.Request) -> web.Response:
            return await _answer_page("metrics", page)

        return handle

    def _call_handler(self, name: str, verb: Verb) -> web.Handler:
        short = name.rpartition(".")[2]

        async def handle(request: web.Request) -> web.Response:
            call_id.set(f"{short}-{next(self._calls)}")
            begun = time.monotonic()
            answer = await answered(request)
            outcome = {200: "ok", 400: "refused"}.get(answer.status, "failed")
            self._called(short, outcome, time.monotonic() - begun)
            return answer

        async def answered(request: web.Request) -> web.Response:
            body = b""
            try:
                async with asyncio.timeout(BOUND):
                    body = await request.read()
                    return _answer(200, await verb(body))
            except RequestError as error:
                _log.warning("%s rejected: %s", name, error, extra=_about(name, body))
                return _error(400, error)
            except EvercanError as error:
                _log.error("%s failed: %s", name, error, extra=_about(name, body))
                return _error(500, error)
            except TimeoutError:
                late = (
                    f"{name} took longer than {BOUND:.0f} s and was ended; the host is very "
                    "busy or its kernel hangs; try again"
                )
                _log.error(late, extra=_about(name, body))
                return _error(500, late)
            except web.HTTPException as error:
                return _error(error.status, f"{name}: {error.reason}")
            except Exception as error:  # noqa: BLE001 - the one place that makes it an Err
                _log.exception(
                    "%s met a bug in evercan; report it with the lines that follow",
                    name,
                    extra=_about(name, body),
                )
                return _error(500, InternalFault(error))

        return handle

    @staticmethod
    def _view_handler(name: str, view: View) -> web.Handler:
        async def page() -> web.Response:
            return _answer(*await view())

        async def handle(_: web.Request) -> web.Response:
            return await _answer_page(name, page)

        return handle


def _about(verb: str, body: bytes) -> dict[str, Mapping[str, object]]:
    return about(verb=verb, **subject(body))


async def _answer_page(name: str, page: Callable[[], Awaitable[web.Response]]) -> web.Response:
    """Answer with a page, or with 503 and why there is none, which no prober takes for healthy."""
    try:
        async with asyncio.timeout(BOUND):
            return await page()
    except EvercanError as error:
        return _error(503, f"{name}: {error}")
    except TimeoutError:
        return _error(
            503, f"{name} took longer than {BOUND:.0f} s; the host is very busy or its kernel hangs"
        )
    except Exception as error:  # noqa: BLE001 - a page must not end the connection without a word
        _log.exception("%s met a bug in evercan; report it with the lines that follow", name)
        return _error(503, InternalFault(error))


async def _unknown(request: web.Request) -> web.Response:
    return _error(
        404,
        f"{request.method} {request.path} is neither a call of a network driver nor a page of "
        "evercan",
    )
