"""What the Docker engine knows: plugins, networks, and who is connected to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from evercan.cli.errors import CliError
from evercan.cli.http import Api

DEFAULT_HOST = "unix:///var/run/docker.sock"
SOCKET = "evercan.sock"
"""The socket's name in the plugin's ``config.json``: how evercan is told from other plugins."""

_NOT_FOUND = 404
_ORPHAN = "ep-"
"""How the engine names an endpoint that is in no container."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that is evercan.

    Attributes:
        id: the engine's plugin id, which names the folder of its socket.
        name: with its tag: the driver's name of its networks.
        enabled: it runs.
    """

    id: str
    name: str
    enabled: bool


@dataclass(frozen=True)
class Member:
    """A running container's place on a network.

    Attributes:
        container: the container's name.
        endpoint: the engine's endpoint id.
        options: driver options of the endpoint.
    """

    container: str
    endpoint: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A network of one driver.

    Attributes:
        id: the engine's network id.
        name: as people know it.
        options: the ``-o`` map that it was created with.
        members: running containers on it.
    """

    id: str
    name: str
    options: Mapping[str, str]
    members: tuple[Member, ...]


class Engine:
    """An engine, by the value of DOCKER_HOST."""

    def __init__(self, docker_host: str) -> None:
        """Take an address ``unix://…`` or ``tcp://…``; empty is the default one.

        Raises:
            CliError: it is neither.
        """
        url = urlsplit(docker_host or DEFAULT_HOST)
        if url.scheme == "unix" and url.path:
            self._api = Api(path=url.path)
            return
        try:
            port = url.port or 2375
        except ValueError:
            port = 0
        if url.scheme not in ("tcp", "http") or not url.hostname or not port:
            raise CliError(
                f"DOCKER_HOST={docker_host} is neither unix:///PATH nor tcp://HOST:PORT; run this "
                "on the engine's host without DOCKER_HOST"
            )
        self._api = Api(host=url.hostname, port=port)

    def plugins(self) -> list[Plugin]:
        """List the plugins that are evercan.

        Raises:
            CliError: the engine cannot be asked.
        """
        return [
            Plugin(each["Id"], each["Name"], each["Enabled"])
            for each in self._get("/plugins") or []
            if each["Config"]["Interface"].get("Socket") == SOCKET
        ]

    def networks(self, driver: str) -> list[Network]:
        """List the networks of a driver, with the containers that run on them.

        Raises:
            CliError: the engine cannot be asked.
        """
        wanted = quote(json.dumps({"driver": [driver]}))
        found = []
        for listed in self._get(f"/networks?filters={wanted}") or []:
            shown = self._get(f"/networks/{listed['Id']}")
            if shown is None or shown["Driver"] != driver:
                continue  # removed meanwhile; or the filter took the name for a part of one
            found.append(
                Network(
                    shown["Id"],
                    shown["Name"],
                    shown.get("Options") or {},
                    tuple(self._members(shown.get("Containers") or {})),
                )
            )
        return found

    def _members(self, attached: Mapping[str, Any]) -> Iterator[Member]:
        for container, place in attached.items():
            endpoint = place["EndpointID"]
            if container.startswith(_ORPHAN) or not endpoint:
                continue
            shown = self._get(f"/containers/{container}/json") or {}
            places = (shown.get("NetworkSettings") or {}).get("Networks") or {}
            options = next(
                (
                    each.get("DriverOpts")
                    for each in places.values()
                    if each["EndpointID"] == endpoint
                ),
                None,
            )
            yield Member(place.get("Name") or container[:12], endpoint, options or {})

    def _get(self, path: str) -> Any:
        """Ask the engine; None for what it does not know."""
        where = self._api.address
        try:
            status, document = self._api.ask("GET", path)
        except PermissionError as error:
            raise CliError(f"no permission on {where}; run this as root (sudo)") from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise CliError(
                f"no Docker engine answers at {where}; start it (systemctl start docker), or set "
                "DOCKER_HOST"
            ) from error
        except OSError as error:
            raise CliError(f"the engine at {where} cannot be asked ({error}); try again") from error
        except ValueError as error:
            raise CliError(
                f"what answers at {where} is no Docker engine without TLS ({error}); run this on "
                "the engine's host without DOCKER_HOST"
            ) from error
        if status == _NOT_FOUND:
            return None
        if status != 200:
            words = document.get("message") if isinstance(document, dict) else document
            raise CliError(f"the engine at {where} refuses {path}: {words} ({status})")
        return document
