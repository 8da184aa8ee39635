"""Links as services of a Swarm: the example, with both services on the only node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from evercan.cli.commands.link_certs import certs
from lab.frames import HostMember, count_deliveries
from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed
from tests.e2e.command import Command
from tests.e2e.health import assert_no_problems
from tests.e2e.test_swarm import running
from tools.common.checkout import ROOT
from tools.common.polling import wait_until
from tools.images import load_link

if TYPE_CHECKING:
    from docker.models.containers import Container

EXAMPLE = ROOT / "examples/hosts/swarm.yaml"
STACK = "evercan-links"
BUSES = {"powertrain": "vcan652", "second": "vcan653"}
DEADLINE = "2000"
"""Milliseconds: an emulated machine stops for longer than the default of 100."""


def stack() -> dict[str, object]:
    """Return the example; its second service is on the same node, and on a bus of its own."""
    example = yaml.safe_load(EXAMPLE.read_text())
    hub, link = example["services"]["hub"], example["services"]["link"]
    link["deploy"]["placement"] = {}
    link["networks"] = ["second", "site"]
    example["networks"]["second"] = {"external": True}
    link["environment"]["LINK_HOST"] = "another"
    for service in (hub, link):
        service["environment"]["LINK_DEADLINE"] = DEADLINE
    return dict(example)


@pytest.fixture
def deployed(lab: Testbed, tmp_path: Path) -> Iterator[Testbed]:
    """Deploy the services on a Swarm of one node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DOCKER_HOST")  # the testbed's engine, which is slow to build on
        load_link(lab.client(), lab.docker_host)
    certs(tmp_path / "site", ["hub", "node"], days=2)
    (tmp_path / "stack.yaml").write_text(yaml.safe_dump(stack()))
    folder = lab.host("mktemp", "-d").stdout.decode().strip()
    for file in ("stack.yaml", "site/ca.pem", *(f"site/{n}/link.{x}" for n, x in PARTS)):
        lab.host(
            *("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', f"{folder}/{file}"),
            stdin=(tmp_path / file).read_bytes(),
        )
    networks = "".join(
        f"""
        docker network create --config-only --ipam-driver null \
            -o vxcan.id={bus.removeprefix("vcan")} -o vxcan.peer=can {name}-settings
        docker network create --scope swarm --config-from {name}-settings -d {NAME} {name}"""
        for name, bus in BUSES.items()
    )
    try:
        lab.host(
            *("sh", "-c"),
            f"""set -e
            docker swarm init --advertise-addr 127.0.0.1
            docker node update --label-add evercan.hub=yes "$(docker node ls -q)"
            {networks}
            cd {folder} && docker stack deploy --resolve-image never -c stack.yaml {STACK}""",
        )
        yield lab
    finally:
        lab.host("docker", "stack", "rm", STACK, check=False)
        wait_until(lambda: not links(lab), 60, "the links to be removed")
        lab.host("docker", "network", "rm", *BUSES, check=False)
        lab.host("docker", "swarm", "leave", "--force", check=False)
        settings = [f"{name}-settings" for name in BUSES]
        lab.host("docker", "network", "rm", *settings, "docker_gwbridge", check=False)
        lab.host("rm", "-rf", folder)


PARTS = [(name, ending) for name in ("hub", "node") for ending in ("pem", "key")]


def links(testbed: Testbed) -> list[Container]:
    """Return the running containers of both services."""
    return [
        container
        for service in ("hub", "link")
        for container in running(testbed, f"{STACK}_{service}")
    ]


def test_services_of_a_swarm_link_the_buses_of_their_nodes(
    deployed: Testbed, plugin: PluginProcess, command: Command
) -> None:

    def linked() -> bool:
        _, shown = command.run("link", "status", "second")
        return "active, host another of bus powertrain, 1 connected" in shown and "round" in shown

    wait_until(linked, 120, "the links")
    hosts = [HostMember(deployed, bus) for bus in BUSES.values()]
    with closing(hosts[0]), closing(hosts[1]):
        judged = count_deliveries(hosts)
    assert judged.exactly_once, str(judged)
    _, shown = command.run("status")
    assert "link of host another to " in shown
    assert_no_problems(plugin)
