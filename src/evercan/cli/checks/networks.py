"""Check the engine's CAN networks and their containers; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evercan.cli.checks.check import Check, Result
from evercan.cli.views import words
from evercan.cli.views.docker import DockerContainer, DockerNetwork


def pool_check(networks: Sequence[DockerNetwork]) -> Check:
    """Check whether CAN networks occupy the engine's address pools."""
    identity, title = "networks.pools", "address pools"
    names = [network.name for network in networks if network.subnets]
    if not names:
        return Check(identity, title, Result.OK, "no CAN network occupies an address pool")
    some = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return Check(
        identity,
        title,
        Result.WARN,
        f"{words.number_of(len(names), 'CAN network')} ({some}) "
        f"{'each occupy' if len(names) > 1 else 'occupies'} one of the engine's about 31 address "
        "pools, and the CAN interfaces have IP addresses",
        'create them with --ipam-driver null (compose: ipam: {driver: "null"})',
    )


def gateway_check(networks: Sequence[DockerNetwork], on_gateway: Mapping[str, object]) -> Check:
    """Check whether containers have a second interface, on docker_gwbridge.

    Plugins older than evercan let the engine add it.

    Args:
        networks: the CAN networks.
        on_gateway: what is connected to docker_gwbridge, by container id.
    """
    identity, title = "networks.gwbridge", "docker_gwbridge"
    containers = sorted(
        {
            endpoint.container
            for network in networks
            for endpoint in network.members
            if endpoint.container_id in on_gateway
        }
    )
    if not containers:
        return Check(identity, title, Result.OK, "no container on a bus is connected to it")
    return Check(
        identity,
        title,
        Result.WARN,
        f"{', '.join(containers)}: a second interface with a default route, left by an older "
        "plugin",
        f"docker restart {' '.join(containers)}",
    )


def port_checks(
    networks: Sequence[DockerNetwork], containers: Sequence[DockerContainer]
) -> Iterator[Check]:
    """Check whether containers publish ports that nobody can reach.

    A published port needs a network with IP; the engine says nothing if there is none.

    Args:
        networks: the CAN networks.
        containers: the containers on them.
    """
    can = {network.id for network in networks}
    silent = [
        container for container in containers if container.ports and container.networks <= can
    ]
    for container in silent:
        ports = f"port{'s' if len(container.ports) > 1 else ''} {', '.join(container.ports)}"
        yield Check(
            "networks.ports",
            f"container {container.name}",
            Result.WARN,
            f"publishes {ports} and has only CAN networks: nobody can reach it, because it has "
            "no IP network",
            f"add one: docker network connect bridge {container.name} && docker restart "
            f"{container.name} (compose: add a second network, such as default, to the service)",
        )
    if not silent:
        yield Check(
            "networks.ports",
            "published ports",
            Result.OK,
            "no container with only CAN networks publishes a port",
        )


def failed_start_checks(errors: Mapping[str, str]) -> Iterator[Check]:
    """Report containers that did not start.

    Args:
        errors: the engine's error messages by container name.
    """
    for name, text in sorted(errors.items()):
        yield Check(
            "networks.refused",
            f"container {name}",
            Result.FAIL,
            f"did not start: {text}",
            f"solve the problem, then: docker start {name}",
        )
