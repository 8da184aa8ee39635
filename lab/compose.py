"""Compose projects on a testbed: by ``docker compose`` on its host, or by the API alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from docker.types import IPAMConfig

from lab.errors import LabError

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.networks import Network

    from lab.testbed import Testbed

_UP_SECONDS = 300


class Project:
    """One compose file on one testbed.

    Where the host has no compose, the part of the format that this project's own
    examples use is carried out through the engine's API: image, command, restart,
    networks with driver, driver_opts and IPAM driver.
    """

    def __init__(self, testbed: Testbed, file: Path, name: str) -> None:
        """Take the project's name, which prefixes its containers and networks."""
        self._testbed = testbed
        self._text = file.read_text(encoding="utf-8")
        self._name = name
        self.by_compose = testbed.host("docker", "compose", "version", check=False).returncode == 0

    def up(self, **scale: int) -> None:
        """Bring it up, all containers at once; ``scale`` names services to run several of."""
        if self.by_compose:
            scales = [word for each in scale.items() for word in ("--scale", "{}={}".format(*each))]
            self._compose("up", "--detach", "--quiet-pull", *scales)
        else:
            self._up_by_api(scale)

    def down(self) -> None:
        """Remove its containers and networks."""
        if self.by_compose:
            self._compose("down", "--timeout", "1")
        else:
            self._down_by_api()

    def containers(self) -> list[Container]:
        """Return its containers in the order of service and number."""
        found = self._testbed.client().containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self._name}"}
        )
        return sorted(found, key=lambda each: str(each.name))

    def networks(self) -> list[Network]:
        """Return its networks."""
        return [
            each
            for each in self._testbed.client().networks.list()
            if each.name in self._network_names().values()
        ]

    def container(self, service: str) -> Container:
        """Return the first container of a service.

        Raises:
            LabError: it has none.
        """
        for each in self.containers():
            if each.labels.get("com.docker.compose.service") == service:
                return each
        raise LabError(f"the project has no container of service {service}", "bring it up first")

    def wait_running(self, seconds: float = 120) -> None:
        """Wait until every container runs.

        Raises:
            LabError: names those that do not.
        """
        deadline = time.monotonic() + seconds
        while waiting := [each.name for each in self.containers() if each.status != "running"]:
            if time.monotonic() > deadline:
                raise LabError(
                    f"not running after {seconds:.0f} s: {', '.join(map(str, waiting))}",
                    "see the engine's log",
                )
            time.sleep(0.5)

    def _compose(self, *words: str) -> None:
        self._testbed.host(
            "docker",
            "compose",
            "--progress",
            "plain",
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
        there = {each.name for each in self.networks()}
        for key, name in self._network_names().items():
            network = document["networks"][key]
            if name not in there:
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
        """Each network's name on the engine, by its name in the file."""
        return {key: f"{self._name}_{key}" for key in yaml.safe_load(self._text)["networks"]}
