"""Ask the Docker engine for plugins, networks and containers."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import docker
import requests
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound

from evercan.cli.access.ssh import SshTunnel
from evercan.cli.access.unreachable import LOCAL, no_engine
from evercan.cli.errors import NoEngine, Rejected
from evercan.cli.views.docker import DockerContainer, DockerEndpoint, DockerNetwork, DockerPlugin

SOCKET = "evercan.sock"
"""The socket's name in the plugin's ``config.json``, by which an evercan plugin is recognized."""

_DEFAULT = "unix:///var/run/docker.sock"

TIMEOUT = 30
"""Seconds that one answer of the engine may take."""

SDK_ERRORS = (DockerException, requests.RequestException, OSError)
"""What the SDK raises when the engine does not answer, or rejects the request."""

_WITHOUT_CONTAINER = "ep-"
"""Prefix that the engine uses for an endpoint that is in no container."""

_PORT, _TLS_PORT = 2375, 2376
"""Ports of the engine, if the address names none."""


class DockerEngine:
    """A connection to the engine of DOCKER_HOST, the current docker context, or this host."""

    def __init__(self, address: str = "") -> None:
        """Connect.

        Args:
            address: a DOCKER_HOST value in place of the environment's.

        Raises:
            NoEngine: none answers.
        """
        environment = dict(os.environ)
        if address:
            environment["DOCKER_HOST"] = address
        self._tunnel: SshTunnel | None = None
        self.where = environment.get("DOCKER_HOST") or _DEFAULT
        try:
            if environment.get("DOCKER_HOST"):
                self.where = _complete(self.where, environment)
                environment["DOCKER_HOST"] = self.where
            else:
                self.where = _address_of_context(environment.get("DOCKER_CONTEXT"))
            self._client = self._connect(environment)
        except (*SDK_ERRORS, ValueError) as error:
            raise self.no_engine(error) from error

    def _connect(self, environment: dict[str, str]) -> docker.DockerClient:
        if not self.where.startswith("ssh://"):
            return docker.from_env(version="auto", timeout=TIMEOUT, environment=environment)
        with ExitStack() as stack:
            self._tunnel = SshTunnel(self.where)
            stack.callback(self._tunnel.close)
            try:
                client = docker.DockerClient(self._tunnel.address, "auto", TIMEOUT)
            except (*SDK_ERRORS, ValueError) as error:
                raise self.no_engine(error) from error
            stack.pop_all()
        return client

    @property
    def api(self) -> docker.APIClient:
        """The SDK's client, whose answers are the engine's documents."""
        return self._client.api

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        if self._tunnel is not None:
            self._tunnel.close()

    def is_this_machine(self) -> bool:
        """Whether the engine runs on this machine: a local socket may be forwarded from another."""
        about = self.info()
        return (
            self.where.startswith(LOCAL)
            and about.get("Name") == socket.gethostname()
            and about.get("KernelVersion") == platform.release()
        )

    def info(self) -> dict[str, Any]:
        """Return what ``docker info`` shows.

        Raises:
            CliError: the engine does not answer.
        """
        return dict(self.ask(self.api.info))

    def plugins(self) -> list[DockerPlugin]:
        """List the plugins that are evercan.

        Raises:
            CliError: the engine does not answer.
        """
        return [
            DockerPlugin(
                plugin["Id"],
                plugin["Name"],
                plugin["Enabled"],
                str(plugin["Config"].get("Documentation") or ""),
            )
            for plugin in self.ask(self.api.plugins) or []
            if plugin["Config"]["Interface"].get("Socket") == SOCKET
        ]

    def networks(self, driver: str, *, options: bool = False) -> list[DockerNetwork]:
        """List the networks of a driver with their running containers.

        Args:
            driver: the plugin's name, with its tag.
            options: read the endpoints' options too, with one request for each container.

        Raises:
            CliError: the engine does not answer.
        """
        found = []
        for listed in self.ask(self.api.networks, filters={"driver": driver}) or []:
            shown = self.ask(self.api.inspect_network, listed["Id"])
            if shown is None or shown["Driver"] != driver:
                continue  # removed meanwhile, or the filter matched a part of another name
            ipam = shown.get("IPAM") or {}
            pools = [] if ipam.get("Driver") == "null" else ipam.get("Config") or []
            found.append(
                DockerNetwork(
                    shown["Id"],
                    shown["Name"],
                    shown.get("Options") or {},
                    tuple(self._endpoints(shown.get("Containers") or {}, options=options)),
                    tuple(pool["Subnet"] for pool in pools if pool.get("Subnet")),
                )
            )
        return sorted(found, key=lambda network: network.name)

    def container(self, container_id: str) -> DockerContainer | None:
        """Read a container; None if it has been removed.

        Raises:
            CliError: the engine does not answer.
        """
        shown = self.ask(self.api.inspect_container, container_id)
        if shown is None:
            return None
        attached = (shown.get("NetworkSettings") or {}).get("Networks") or {}
        host = shown.get("HostConfig") or {}
        ports = set(host.get("PortBindings") or {})
        if host.get("PublishAllPorts"):
            ports |= set((shown.get("Config") or {}).get("ExposedPorts") or {})
        return DockerContainer(
            str(shown.get("Name") or container_id[:12]).lstrip("/"),
            frozenset(network["NetworkID"] for network in attached.values()),
            tuple(sorted(ports)),
        )

    def _endpoints(self, attached: Mapping[str, Any], *, options: bool) -> Iterator[DockerEndpoint]:
        for container, endpoint in attached.items():
            endpoint_id = endpoint["EndpointID"]
            if container.startswith(_WITHOUT_CONTAINER) or not endpoint_id:
                continue
            given = self._endpoint_options(container, endpoint_id) if options else {}
            name = endpoint.get("Name") or container[:12]
            yield DockerEndpoint(name, endpoint_id, given, container)

    def _endpoint_options(self, container: str, endpoint: str) -> Mapping[str, str]:
        shown = self.ask(self.api.inspect_container, container) or {}
        attached = (shown.get("NetworkSettings") or {}).get("Networks") or {}
        return next(
            (
                own.get("DriverOpts") or {}
                for own in attached.values()
                if own["EndpointID"] == endpoint
            ),
            {},
        )

    def ask(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Call the SDK; return None if the engine does not know the object.

        Raises:
            NoEngine: the engine does not answer.
            Rejected: it rejects the request.
        """
        try:
            return call(*arguments, **named)
        except NotFound:
            return None
        except APIError as error:
            raise Rejected(
                f"the engine at {self.where} rejects the request: {error.explanation}",
                "see the engine's log on its host (journalctl -u docker)",
            ) from error
        except (*SDK_ERRORS, ValueError) as error:
            raise self.no_engine(error) from error

    def no_engine(self, error: BaseException) -> NoEngine:
        """Explain an error that the SDK has raised."""
        return no_engine(error, self.where, self._tunnel.printed() if self._tunnel else "")


def _complete(address: str, environment: Mapping[str, str]) -> str:
    """Complete ``HOST`` or ``HOST:PORT`` to an address with scheme and port, as docker does."""
    where = address.strip()
    where = where if "://" in where else f"tcp://{where}"
    parts = urlsplit(where)
    if parts.scheme == "tcp" and parts.netloc and parts.port is None:
        tls = environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_CERT_PATH")
        where = f"tcp://{parts.netloc.rstrip(':')}:{_TLS_PORT if tls else _PORT}{parts.path}"
    return where


def _address_of_context(name: str | None) -> str:
    """Return the address of a docker context; of the current one for None.

    Raises:
        NoEngine: there is none of that name, or docker's files cannot be read. The SDK would
            take the default context instead.
    """
    named_by = "DOCKER_CONTEXT" if name else "docker's configuration"
    try:
        name = name or get_current_context_name()
        if ContextAPI.get_context(name) is not None:
            return str(ContextAPI.kwargs_from_context(name).get("base_url") or _DEFAULT)
    except Exception as error:  # the SDK raises whatever a damaged file of docker's leads to
        raise NoEngine(
            f"cannot read docker's contexts ({error!r})",
            "repair them (docker context ls), or set DOCKER_HOST",
        ) from error
    raise NoEngine(
        f"there is no docker context {name}, which {named_by} names",
        "'docker context ls' lists the contexts",
    )
