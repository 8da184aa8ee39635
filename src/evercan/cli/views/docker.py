"""What the Docker engine lists: plugins, networks, and the containers on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DockerPlugin:
    """An evercan plugin.

    Attributes:
        id: the engine's plugin id; the folder of its socket has this name.
        name: its name with the tag, which is the driver of its networks.
        enabled: whether it runs.
        documentation: its description, which ends with version and architecture in a release.
    """

    id: str
    name: str
    enabled: bool
    documentation: str = ""

    def has_name(self, wanted: str | None) -> bool:
        """Return whether this is its name, with or without ``:latest``; None is every name."""
        return wanted in (None, self.name, self.name.removesuffix(":latest"))


def release_of(documentation: str) -> tuple[str, str]:
    """Return the version and the architecture of a released plugin; empty for another build."""
    found = re.search(r" Version (\S+) for (\w+)\.$", documentation)
    return (found[1], found[2]) if found else ("", "")


@dataclass(frozen=True)
class DockerEndpoint:
    """A running container on a network.

    Attributes:
        container: the container's name.
        endpoint: the engine's endpoint id.
        options: the endpoint's driver options.
        container_id: the engine's container id.
    """

    container: str
    endpoint: str
    options: Mapping[str, str] = field(default_factory=dict)
    container_id: str = ""


@dataclass(frozen=True)
class DockerContainer:
    """What matters here of a container's configuration.

    Attributes:
        name: its name.
        networks: the ids of the networks that it is connected to.
        ports: the ports that it publishes, such as ``80/tcp``.
    """

    name: str
    networks: frozenset[str]
    ports: tuple[str, ...]


@dataclass(frozen=True)
class DockerNetwork:
    """A network of one driver.

    Attributes:
        id: the engine's network id.
        name: the network's name.
        options: the ``-o`` options that it was created with.
        members: the running containers on it.
        subnets: the address pools it got from the engine; none with ``--ipam-driver null``.
    """

    id: str
    name: str
    options: Mapping[str, str]
    members: tuple[DockerEndpoint, ...]
    subnets: tuple[str, ...] = ()
