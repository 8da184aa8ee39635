"""JSON over HTTP, on a unix socket or a TCP address."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

PATIENCE = 30.0
"""Seconds that an answer may take."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Somebody who answers JSON.

    Attributes:
        address: a path, or HOST:PORT, as a person would write it.
    """

    def __init__(self, *, path: str = "", host: str = "", port: int = 0) -> None:
        """Take the path of a unix socket, or else a host and a port."""
        self.address = path or f"{host}:{port}"
        self._path, self._host, self._port = path, host, port

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        """Send a request on a fresh connection; return the status and the answer's JSON.

        Raises:
            OSError: nobody could be reached, or the connection broke.
            ValueError: the answer is no HTTP, or its body no JSON.
        """
        connection = (
            _UnixConnection(self._path)
            if self._path
            else http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
        )
        body = None if document is None else json.dumps(document)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except http.client.HTTPException as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
