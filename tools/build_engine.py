"""Where images are built: an engine that is there, else one of our own for a while.

The private engine is Debian's ``dockerd`` with its own folders, socket and
container names, so it neither sees nor disturbs any other engine. Its layers
stay in the user's cache folder. It ends with the process that started it, even
if that one is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from tools.common import BuildError, cache_dir, locked, say

LOCAL_SOCKET = Path("/var/run/docker.sock")
# The bridge of a machine's own engine, and ours beside it.
FOREIGN_BRIDGE = Path("/sys/class/net/docker0")
OWN_BRIDGE = "evercan-build"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Seconds one API call may be silent: a build step is, while apt works.
CALL_SECONDS = 900


class NoEngineError(BuildError):
    """There is no engine to build on, and none may be started here."""


@dataclass(frozen=True)
class BuildEngine:
    """An engine to build on.

    Attributes:
        client: connected, with a time-out long enough for a build.
        private: whether it is ours alone, so that old layers may be cleared away.
    """

    client: docker.DockerClient
    private: bool

    @property
    def architecture(self) -> str:
        """What the engine's host is, in Go's words: ``amd64`` or ``arm64``."""
        return str(self.client.version()["Arch"])

    def clear_leftovers(self) -> None:
        """Removes layers that no named image needs; on a private engine only."""
        if self.private:
            self.client.images.prune(filters={"dangling": True})


def connect(url: str | None = None, timeout: int = CALL_SECONDS) -> docker.DockerClient:
    """Connects to an engine.

    Args:
        url: a DOCKER_HOST value; None reads the environment.
        timeout: seconds that one call may stay silent.

    Raises:
        BuildError: nothing answers there.
    """
    where = url or os.environ.get("DOCKER_HOST") or f"unix://{LOCAL_SOCKET}"
    try:
        if url:
            client = docker.DockerClient(base_url=url, timeout=timeout)
        else:
            client = docker.from_env(timeout=timeout)
        client.ping()
    except (DockerException, OSError) as error:
        raise BuildError(
            f"no Docker engine answers at {where}: {error}",
            "start it, or name another one with --host or in DOCKER_HOST",
        ) from error
    return client


@contextmanager
def build_engine(fallback: str | None = None) -> Iterator[BuildEngine]:
    """Finds or starts an engine to build on, and ends it if it was started here.

    In this order: the one DOCKER_HOST names, the machine's own, a private one
    (needs root and ``dockerd``), the fallback.

    Args:
        fallback: a DOCKER_HOST value to use when nothing else is there.

    Raises:
        NoEngineError: there is none of these.
        BuildError: DOCKER_HOST names an engine that does not answer, or the private one fails.
    """
    if os.environ.get("DOCKER_HOST"):
        yield BuildEngine(connect(), private=False)
    elif LOCAL_SOCKET.exists() and (local := _answering(f"unix://{LOCAL_SOCKET}")):
        yield BuildEngine(local, private=False)
    elif os.geteuid() == 0 and shutil.which("dockerd"):
        with private_engine() as url:
            yield BuildEngine(connect(url), private=True)
    elif fallback:
        yield BuildEngine(connect(fallback), private=False)
    else:
        raise NoEngineError(
            "there is no Docker engine to build on",
            "set DOCKER_HOST, or install Debian's docker.io and run this as root",
        )


def _answering(url: str) -> docker.DockerClient | None:
    """Connects, or returns None: a socket file may outlive its engine."""
    try:
        return connect(url)
    except BuildError:
        return None


@contextmanager
def private_engine() -> Iterator[str]:
    """Runs a ``dockerd`` of our own; one at a time for each cache folder.

    Yields:
        Its DOCKER_HOST value.

    Raises:
        BuildError: it does not come up.
    """
    data = cache_dir("engine")
    with locked(data.with_suffix(".lock"), "building on the private engine") as lock:
        # A socket's path may have 107 bytes at most, so it is not in the cache folder.
        run = Path(tempfile.mkdtemp(prefix="evercan-"))
        log = run / "log"
        try:
            with _bridge() as bridge, log.open("wb") as output:
                # The child keeps the lock open: should we be killed, the next one
                # waits until this engine has really gone.
                process = subprocess.Popen(
                    _command(data, run, bridge),
                    stdout=output,
                    stderr=output,
                    pass_fds=[lock.fileno()],
                )
                try:
                    url = f"unix://{run}/docker.sock"
                    _wait_until_up(process, url, log)
                    yield url
                finally:
                    _stop(process)
        finally:
            _remove(run)


@contextmanager
def _bridge() -> Iterator[str]:
    """Yields the value of ``--bridge`` with which an engine leaves other engines' alone.

    Builds use the host's network and need none. But told ``none``, an engine deletes
    the interface docker0 (moby, daemon_unix.go, removeDefaultBridgeInterface), and
    where there is one it is another engine's.
    """
    if not FOREIGN_BRIDGE.exists():
        yield "none"
        return
    remove = ["ip", "link", "del", OWN_BRIDGE]
    subprocess.run(remove, check=False, capture_output=True)  # of a process that was killed
    subprocess.run(["ip", "link", "add", OWN_BRIDGE, "type", "bridge"], check=True)
    try:
        # Without an address it would take one of the machine's. This one is nobody's (RFC 5737).
        address = ["ip", "address", "add", "198.51.100.1/30", "dev", OWN_BRIDGE]
        subprocess.run(address, check=True)
        yield OWN_BRIDGE
    finally:
        subprocess.run(remove, check=False, capture_output=True)


def _command(data: Path, run: Path, bridge: str) -> list[str]:
    """Returns the command line of a private engine."""
    return [
        *("setpriv", "--pdeathsig=TERM", "dockerd", f"--host=unix://{run}/docker.sock"),
        *(f"--data-root={data}", f"--exec-root={run}/exec", f"--pidfile={run}/pid"),
        # Hands off the firewall and the routing of the machine.
        *(f"--bridge={bridge}", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        "--log-level=warn",
        # A containerd of the machine may be shared; its contents are not.
        *("--containerd-namespace=evercan", "--containerd-plugins-namespace=evercan-plugins"),
    ]


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Waits until the engine answers.

    Raises:
        BuildError: it ended, or `START_SECONDS` are over.
    """
    say("starting a private Docker engine to build on")
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(DockerException, OSError):
            docker.DockerClient(base_url=url, version="1.41", timeout=5).ping()
            return
        time.sleep(0.1)
    raise BuildError(
        f"the private Docker engine does not come up: {log.read_text()[-2000:]}",
        "start an engine yourself and name it in DOCKER_HOST",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the engine; its containerd ends with it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(run: Path) -> None:
    """Removes the run folder, unmounting what a killed engine left in it."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for target in reversed([line.split()[1] for line in mounts]):
        if target.startswith(f"{run}/"):
            subprocess.run(["umount", "--lazy", target], check=False)
    shutil.rmtree(run, ignore_errors=True)
