"""The plugin's process, programs of the host, and the engine's calls."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INSIDE = Path("/tmp/evercan-bench")  # noqa: S108 - in the plugin's root file system
NETWORK = "ab" * 32
BUS = "vcan0"
QUIET = 2.5
"""Seconds after the last call in which the full pass for it is over."""


class Caller(http.client.HTTPConnection):
    """A connection to the daemon."""

    def __init__(self, path: Path) -> None:
        super().__init__("evercan", timeout=60)
        # The path of a socket has at most 107 bytes; the path through an engine's folder is longer.
        os.chdir(path.parent)
        self._path = path.name

    def connect(self) -> None:
        """Connect to its socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)

    def call(self, verb: str, **fields: Any) -> float:
        """Send one call of the engine; return the seconds until it was answered."""
        started = time.perf_counter()
        self.answer(verb, **fields)
        return time.perf_counter() - started

    def answer(self, verb: str, **fields: Any) -> Any:
        """Send one call of the engine; return what was answered."""
        self.request("POST", f"/{verb}", json.dumps(fields).encode())
        answer = self.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{verb}: {text!r}")
        return json.loads(text)

    def scrape(self, attempts: int = 10) -> None:
        """Read the metrics, again if the daemon gave up on a busy host."""
        for left in reversed(range(attempts)):
            self.request("GET", "/metrics")
            answer = self.getresponse()
            text = answer.read()
            if answer.status == 200:
                return
            if not left:
                raise SystemExit(f"metrics: {text!r}")


class Daemon:
    """The plugin's process in its root file system, with its own socket and state file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / INSIDE.relative_to("/")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """The path of its socket on the host."""
        return self._folder / "evercan.sock"

    def start(self, **settings: str) -> float:
        """Start it; return the seconds until its first answer.

        Args:
            settings: Variables of its environment beside those that every run has.
        """
        started = time.perf_counter()
        self.process = subprocess.Popen(
            ["chroot", str(self._root), "/usr/bin/python3", "-I", "-S", "-m", "evercan"],
            env={
                "PATH": os.environ["PATH"],
                "EVERCAN_SOCKET": str(INSIDE / "evercan.sock"),
                "EVERCAN_STATE_FOLDER": str(INSIDE / "state"),
                "EVERCAN_LOG_LEVEL": "warning",
                **settings,
            },
            stdout=sys.stderr,  # this process's own is for the results
        )
        while True:
            try:
                caller = Caller(self.path)
                caller.call("Plugin.Activate")
                caller.close()
                return time.perf_counter() - started
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - started > 120:
                    raise SystemExit("the daemon does not answer") from None
                time.sleep(0.002)

    def memory(self) -> int:
        """Return its resident memory in kB."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def work(self) -> tuple[float, int]:
        """Return the processor seconds that its threads have used, and how often they woke."""
        seconds, wakeups = 0.0, 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    wakeups += int(line.split()[1])
        return seconds, wakeups

    @property
    def _pid(self) -> int:
        return self.process.pid if self.process else 0

    def end(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def clean(self) -> None:
        """Kill it and remove its state file."""
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)


def run(*argv: str) -> None:
    """Run a program of the host."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def ip_batch(*commands: str, check: bool = True) -> None:
    """Run commands of ``ip`` in one process."""
    subprocess.run(
        ["ip", "-force", "-batch", "-"],
        input="\n".join(commands).encode(), check=check,
        stderr=None if check else subprocess.DEVNULL,
    )  # fmt: skip


def wipe() -> None:
    """Delete every CAN interface of this namespace."""
    for kind in ("vxcan", "vcan"):
        shown = subprocess.run(
            ["ip", "-json", "link", "show", "type", kind], check=True, capture_output=True
        )
        found = [link["ifname"] for link in json.loads(shown.stdout or b"[]")]
        # Both ends of a pair are listed, and go together.
        ip_batch(*(f"link del {name}" for name in found), check=False)


def receivers() -> int:
    """Return how many entries the receive lists of this namespace have: rules and sockets."""
    for line in Path("/proc/net/can/stats").read_text().splitlines():
        if "(CRCV)" in line:
            return int(line.split()[0])
    raise SystemExit("/proc/net/can/stats does not show the number of receive list entries")


def count_rules() -> int:
    """Return how many can-gw rules this namespace has, each of which is a receive list entry."""
    listed = Path("/proc/net/can/rcvlist_all").read_text().splitlines()
    return sum(line.endswith(" gw") for line in listed)


def endpoint(number: int) -> str:
    """Return an endpoint's id."""
    return f"{number:08x}" * 8


def names(number: int, network: str = NETWORK) -> dict[str, str]:
    """Return the fields that identify an endpoint."""
    return {"NetworkID": network, "EndpointID": endpoint(number)}


def create_network(
    caller: Caller,
    network: str = NETWORK,
    bus: int = 0,
    more: Mapping[str, str] | None = None,
) -> None:
    """Create a network whose bus is the vcan of this number, with further options."""
    options = {"com.docker.network.generic": {"vxcan.id": str(bus), **(more or {})}}
    caller.call("NetworkDriver.CreateNetwork", NetworkID=network, Options=options)


def start_container(
    caller: Caller, number: int, network: str = NETWORK, options: Mapping[str, str] | None = None
) -> tuple[float, str]:
    """Send what the engine sends for a container; return the seconds and the container end.

    Options are those of the endpoint, such as ``vxcan.send``.
    """
    started = time.perf_counter()
    caller.call("NetworkDriver.CreateEndpoint", **names(number, network), Options=options or {})
    answer = caller.answer("NetworkDriver.Join", **names(number, network))
    return time.perf_counter() - started, answer["InterfaceName"]["SrcName"]


def stop_container(caller: Caller, number: int) -> float:
    """Send what the engine sends when a container ends; return the seconds."""
    took = caller.call("NetworkDriver.Leave", **names(number))
    return took + caller.call("NetworkDriver.DeleteEndpoint", **names(number))
