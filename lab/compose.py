"""Compose projects on a testbed, by compose on its host or by the engine's API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from docker.types import IPAMConfig

from lab.errors import LabError
from tools.common.polling import attempts

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.networks import Network

    from lab.testbed import Testbed

_UP_SECONDS = 300

_COMPOSE: Final = (
    ("docker", "compose", "--progress", "plain"),
    # Version 1, in older releases. It gives up when the engine is silent for a minute.
    ("env", f"COMPOSE_HTTP_TIMEOUT={_UP_SECONDS}", "docker-compose"),
)
"""The command lines of compose, by preference."""


class Project:
    """One compose file on one testbed.

    If the host has no compose, the engine's API is used. Then only the fields of this project's
    own examples work: image, command, restart, and networks with driver, driver_opts and IPAM
    driver.
    """

    def __init__(self, testbed: Testbed, file: Path, name: str) -> None:
        """Read the file; ``name`` is the prefix of the project's containers and networks."""
        self._testbed = testbed
        self._text = file.read_text(encoding="utf-8")
        self._name = name
        self._command = next(
            (
                command
                for command in _COMPOSE
                if testbed.host(*command, "version", check=False).returncode == 0
            ),
            None,
        )

    @property
    def by_compose(self) -> bool:
        """Whether the host has compose."""
        return self._command is not None

    def up(self, **scale: int) -> None:
        """Start the project; ``scale`` gives the number of containers by service."""
        if self._command is not None:
            scales = [f"--scale={service}={count}" for service, count in scale.items()]
            self._compose(self._command, "up", "--detach", "--quiet-pull", *scales)
        else:
            self._up_by_api(scale)

    def down(self) -> None:
        """Remove its containers and networks."""
        if self._command is not None:
            self._compose(self._command, "down", "--timeout", "1")
        else:
            self._down_by_api()

    def containers(self) -> list[Container]:
        """Return its containers in the order of service and number."""
        found = self._testbed.client().containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self._name}"}
        )
        return sorted(found, key=lambda container: str(container.name))

    def networks(self) -> list[Network]:
        """Return its networks."""
        names = set(self._network_names().values())
        return [
            network for network in self._testbed.client().networks.list() if network.name in names
        ]

    def container(self, service: str) -> Container:
        """Return the first container of a service.

        Raises:
            LabError: It has none.
        """
        for container in self.containers():
            if container.labels.get("com.docker.compose.service") == service:
                return container
        raise LabError(f"the project has no container of service {service}", "start it first")

    def wait_running(self, seconds: float = 120) -> None:
        """Wait until every container runs.

        Raises:
            LabError: Names the containers that do not run.
        """
        waiting: list[str] = []
        for _ in attempts(seconds, 0.5):
            waiting = [str(c.name) for c in self.containers() if c.status != "running"]
            if not waiting:
                return
        raise LabError(
            f"not running after {seconds:.0f} s: {', '.join(waiting)}", "read the engine's log"
        )

    def _compose(self, command: tuple[str, ...], *words: str) -> None:
        self._testbed.host(
            *command,
            "--project-name",
            self._name,
            "--file",
            "-",
            *words,
            stdin=self._text.encode(),
            timeout=_UP_SECONDS,
        )

    def _up_by_api(self, scale: dict[str, int]) -> None:
        client = self._testbed.client()
        document: dict[str, Any] = yaml.safe_load(self._text)
        existing = {network.name for network in self.networks()}
        for key, name in self._network_names().items():
            network = document["networks"][key]
            if name not in existing:
                ipam = network.get("ipam", {}).get("driver")
                client.networks.create(
                    name,
                    driver=network["driver"],
                    options={k: str(v) for k, v in network.get("driver_opts", {}).items()},
                    ipam=IPAMConfig(driver=ipam) if ipam else None,
                )
        for service, fields in document["services"].items():
            for number in range(1, scale.get(service, 1) + 1):
                client.containers.run(
                    fields["image"],
                    fields.get("command"),
                    name=f"{self._name}-{service}-{number}",
                    detach=True,
                    network=f"{self._name}_{fields['networks'][0]}",
                    restart_policy={"Name": fields.get("restart", "no")},
                    labels={
                        "com.docker.compose.project": self._name,
                        "com.docker.compose.service": service,
                    },
                )

    def _down_by_api(self) -> None:
        for container in self.containers():
            container.remove(force=True)
        for network in self.networks():
            network.remove()

    def _network_names(self) -> dict[str, str]:
        """Return the networks' names on the engine, by their names in the file."""
        return {key: f"{self._name}_{key}" for key in yaml.safe_load(self._text)["networks"]}
