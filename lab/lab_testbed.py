"""The lab as a testbed."""

import subprocess
import time
from contextlib import AbstractContextManager
from typing import Final

import docker

from lab import qemu, recipe
from lab.errors import TestbedError
from lab.machine import Machine
from lab.shell import JOURNAL, checked

_PLUG_TIMEOUT_S: Final = 60.0


class LabTestbed:
    """A lab that runs. See `lab.testbed.Testbed` for what is common to all testbeds."""

    cuts_power: Final = True

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def name(self) -> str:
        """What it is, for people."""
        accel = self.machine.record.accel.upper()
        return f"lab ({recipe.SUITE}, kernel {self.machine.image.release}, {accel})"

    @property
    def docker_host(self) -> str:
        """Address of the guest's engine."""
        return self.machine.docker_host

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """A fresh client of the guest's engine."""
        return docker.DockerClient(self.docker_host, version="auto", timeout=int(timeout))

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
        """Let a loopback port of this machine lead to one of the guest; yields the former."""
        return self.machine.ssh.forwarded(port)

    def power_cut(self) -> None:
        """Take the guest's power away; returns when its engine answers again.

        What the guest had not synced to its disk is lost.
        """
        self.machine.power_cut()
        self.machine.wait_engine()

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the guest's engine answers."""
        self.machine.wait_engine(timeout)

    def now(self) -> float:
        """The guest's clock, in seconds since 1970."""
        return float(self.host("date", "+%s.%N").stdout)

    def journal(self, since: float | None = None) -> str:
        """The engine's log, of this boot and those before it."""
        extra = () if since is None else (f"--since=@{since:.6f}",)
        return self.host(*JOURNAL, *extra).stdout.decode(errors="replace")

    def unplug(self, controller: int) -> None:
        """Unplug CAN controller 0 or 1; returns when the guest has let go of it.

        Raises:
            QmpError: It is not plugged in.
        """
        self.machine.unplug(controller)

    def replug(self, controller: int) -> None:
        """Plug the controller in again; returns when its interface is there.

        The guest names it as a new one: the lowest `canN` that is free.

        Raises:
            QmpError: It is plugged in.
            TestbedError: The guest made no interface for it.
        """
        self.machine.replug(controller)
        deadline = time.monotonic() + _PLUG_TIMEOUT_S
        while not self.interface(controller):
            if time.monotonic() > deadline:
                raise TestbedError(f"no interface for controller {controller} after re-plugging")
            time.sleep(0.1)

    def interface(self, controller: int) -> str:
        """Name of the controller's interface in the guest; empty if there is none."""
        folder = f"/sys/bus/pci/devices/{qemu.pci_address(controller)}/net"
        return self.host("ls", folder, check=False).stdout.decode().strip()
