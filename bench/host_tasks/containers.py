"""A bus of the plugin whose members are in network namespaces, as those of containers are."""

from __future__ import annotations

import ctypes
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.host_tasks.processes import (
    QUIET,
    Caller,
    Daemon,
    create_network,
    run,
    start_container,
    wipe,
)

_CLONE_NEWNET = 0x4000_0000
_KEEP = "mount -t sysfs sysfs /sys && echo ready && exec sleep infinity"


class Container:
    """A network namespace, and the process that keeps it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", _KEEP], stdout=subprocess.PIPE
        )
        if self._process.stdout is None or self._process.stdout.readline() != b"ready\n":
            raise SystemExit("cannot make a network namespace")

    def take(self, interface: str) -> None:
        """Move an interface inside and bring it up."""
        run("ip", "link", "set", interface, "netns", str(self._process.pid))
        self.run("ip", "link", "set", interface, "up")

    def run(self, *argv: str) -> None:
        """Run a program of the host inside."""
        run("nsenter", "-t", str(self._process.pid), "-n", "-m", *argv)

    def can_socket(self, interface: str) -> socket.socket:
        """Open a socket inside; it works from outside."""
        with self._inside():
            return can_socket(interface)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with (
            Path("/proc/self/ns/net").open("rb") as outside,
            Path(f"/proc/{self._process.pid}/ns/net").open("rb") as inside,
        ):
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())

    def end(self) -> None:
        """End the namespace, and with it the interfaces inside."""
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.kill()
        self._process.wait()


@dataclass
class Bus:
    """A bus of the plugin, with two of its members."""

    interface: str
    first: Container
    middle: Container
    first_end: str = ""
    middle_end: str = ""

    def path(self) -> tuple[socket.socket, socket.socket]:
        """Return sockets to send in the first container and to receive in the other."""
        return self.first.can_socket(self.first_end), self.middle.can_socket(self.middle_end)


@dataclass(frozen=True)
class Wanted:
    """A bus that is to be made.

    Attributes:
        members: how many it has.
        limits: the endpoint options of the first member.
        options: the options of the network.
    """

    members: int
    limits: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def buses(root: Path, wanted: Mapping[str, Wanted]) -> Iterator[dict[str, Bus]]:
    """Make buses of the plugin by name, with each member in a namespace.

    The first member and one in the middle have a namespace of their own.
    """
    wipe()
    plugin = Daemon(root)
    rest = Container()
    made: dict[str, Bus] = {}
    try:
        plugin.start()
        caller = Caller(plugin.path)
        for number, (name, bus_wanted) in enumerate(wanted.items()):
            network = f"{number + 1:064x}"
            create_network(caller, network, number, bus_wanted.options)
            made[name] = bus = Bus(f"vcan{number}", Container(), Container())
            for member in range(bus_wanted.members):
                limits = bus_wanted.limits if member == 0 else {}
                _, end = start_container(caller, 1000 * number + member, network, limits)
                if member == 0:
                    bus.first_end = end
                    bus.first.take(end)
                elif member == bus_wanted.members // 2:
                    bus.middle_end = end
                    bus.middle.take(end)
                else:
                    rest.take(end)
        time.sleep(QUIET)
        yield made
    finally:
        plugin.clean()
        for container in (rest, *(one for bus in made.values() for one in (bus.first, bus.middle))):
            container.end()
        wipe()


def can_socket(interface: str) -> socket.socket:
    """Open a socket that receives with a large buffer."""
    opened = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    opened.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    opened.bind((interface,))
    return opened


def _enter(namespace: int) -> None:
    # os.setns is in Python 3.12 and later only.
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
