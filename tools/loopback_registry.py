"""A registry that holds one plugin and answers on loopback: what an upgrade in place pulls from.

It runs on the engine's host, in a throw-away container made of the plugin's own
root file system, with the standard library alone. It only ever reads, binds
127.0.0.1 and prints the port that it got as its first line.
"""

from __future__ import annotations

import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path("/registry")
MANIFEST = "manifest.json"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class Handler(BaseHTTPRequestHandler):
    """The four reading requests of the registry protocol, version 2."""

    protocol_version = "HTTP/1.1"
    folder = FOLDER

    def do_HEAD(self) -> None:
        """Answers with the headers alone."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answers with the manifest or a blob."""
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Writes to stderr; stdout carries the port alone."""
        print(format % args, file=sys.stderr, flush=True)

    def _answer(self, *, with_body: bool) -> None:
        """Finds what a path names: ``/v2/NAME/manifests/TAG`` or ``/v2/NAME/blobs/DIGEST``."""
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2].removeprefix("sha256:")
        if path.rstrip("/") == "/v2":
            self._send(HTTPStatus.OK, {"Content-Type": "application/json", "Content-Length": "0"})
            return
        if "/manifests/" in path:
            blob, kind = self.folder / MANIFEST, MANIFEST_TYPE
        else:
            blob, kind = self.folder / name, "application/octet-stream"
        if not name.isalnum() or not blob.is_file():
            self._send(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        headers = {"Content-Type": kind, "Content-Length": str(blob.stat().st_size)}
        if kind == MANIFEST_TYPE:
            digest = (self.folder / "digest").read_text()
            headers["Docker-Content-Digest"] = f"sha256:{digest}"
        self._send(HTTPStatus.OK, headers)
        if with_body:
            with blob.open("rb") as content:
                shutil.copyfileobj(content, self.wfile, 1 << 20)

    def _send(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        """Sends the head of an answer."""
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def main() -> None:
    """Serves until the container is removed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
