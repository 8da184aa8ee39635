"""HTTP over a unix socket, byte by byte, to send also what no client library sends."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

TIMEOUT = 15.0
"""Seconds after which a request counts as not answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its JSON body."""

    status: int
    document: dict[str, Any]

    @property
    def err(self) -> str:
        """The engine's error text; empty if the call succeeded."""
        return str(self.document.get("Err", ""))

    @property
    def ok(self) -> bool:
        return self.status == 200 and "Err" not in self.document


async def read_answer(reader: asyncio.StreamReader) -> Answer | None:
    """Read one answer; None if the server closed the connection without one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    status = int(status_line.split()[1])
    if "json" not in headers.get("content-type", ""):
        return Answer(status, {})
    return Answer(status, orjson.loads(body))


async def exchange(path: Path, data: bytes, *, half_close: bool = False) -> Answer | None:
    """Send bytes on a new connection and read one answer; None if the server closed it."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(data)
            if half_close:
                writer.write_eof()
            try:
                await writer.drain()
            except ConnectionError:
                return None
            return await read_answer(reader)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def request(verb: str, body: bytes, *, method: str = "POST", extra: str = "") -> bytes:
    """Build a request as the engine does: without Content-Type, with an empty Host."""
    head = (
        f"{method} /{verb} HTTP/1.1\r\n"
        "Host: \r\n"
        "User-Agent: Go-http-client/1.1\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Accept: application/vnd.docker.plugins.v1.2+json\r\n"
        f"Accept-Encoding: gzip\r\n{extra}\r\n"
    )
    return head.encode() + body
