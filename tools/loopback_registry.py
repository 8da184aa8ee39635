"""A read-only registry on the loopback address with one plugin, for an upgrade in place.

It runs on the engine's host, in a temporary container made of the plugin's own root file system,
with the standard library alone. It binds 127.0.0.1 and prints its port as its first line.
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
    """Answers the four read requests of the registry protocol, version 2."""

    protocol_version = "HTTP/1.1"
    folder = FOLDER

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer with the manifest or a blob."""
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write to stderr: stdout is for the port alone."""
        print(format % args, file=sys.stderr, flush=True)

    def _answer(self, *, with_body: bool) -> None:
        """Answer ``/v2/NAME/manifests/TAG`` or ``/v2/NAME/blobs/DIGEST``."""
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
        """Send the status and the headers of an answer."""
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def main() -> None:
    """Serve until the container is removed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
