"""Serve JSON answers from a table, on a unix socket or a TCP port."""

from __future__ import annotations

import json
import platform
import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answers = Mapping[str, tuple[int, Any]]
"""Answers by path without query: the status, and a document, raw bytes, or a function."""


@dataclass
class Asked:
    """The requests that a server got.

    Attributes:
        paths: every path with its query, in order.
        bodies: the posted documents.
        files: what was put, as bytes.
        deleted: the paths that were deleted.
    """

    paths: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


@contextmanager
def serving(where: Path | None, answers: Answers) -> Iterator[tuple[Asked, int]]:
    """Serve on a unix socket, else on a free port of 127.0.0.1; yield the requests and the port."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
            pass

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            if length:
                asked.bodies.append(json.loads(self.rfile.read(length)))
            self._answer()

        def do_PUT(self) -> None:
            asked.files.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer()

        def do_DELETE(self) -> None:
            asked.deleted.append(self.path)
            self._answer()

        def _answer(self) -> None:
            asked.paths.append(self.path)
            # The engine's clients put the API version before the path.
            page = re.sub(r"^/v\d+\.\d+/", "/", self.path.partition("?")[0])
            status, document = answers.get(page, (404, {"message": "page not found"}))
            if callable(document):
                document = document(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server: socketserver.BaseServer
    port = 0
    if where is None:
        tcp = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        server, port = tcp, int(tcp.server_address[1])
    else:
        where.parent.mkdir(parents=True, exist_ok=True)
        server = socketserver.UnixStreamServer(str(where), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield asked, port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ENGINE: Answers = {
    "/version": (200, {"ApiVersion": "1.45", "MinAPIVersion": "1.24"}),
    "/info": (
        200,
        {
            "Name": socket.gethostname(),
            "KernelVersion": platform.release(),
            "ServerVersion": "28.5.2",
            "Architecture": "x86_64",
            "DockerRootDir": "/nowhere/docker",
        },
    ),
}
"""What every engine reports about itself: it runs on this machine."""


def engine_answers(
    networks: list[dict[str, Any]],
    plugins: list[dict[str, Any]],
    containers: Mapping[str, Any] | None = None,
) -> dict[str, tuple[int, Any]]:
    """Return the answers of an engine with these; networks as ``docker network inspect`` shows."""

    def listed(_: str) -> list[dict[str, Any]]:
        # The engine's filter also matches parts of names.
        return [{**network, "Containers": {}} for network in networks]

    return {
        **ENGINE,
        "/plugins": (200, plugins),
        "/networks": (200, listed),
        **{f"/networks/{network['Id']}": (200, network) for network in networks},
        **{
            f"/containers/{key}/json": (200, container)
            for key, container in (containers or {}).items()
        },
    }


def plugin_entry(
    name: str,
    *,
    enabled: bool = True,
    socket_name: str = "evercan.sock",
    documentation: str = "",
) -> dict[str, Any]:
    """Return a plugin as ``GET /plugins`` lists it; its id is its name without the tag."""
    return {
        "Id": name.partition(":")[0].replace("/", "-"),
        "Name": name,
        "Enabled": enabled,
        "Config": {
            "Interface": {"Socket": socket_name, "Types": []},
            "Documentation": documentation,
        },
    }


def network_entry(
    network: str,
    name: str,
    members: Mapping[str, str],
    *,
    driver: str = "evercan:latest",
    options: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a network as the engine inspects it; members are endpoint ids by container name."""
    return {
        "Id": network,
        "Name": name,
        "Driver": driver,
        "Options": options,
        "Containers": {
            f"id-of-{container}": {"Name": container, "EndpointID": endpoint}
            for container, endpoint in members.items()
        },
    }
