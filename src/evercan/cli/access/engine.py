"""What the Docker engine knows: plugins, networks, and who is connected to them."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
import requests
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound

from evercan.cli.access.unreachable import unreachable
from evercan.cli.errors import CliError, NoEngine

SOCKET = "evercan.sock"
"""The socket's name in the plugin's ``config.json``: how evercan is told from other plugins."""

_DEFAULT = "unix:///var/run/docker.sock"

PATIENCE = 30
"""Seconds that one answer of the engine may take."""

FAULTS = (DockerException, requests.RequestException, OSError)
"""What the SDK raises when the engine cannot be asked, or refuses."""

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
        container_id: the engine's container id.
    """

    container: str
    endpoint: str
    options: Mapping[str, str] = field(default_factory=dict)
    container_id: str = ""


@dataclass(frozen=True)
class Network:
    """A network of one driver.

    Attributes:
        id: the engine's network id.
        name: as people know it.
        options: the ``-o`` map that it was created with.
        members: running containers on it.
        subnets: what the engine's IPAM gave it; none with ``--ipam-driver null``.
    """

    id: str
    name: str
    options: Mapping[str, str]
    members: tuple[Member, ...]
    subnets: tuple[str, ...] = ()


class Engine:
    """An engine: DOCKER_HOST's, else the one of the current docker context, else this host's."""

    def __init__(self, address: str = "") -> None:
        """Connect.

        Args:
            address: a DOCKER_HOST value (unix or tcp) in place of the environment's.

        Raises:
            NoEngine: none answers.
        """
        environment = dict(os.environ)
        if address:
            environment["DOCKER_HOST"] = address
        self.where = environment.get("DOCKER_HOST") or _DEFAULT
        try:
            if not environment.get("DOCKER_HOST"):
                self.where = _address_of_context(environment.get("DOCKER_CONTEXT"))
            self._client = _connect(self.where, environment)
        except (*FAULTS, ValueError) as error:
            raise NoEngine(unreachable(error, self.where), self.where) from error

    @property
    def api(self) -> docker.APIClient:
        """The SDK's client, whose answers are the engine's documents."""
        return self._client.api

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def is_this_machine(self) -> bool:
        """Whether the engine's host is where this process runs; a socket may lead elsewhere."""
        about = self.info()
        return (
            self.where.startswith(("unix:", "http+unix:"))
            and about.get("Name") == socket.gethostname()
            and about.get("KernelVersion") == platform.release()
        )

    def info(self) -> dict[str, Any]:
        """Return what ``docker info`` shows.

        Raises:
            CliError: the engine cannot be asked.
        """
        return dict(self.ask(self.api.info))

    def plugins(self) -> list[Plugin]:
        """List the plugins that are evercan.

        Raises:
            CliError: the engine cannot be asked.
        """
        return [
            Plugin(each["Id"], each["Name"], each["Enabled"])
            for each in self.ask(self.api.plugins) or []
            if each["Config"]["Interface"].get("Socket") == SOCKET
        ]

    def networks(self, driver: str, *, options: bool = False) -> list[Network]:
        """List the networks of a driver, with the containers that run on them.

        Args:
            driver: the plugin's name, with its tag.
            options: ask for the endpoints' options too, one request for each container.

        Raises:
            CliError: the engine cannot be asked.
        """
        found = []
        for listed in self.ask(self.api.networks, filters={"driver": driver}) or []:
            shown = self.ask(self.api.inspect_network, listed["Id"])
            if shown is None or shown["Driver"] != driver:
                continue  # removed meanwhile; or the filter took the name for a part of one
            ipam = shown.get("IPAM") or {}
            pools = [] if ipam.get("Driver") == "null" else ipam.get("Config") or []
            found.append(
                Network(
                    shown["Id"],
                    shown["Name"],
                    shown.get("Options") or {},
                    tuple(self._members(shown.get("Containers") or {}, options=options)),
                    tuple(each["Subnet"] for each in pools if each.get("Subnet")),
                )
            )
        return sorted(found, key=lambda each: each.name)

    def _members(self, attached: Mapping[str, Any], *, options: bool) -> Iterator[Member]:
        for container, place in attached.items():
            endpoint = place["EndpointID"]
            if container.startswith(_ORPHAN) or not endpoint:
                continue
            given = self._endpoint_options(container, endpoint) if options else {}
            yield Member(place.get("Name") or container[:12], endpoint, given, container)

    def _endpoint_options(self, container: str, endpoint: str) -> Mapping[str, str]:
        shown = self.ask(self.api.inspect_container, container) or {}
        places = (shown.get("NetworkSettings") or {}).get("Networks") or {}
        return next(
            (
                each.get("DriverOpts") or {}
                for each in places.values()
                if each["EndpointID"] == endpoint
            ),
            {},
        )

    def ask(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Call the SDK; None for what the engine does not know.

        Raises:
            NoEngine: it cannot be asked.
            CliError: it refuses.
        """
        try:
            return call(*arguments, **named)
        except NotFound:
            return None
        except APIError as error:
            raise CliError(
                f"the engine at {self.where} refuses: {error.explanation}; see its log on its host "
                "(journalctl -u docker)"
            ) from error
        except (*FAULTS, ValueError) as error:
            raise NoEngine(unreachable(error, self.where), self.where) from error


def _connect(where: str, environment: dict[str, str]) -> docker.DockerClient:
    if where.startswith("ssh://"):
        # The SDK's way through ssh carries no streams, which the way to the host lives on.
        raise ValueError(f"{where} is an address for ssh")
    return docker.from_env(version="auto", timeout=PATIENCE, environment=environment)


def _address_of_context(name: str | None) -> str:
    """Return the address of a docker context; of the current one for None.

    Raises:
        NoEngine: there is none of that name, where the SDK would take the default one, or
            docker's files do not say.
    """
    who = "DOCKER_CONTEXT names" if name else "is docker's current one"
    try:
        name = name or get_current_context_name()
        if ContextAPI.get_context(name) is not None:
            return str(ContextAPI.kwargs_from_context(name).get("base_url") or _DEFAULT)
    except Exception as error:  # the SDK raises whatever a damaged file of docker's leads to
        raise NoEngine(
            f"docker's contexts cannot be read ({error!r}); mend them (docker context ls), or set "
            "DOCKER_HOST"
        ) from error
    raise NoEngine(
        f"there is no docker context {name}, which {who}; 'docker context ls' shows them"
    )
