"""A Docker network under test, its containers, and the checks on its frames and rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound
from docker.types import IPAMConfig

from lab.frames import ContainerMember, Deliveries, HostMember, Member, count_deliveries
from lab.plugin_process import NAME
from lab.rules import mesh_problems, parse_cangw
from tools.common.polling import wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container
    from testcontainers.core.container import DockerContainer

    from lab.testbed import Testbed

_LABEL = "evercan.bus-under-test"
_PATIENCE = 300
"""Seconds that a request to the engine may take."""
_PAIR_END = re.compile(r"vxcan[0-9a-f]{8}")


def attached_host_ends(testbed: Testbed) -> set[str]:
    """Return the host ends of all containers that are on networks of the plugin."""
    client = testbed.client()
    return {
        f"vxcan{endpoint['EndpointID'][:8]}"
        for network in client.networks.list(filters={"driver": NAME})
        for endpoint in client.networks.get(str(network.id)).attrs["Containers"].values()
    }


class NamespaceMember:
    """A container whose frames are sent by a program of the host, in the container's namespace.

    Under emulation that takes a quarter of the time of ``docker exec``. Implements
    ``lab.frames.Member``; the container's main process is ``candump -L any``.
    """

    def __init__(self, testbed: Testbed, container: Container, interface: str) -> None:
        """Remember the container and the CAN interface's name inside it."""
        self._testbed = testbed
        self._container = container
        self._interface = interface
        self.name = str(container.name)

    def send(self, script: str) -> None:
        """Run the script in the container's network namespace."""
        self._container.reload()
        pid = str(self._container.attrs["State"]["Pid"])
        inside = ("nsenter", "--net", "--target", pid)
        self._testbed.host(*inside, "sh", "-c", f"IF={self._interface}; {script}")

    def received(self) -> str:
        """Return the container's log."""
        return bytes(self._container.logs(stdout=True, stderr=False)).decode(errors="replace")


class Bus:
    """A Docker network of the plugin, with containers that listen on it.

    Attributes:
        interface: the bus interface on the host.
        containers: the containers that were started and not removed, in order.
    """

    def __init__(self, testbed: Testbed, interface: str, **options: str) -> None:
        """Create the network; ``options`` are added to those of the bus interface."""
        from testcontainers.core.network import Network  # noqa: PLC0415 - reads DOCKER_HOST

        match = re.fullmatch(r"(\D+)(\d+)", interface)
        assert match, interface
        self.interface = interface
        self.containers: list[Container] = []
        self._testbed = testbed
        self._name_inside = options.get("vxcan.peer", "can") + "0"
        self._names_inside: dict[str, str] = {}
        self._links_before = set(self.links())
        self._network = Network(
            docker_network_kw={
                "driver": NAME,
                "options": {
                    "vxcan.dev": match[1],
                    "vxcan.id": match[2],
                    "vxcan.peer": "can",
                    **options,
                },
                "ipam": IPAMConfig(driver="null"),
            }
        ).create()

    @property
    def name(self) -> str:
        """The Docker network's name."""
        return str(self._network.name)

    @property
    def network_id(self) -> str:
        """The engine's network id."""
        return str(self._network.id)

    # --- containers ---------------------------------------------------------

    def start(self, number: int, *, restart: str = "no", **options: Any) -> list[Container]:
        """Start containers that listen, all at the same time.

        ``options`` are further arguments of the SDK's ``containers.run``.
        """

        def start_one(_: int) -> Container:
            prepared = self._prepare(restart, options)
            prepared.start()
            return prepared.get_wrapped_container()

        with ThreadPoolExecutor(number) as pool:
            started = list(pool.map(start_one, range(number)))
        self.containers += started
        return started

    def _prepare(self, restart: str, options: dict[str, Any]) -> DockerContainer:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above

        return (
            # Its own limit of 60 seconds is too short for an emulated machine that is busy.
            DockerContainer(CAN_TOOLS, docker_client_kw={"timeout": _PATIENCE})
            .with_command("candump -L any")
            .with_network(self._network)
            .with_kwargs(
                restart_policy={"Name": restart},
                labels={_LABEL: self.name},
                # candump is the container's first process and ignores SIGTERM: an engine that
                # stops would wait for it for ten seconds.
                stop_signal="SIGKILL",
                **options,
            )
        )

    def reconnect(self) -> None:
        """Fetch the containers again: a power cut breaks the connections of their clients."""
        client = self._testbed.client()
        self.containers = [
            client.containers.get(str(container.id)) for container in self.containers
        ]

    def discard(self, container: Container) -> None:
        """Stop one container and remove it."""
        container.remove(force=True)
        self.containers = [other for other in self.containers if other.id != container.id]

    def connect(self, container: Container, name: str, aliases: list[str] | None = None) -> None:
        """Connect a container of another bus; ``name`` is the interface's second name inside."""
        network = self._testbed.client().networks.get(self.name)
        network.connect(container, aliases=aliases, driver_opt={"vxcan.name": name})
        self._names_inside[str(container.id)] = name
        self.containers.append(container)

    def disconnect(self, container: Container, *, force: bool = False) -> None:
        """Disconnect a container that was connected."""
        network = self._testbed.client().networks.get(self.name)
        network.disconnect(container, force=force)
        self.containers = [other for other in self.containers if other.id != container.id]

    def remove(self) -> None:
        """Remove every container, also those that failed to start, then the network."""
        self.containers = self._testbed.client().containers.list(
            all=True, filters={"label": f"{_LABEL}={self.name}"}
        )
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._remove_container, self.containers))
        self.containers = []
        try:
            self._testbed.client().networks.get(self.name).remove()
        except NotFound:
            return

    @staticmethod
    def _remove_container(container: Container) -> None:
        try:
            container.remove(force=True)
        except NotFound:
            return

    # --- checks ---------------------------------------------------------------

    def members(self, *, by_exec: bool) -> list[Member]:
        """Return the containers as members; ``by_exec``: they send by ``docker exec``."""
        inside = [
            (container, self._names_inside.get(str(container.id), self._name_inside))
            for container in self.containers
        ]
        if by_exec:
            return [ContainerMember(container, name) for container, name in inside]
        return [NamespaceMember(self._testbed, container, name) for container, name in inside]

    def judge(self, count: int = 10, *, by_exec: bool = False) -> Deliveries:
        """Let every container and the host send frames, and count what all others receive."""
        with ExitStack() as stack:
            host = stack.enter_context(closing(HostMember(self._testbed, self.interface)))
            return count_deliveries([*self.members(by_exec=by_exec), host], count)

    def assert_healthy(self, count: int = 10, *, by_exec: bool = False) -> Deliveries:
        """Assert that each frame reaches each member once, and that the rules are a full mesh."""
        ends = self.host_ends()
        assert len(ends) == len(self.containers), ends
        assert self._rule_problems(ends) == []
        verdict = self.judge(count, by_exec=by_exec)
        assert verdict.exactly_once, str(verdict)
        return verdict

    def wait_healthy(self, patience: float = 30) -> float:
        """Wait until the rule table is a full mesh; return the seconds that took."""

        def is_full_mesh() -> bool:
            ends = self.host_ends()
            return len(ends) == len(self.containers) and not self._rule_problems(ends)

        return wait_until(is_full_mesh, patience, f"a full mesh of rules on {self.interface}")

    def _rule_problems(self, ends: list[str]) -> list[str]:
        """Compare the host's rule table with a full mesh of the bus and some host ends."""
        table = self._testbed.host("cangw", "-L", check=False).stdout.decode()
        return mesh_problems(parse_cangw(table), self.interface, ends)

    def host_ends(self) -> list[str]:
        """Return the existing host ends of the containers that are on this network."""
        attached = self._testbed.client().networks.get(self.name).attrs["Containers"]
        expected = {f"vxcan{endpoint['EndpointID'][:8]}" for endpoint in attached.values()}
        return [name for name in self.links() if name in expected]

    def links(self) -> dict[str, dict[str, Any]]:
        """Return the host's interfaces by name, as ``ip -details -json link`` shows them."""
        shown = self._testbed.host("ip", "-details", "-json", "link", "show").stdout
        return {link["ifname"]: link for link in json.loads(shown)}

    def leftovers(self) -> list[str]:
        """Return the interfaces of the plugin's kinds that nobody uses and that are new.

        A container of another bus has a new interface since this bus was created if it
        was restarted meanwhile.
        """
        now = {name for name in self.links() if _PAIR_END.match(name) or name == self.interface}
        return sorted(now - self._links_before - attached_host_ends(self._testbed))

    def wait(self, true: Callable[[], bool], what: str, patience: float = 30) -> float:
        """Wait until a condition is true; return the seconds that took."""
        return wait_until(true, patience, what)
