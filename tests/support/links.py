"""Links in processes of their own, over a real Zenoh, with a socket in place of a CAN bus."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any

from tools.common.polling import wait_until

ROOT = Path(__file__).parents[2]
_HEAD = Struct("<IBBBB")
_PORTS = random.SystemRandom()
"""Tests that run at the same time may have the same seed."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It is none of those that Linux gives to connections, so that no other program is likely to get
    it before it is used.
    """
    while True:
        port = _PORTS.randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def classic(can_id: int, data: bytes = b"") -> bytes:
    """Return a classic frame, as the kernel has it."""
    return _HEAD.pack(can_id, len(data), 0, 0, 0) + data.ljust(8, b"\0")


def fd(can_id: int, data: bytes, flags: int = 0x05) -> bytes:
    """Return a CAN FD frame, as the kernel has it."""
    return _HEAD.pack(can_id, len(data), flags, 0, 0) + data.ljust(64, b"\0")


class Bus:
    """The test's end of a socket that a link takes for its CAN interface."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.ours, self.theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)

    def send(self, *frames: bytes) -> None:
        """Put frames on the bus."""
        for frame in frames:
            self.ours.send(frame)

    def receive(self, count: int, seconds: float = 10.0) -> list[bytes]:
        """Return what the link has written: as many frames as are asked for, or fewer."""
        self.ours.settimeout(seconds)
        found: list[bytes] = []
        try:
            while len(found) < count:
                found.append(self.ours.recv(100))
        except TimeoutError:
            pass
        return found

    def close(self) -> None:
        """Close both ends."""
        self.ours.close()
        self.theirs.close()


class LinkProcess:
    """A running link.

    Attributes:
        bus: what it takes for its bus.
        url: where it serves its health.
    """

    def __init__(self, host: str, bus: Bus, **settings: str) -> None:
        """Start it; settings are variables without ``LINK_``, in lower case."""
        self.host, self.bus = host, bus
        http = f"127.0.0.1:{free_port()}"
        self.url = f"http://{http}"
        given = {"bus": "powertrain", "host": host, "http": http, **settings}
        environment = {f"LINK_{name.upper()}": value for name, value in given.items()}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "tests.support.link_program",
                str(bus.theirs.fileno()),
            ],
            pass_fds=[bus.theirs.fileno()],
            cwd=ROOT,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("LINK_")},
                "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def health(self) -> dict[str, Any]:
        """Return its health; what it says if it is not healthy too."""
        try:
            return dict(json.loads(self._get("health")))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))

    def metrics(self) -> str:
        """Return its metrics."""
        return self._get("metrics")

    def _get(self, document: str) -> str:
        url = f"{self.url}/{document}"
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http
            return str(answer.read().decode())

    def counts(self, host: str) -> dict[str, Any]:
        """Return what it has counted of a host's frames."""
        found = [known for known in self.health()["hosts"] if known["host"] == host]
        return dict(found[0]) if found else {}

    def wait_for(self, state: str, *linked: str) -> None:
        """Wait until it has a state and has heard the pings of other hosts."""

        def ready() -> bool:
            try:
                now = self.health()
            except OSError:
                assert self.process.poll() is None, self.output()
                return False
            heard = {h["host"] for h in now["hosts"] if h["links"] and h["round_trip_ms"]}
            return now["state"] == state and heard >= set(linked)

        wait_until(ready, 20, f"link {self.host} to be {state} and linked with {linked}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        self.process.send_signal(number)

    def stall(self) -> None:
        """Stop it until SIGCONT; when this returns, no thread of it runs."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def read_from_bus(self) -> int:
        """Return how many frames it has read from its bus, also those that it has dropped."""
        sent = self.health()["sent"]
        return int(sent["frames"] + sent["overflowed"])

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(10)

    def output(self) -> str:
        """Return what it has printed, after its end."""
        return self.process.stdout.read() if self.process.stdout else ""

    def end(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout:
            self.process.stdout.close()


class Links:
    """Starts links, and ends all of them."""

    def __init__(self) -> None:
        self._started: list[LinkProcess] = []
        self._buses: list[Bus] = []

    def bus(self) -> Bus:
        """Return a new bus."""
        self._buses.append(Bus())
        return self._buses[-1]

    def start(self, host: str, bus: Bus | None = None, **settings: str) -> LinkProcess:
        """Start a link, on a bus of its own if none is given."""
        self._started.append(LinkProcess(host, bus or self.bus(), **settings))
        return self._started[-1]

    def end(self) -> None:
        """End everything."""
        for link in self._started:
            link.end()
        for bus in self._buses:
            bus.close()


def links() -> Iterator[Links]:
    """Yield a `Links`; the body of a fixture."""
    made = Links()
    try:
        yield made
    finally:
        made.end()
