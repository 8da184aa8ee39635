"""Create, find and remove the containers that link a network to other hosts."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound

from evercan.cli.access.engine import SDK_ERRORS, DockerEngine
from evercan.cli.errors import CliError, Rejected

IMAGE = "evercan/link:latest"
LABEL = "evercan.link"
"""The label of a link's container, also by its image.

Its value is the network's name if ``evercan link add`` has made it, and else empty.
"""

CERTIFICATE_FILES = ("ca.pem", "link.pem", "link.key")
_CERTIFICATES = "/certs"
_CHECK = ["/usr/bin/python3", "-I", "-S", "-m", "evercan.link.check", "--json"]


@dataclass(frozen=True)
class NewLink:
    """A link to create.

    Attributes:
        network: the CAN network's name.
        environment: the link's settings, by variable.
        ports: where it listens: address on the host, and port.
        over: the IP network that it uses.
        certificates: their folder on this machine; None without TLS.
        image: the image's name.
    """

    network: str
    environment: Mapping[str, str]
    ports: Sequence[tuple[str, int]] = ()
    over: str = "bridge"
    certificates: Path | None = None
    image: str = IMAGE


@dataclass(frozen=True)
class FoundLink:
    """A link's container.

    Attributes:
        id: the container's.
        container: its name.
        network: the CAN network's name.
        state: the engine's word for its state.
    """

    id: str
    container: str
    network: str
    state: str


def find_links(engine: DockerEngine, network: str | None = None) -> list[FoundLink]:
    """Return the links of a network; of all networks for None.

    Raises:
        CliError: the engine does not answer.
    """
    label = f"{LABEL}={network}" if network else LABEL
    listed = engine.ask(engine.api.containers, all=True, filters={"label": label}) or []
    if all(found["Labels"][LABEL] for found in listed):
        known = set()
    else:
        known = {name for _, name in can_networks(engine)}
    return sorted(
        (
            FoundLink(
                found["Id"],
                str(found["Names"][0]).lstrip("/"),
                found["Labels"][LABEL] or _network_of(found, known),
                found["State"],
            )
            for found in listed
        ),
        key=lambda link: (link.network, link.container),
    )


def _network_of(listed: Mapping[str, Any], known: Collection[str]) -> str:
    """Return the CAN network of a listed container; empty if it has none."""
    attached = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    return next((name for name in sorted(attached) if name in known), "")


def can_networks(engine: DockerEngine) -> list[tuple[str, str]]:
    """Return the networks of the engine's evercan plugins, each with its plugin's name before it.

    Raises:
        CliError: the engine does not answer.
    """
    return [
        (plugin.name, network.name)
        for plugin in engine.plugins()
        for network in engine.networks(plugin.name)
    ]


def add_link(engine: DockerEngine, link: NewLink) -> str:
    """Create and start a link's container; return its name.

    Raises:
        CliError: the engine rejects it. Nothing is left then.
    """
    api = engine.api
    taken = {found.container for found in find_links(engine)}
    name = f"evercan-link-{link.network}"
    number = 2
    while name in taken:
        name, number = f"evercan-link-{link.network}-{number}", number + 1
    made = ""
    try:
        config = api.create_host_config(
            network_mode=link.over,
            restart_policy={"Name": "unless-stopped"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            port_bindings={port: (address, port) for address, port in link.ports},
        )
        environment = dict(link.environment)
        if link.certificates:
            environment["LINK_CERTS"] = _CERTIFICATES
        made = api.create_container(
            link.image,
            name=name,
            environment=environment,
            labels={LABEL: link.network},
            ports=[port for _, port in link.ports],
            host_config=config,
        )["Id"]
        api.connect_container_to_network(made, link.network)
        if link.certificates:
            api.put_archive(made, "/", _archive(link.certificates))
        api.start(made)
    except BaseException as error:
        if made:
            api.remove_container(made, force=True)
        if isinstance(error, ImageNotFound):
            raise CliError(
                f"the engine at {engine.where} has no image {link.image}",
                "load it (in a checkout of evercan: .venv/bin/python -m tools.images --image link "
                f"--host {engine.where}), or name another with --image",
            ) from error
        if isinstance(error, APIError):
            raise CliError(
                f"the engine does not start {name}: {error.explanation}",
                "correct what it names, and run this again",
            ) from error
        if isinstance(error, SDK_ERRORS):
            raise engine.no_engine(error) from error
        raise
    return name


def _archive(folder: Path) -> bytes:
    """Return a tar archive with the certificates, for root in the container alone.

    Raises:
        CliError: a file cannot be read.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in CERTIFICATE_FILES:
            try:
                data = (folder / name).read_bytes()
            except OSError as error:
                raise CliError(
                    f"cannot read {folder / name}: {error.strerror}",
                    "make the files with 'evercan link certs', and name the folder of this host",
                ) from error
            entry = tarfile.TarInfo(f"{_CERTIFICATES[1:]}/{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def remove_link(engine: DockerEngine, link: FoundLink) -> None:
    """Stop a link, so that others notice at once, and remove its container.

    Raises:
        CliError: the engine does not answer.
    """
    engine.ask(engine.api.stop, link.id, timeout=5)
    engine.ask(engine.api.remove_container, link.id, force=True)


def read_health(engine: DockerEngine, link: FoundLink) -> dict[str, Any] | None:
    """Return the document of a link's ``/health``; None if it does not answer.

    Raises:
        CliError: the engine does not answer.
    """
    if link.state != "running":
        return None
    try:
        made = engine.ask(engine.api.exec_create, link.id, _CHECK, stderr=False)
        output = engine.ask(engine.api.exec_start, made["Id"]) if made else b""
        return dict(json.loads(output or b""))
    except (Rejected, ValueError):  # it may have ended since it was listed
        return None
