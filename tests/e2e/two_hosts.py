"""Two guests of the lab as hosts of one bus, with an Ethernet cable between them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from lab.frames import Deliveries, HostMember, Member, count_deliveries
from lab.lab_testbed import LabTestbed
from tests.e2e.bus import NamespaceMember
from tests.e2e.command import Command
from tests.e2e.links import wait_linked
from tools.common.checkout import ROOT
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container

ADDRESSES = ("10.0.0.5", "10.0.0.6")
"""Those of docs/hosts.md."""

_LABEL = "evercan.one-of-two-hosts"


class Host:
    """One of the hosts: the guest, and the ``evercan`` command for its engine."""

    def __init__(self, name: str, testbed: LabTestbed, address: str) -> None:
        self.name = name
        self.testbed = testbed
        self.address = address
        self.command = Command(testbed)

    def type(self, line: str, folder: Path) -> str:
        """Run a line in a terminal of this host, and return its output."""
        typed = subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env={
                **self.command.environment,
                "PATH": f"{ROOT}/.venv/bin{os.pathsep}{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert typed.returncode == 0, f"{line}: {typed.stdout}{typed.stderr}"
        return typed.stdout

    def listener(self, network: str) -> Container:
        """Start a container that listens on a network, also after the host was off."""
        return self.testbed.client().containers.run(
            CAN_TOOLS,
            "candump -L any",
            network=network,
            detach=True,
            labels=[_LABEL],
            restart_policy={"Name": "always"},
            stop_signal="SIGKILL",
        )

    def remove_listeners(self) -> None:
        """Remove what `listener` has started."""
        client = self.testbed.client()
        for container in client.containers.list(all=True, filters={"label": _LABEL}):
            container.remove(force=True)

    def members(self, interface: str) -> list[NamespaceMember]:
        """Return the containers that `listener` has started."""
        listeners = self.testbed.client().containers.list(filters={"label": _LABEL})
        return [NamespaceMember(self.testbed, listener, interface) for listener in listeners]


class Hosts:
    """Both hosts, a and b."""

    def __init__(self, a: LabTestbed, b: LabTestbed) -> None:
        self.a, self.b = (
            Host(name, testbed, address)
            for name, testbed, address in zip("ab", (a, b), ADDRESSES, strict=True)
        )
        self.connect()

    def __iter__(self) -> Iterator[Host]:
        return iter((self.a, self.b))

    def connect(self) -> None:
        """Give both ends of the cable their addresses, also after a power cut of b."""
        a, b = (f"{address}/24" for address in ADDRESSES)
        self.a.testbed.connect(self.b.testbed, (a, b))

    def judge(self, bus: str, inside: str, *, of: Sequence[Host] = ()) -> Deliveries:
        """Let all listeners and the bus interface of each host send, and count what arrives.

        Args:
            bus: The bus interface's name, on each host.
            inside: The interface's name in the containers.
            of: The hosts; both by default.
        """
        with ExitStack() as stack:
            members: list[Member] = []
            for host in of or tuple(self):
                members += host.members(inside)
                interface = HostMember(host.testbed, bus)
                members.append(stack.enter_context(closing(interface)))
            return count_deliveries(members)

    def wait_linked(self, network: str) -> None:
        """Wait until the links of both hosts know each other."""
        wait_linked({host.name: (host.command, network) for host in self})
