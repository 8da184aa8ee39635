"""A Swarm service on a bus: ``docker network create --config-only``, then ``--config-from``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from lab.frames import HostMember, count_deliveries
from lab.plugin_process import NAME, PluginProcess
from lab.rules import mesh_problems, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import NamespaceMember
from tests.e2e.health import assert_no_problems
from tools.common.polling import wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container

BUS, NUMBER = "vcan650", "650"
SETTINGS, NETWORK, SERVICE = "evercan-settings", "evercan-swarm", "evercan-service"
REPLICAS = 2


def links(testbed: Testbed) -> list[str]:
    """Return the names of the host's interfaces."""
    return testbed.host("ls", "/sys/class/net").stdout.decode().split()


def host_ends(testbed: Testbed) -> list[str]:
    """Return the host ends of all vxcan pairs."""
    return [name for name in links(testbed) if name.startswith("vxcan")]


@pytest.fixture
def service(lab: Testbed) -> Iterator[str]:
    """Yield the name of a service on a network of a Swarm that consists of one node."""
    docker = f"""
        set -e
        docker swarm init --advertise-addr 127.0.0.1
        docker network create --config-only --ipam-driver null \
            -o vxcan.id={NUMBER} -o vxcan.peer=can {SETTINGS}
        docker network create --scope swarm --config-from {SETTINGS} -d {NAME} {NETWORK}
        docker service create --detach --no-resolve-image --name {SERVICE} \
            --replicas {REPLICAS} --network {NETWORK} {CAN_TOOLS} candump -L any
    """
    try:
        lab.host("sh", "-c", docker)
        yield SERVICE
        lab.host("docker", "service", "rm", SERVICE)
        wait_until(lambda: not host_ends(lab), 60, "the service's containers to be removed")
        lab.host("docker", "network", "rm", NETWORK)
        wait_until(lambda: BUS not in links(lab), 30, f"{BUS} to be deleted")
    finally:
        lab.host("docker", "swarm", "leave", "--force", check=False)
        # The engine created docker_gwbridge for the Swarm and keeps it.
        lab.host("docker", "network", "rm", SETTINGS, "docker_gwbridge", check=False)


def running(testbed: Testbed, name: str) -> list[Container]:
    """Return the running containers of a service."""
    return testbed.client().containers.list(
        filters={"label": f"com.docker.swarm.service.name={name}", "status": "running"}
    )


def wait_complete(testbed: Testbed, name: str, gone: str = "") -> list[Container]:
    """Wait until a service has its containers, without one, and its bus a full mesh of rules."""

    def complete() -> bool:
        containers = running(testbed, name)
        table = testbed.host("cangw", "-L", check=False).stdout.decode()
        ends = host_ends(testbed)
        return (
            len(containers) == len(ends) == REPLICAS
            and gone not in {container.id for container in containers}
            and not mesh_problems(parse_cangw(table), BUS, ends)
        )

    wait_until(complete, 120, f"{REPLICAS} containers of {name} on {BUS}")
    return running(testbed, name)


def assert_exactly_once(testbed: Testbed, containers: list[Container]) -> None:
    """Assert that each frame of a container and of the host reaches the others once."""
    with closing(HostMember(testbed, BUS)) as host:
        inside = [NamespaceMember(testbed, container, "can0") for container in containers]
        verdict = count_deliveries([*inside, host])
        assert verdict.exactly_once, str(verdict)


@pytest.mark.thorough
def test_replicas_of_a_service_are_on_one_bus_also_after_one_was_replaced(
    lab: Testbed, plugin: PluginProcess, service: str
) -> None:
    containers = wait_complete(lab, service)
    assert_exactly_once(lab, containers)
    containers[0].kill()
    containers = wait_complete(lab, service, gone=str(containers[0].id))
    assert_exactly_once(lab, containers)
    assert_no_problems(plugin)
