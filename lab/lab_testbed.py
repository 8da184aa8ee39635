"""The lab as a testbed."""

import subprocess
from contextlib import AbstractContextManager
from typing import Final

import docker

from lab import qemu
from lab.errors import TestbedError
from lab.machine import Machine
from lab.shell import JOURNAL, checked
from tools.common.docker_engine import new_client
from tools.common.polling import attempts

_PLUG_TIMEOUT_S: Final = 60.0
_CABLE_CARD: Final = "eth1"


class LabTestbed:
    """A running lab. See `lab.testbed.Testbed` for what all testbeds have in common."""

    cuts_power: Final = True

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def name(self) -> str:
        """A description: ``lab (trixie, kernel 6.12, TCG)``."""
        image, accel = self.machine.image, self.machine.info.accel.upper()
        return f"lab ({image.recipe.name}, kernel {image.kernel_release}, {accel})"

    @property
    def docker_host(self) -> str:
        """DOCKER_HOST value of the guest's engine."""
        return self.machine.docker_host

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """Return a new client of the guest's engine."""
        return new_client(self.docker_host, timeout)

    def host(
        self,
        *argv: str,
        stdin: bytes | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the guest, as root."""
        return checked(argv, self.machine.ssh.run(argv, stdin, timeout), check=check)

    def host_process(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a long-running command in the guest, as root."""
        return self.machine.ssh.popen(argv)

    def forwarded(self, port: int) -> AbstractContextManager[int]:
        """Forward a loopback port of this machine to a port of the guest; yield the former."""
        return self.machine.ssh.forwarded(port)

    def exposed(self, port: int) -> AbstractContextManager[None]:
        """Forward a loopback port of the guest to the same one of this machine."""
        return self.machine.ssh.exposed(port)

    def power_cut(self) -> None:
        """Cut the guest's power; return when its engine answers again.

        What the guest had not synced to its disk is lost.
        """
        self.machine.power_cut()
        self.machine.wait_engine()

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the guest's engine answers."""
        self.machine.wait_engine(timeout)

    def now(self) -> float:
        """Return the guest's time, in seconds since 1970."""
        return float(self.host("date", "+%s.%N").stdout)

    def journal(self, since: float | None = None) -> str:
        """Return the engine's log of this boot and the earlier ones."""
        extra = () if since is None else (f"--since=@{since:.6f}",)
        return self.host(*JOURNAL, *extra).stdout.decode(errors="replace")

    def unplug(self, controller: int) -> None:
        """Unplug CAN controller 0 or 1; return when the guest has released it.

        Raises:
            QmpError: It is not plugged in.
        """
        self.machine.unplug(controller)

    def replug(self, controller: int) -> None:
        """Plug the controller in again; return when its interface exists.

        The guest treats it as a new one and gives it the lowest free name `canN`.

        Raises:
            QmpError: It is plugged in.
            TestbedError: The guest made no interface for it.
        """
        self.machine.replug(controller)
        for _ in attempts(_PLUG_TIMEOUT_S, 0.1):
            if self.interface(controller):
                return
        raise TestbedError(
            f"no interface for controller {controller} after re-plugging",
            "read the guest's kernel log: python -m lab exec dmesg",
        )

    def connect(self, other: "LabTestbed", addresses: tuple[str, str]) -> None:
        """Join this guest and another one by an Ethernet cable; return when both have addresses.

        A power cut takes an address away. Call this again after one of the other guest.

        Args:
            other: The other guest.
            addresses: The address of this one and of the other, with the length of the prefix.

        Raises:
            QmpError: QEMU rejects it.
            TestbedError: A guest did not find the card.
        """
        socket = self.machine.folder / qemu.CABLE
        for guest, address in zip((self, other), addresses, strict=True):
            guest.machine.plug_cable(socket, listens=guest is self)
            give = f"ip addr replace {address} dev {_CABLE_CARD} && ip link set {_CABLE_CARD} up"
            for left in attempts(_PLUG_TIMEOUT_S, 0.1):
                if guest.host("sh", "-c", give, check=not left).returncode == 0:
                    break

    def interface(self, controller: int) -> str:
        """Return the name of the controller's interface in the guest; empty if there is none."""
        folder = qemu.controller_folder(self.machine.image.recipe.architecture, controller)
        return self.host("sh", "-c", f"ls {folder}/net", check=False).stdout.decode().strip()
