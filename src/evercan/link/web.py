"""Serves ``/health`` and ``/metrics`` over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evercan.link.report import Report


def serve(address: tuple[str, int], report: Callable[[], Report]) -> ThreadingHTTPServer:
    """Return a server that listens; its ``serve_forever`` answers.

    Raises:
        OSError: the address cannot be listened on.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        server_version = "evercan-link"
        timeout = 10.0

        def do_GET(self) -> None:
            """Answer with a document of the state at this moment."""
            path = self.path.partition("?")[0]
            if path == "/health":
                now = report().health()
                status = HTTPStatus.OK if now["healthy"] else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "application/json", json.dumps(now) + "\n")
            elif path == "/metrics":
                self._answer(HTTPStatus.OK, "text/plain; version=0.0.4", report().metrics())
            else:
                text = "there are /health and /metrics\n"
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", text)

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's
            """Write no line for each request."""

    class Server(ThreadingHTTPServer):
        """A server whose open requests do not keep the process alive."""

        daemon_threads = True

    return Server(address, Handler)
