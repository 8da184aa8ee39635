"""The Docker engine that images are built on: one that is there, or a private one.

The private engine is Debian's ``dockerd`` with its own folders, socket and container names, so
it does not affect any other engine. Its layers stay in the user's cache folder. It ends with the
process that started it, even if that process is killed.

An engine of this machine also builds for another architecture, if the machine runs its programs.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker

from tools import foreign
from tools.common.architecture import Architecture, of_engine, of_machine
from tools.common.cache import cache_dir
from tools.common.docker_engine import (
    ENGINE_ERRORS,
    LOCAL_ENGINE,
    LOCAL_SOCKET,
    connect,
    new_client,
)
from tools.common.errors import BuildError, EngineError, NoEngineError
from tools.common.locks import locked
from tools.common.polling import attempts
from tools.common.progress import report

# The bridge of the machine's own engine, and the private engine's.
FOREIGN_BRIDGE = Path("/sys/class/net/docker0")
OWN_BRIDGE = "evercan-build"
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class BuildEngine:
    """An engine to build on.

    Attributes:
        client: A connected client; its time-out is long enough for a build.
        private: whether it is used for builds alone, so that old layers may be removed.
        architecture: what it builds for.
        foreign: whether that is not the architecture of the engine's host.
    """

    client: docker.DockerClient
    private: bool
    architecture: Architecture
    foreign: bool = False

    def clear_leftovers(self) -> None:
        """Remove layers that no named image needs; on a private engine only."""
        if self.private:
            self.client.images.prune(filters={"dangling": True})


@contextmanager
def build_engine(
    fallback: str | None = None, architecture: Architecture | None = None
) -> Iterator[BuildEngine]:
    """Find or start an engine to build on; stop it at the end if it was started here.

    In this order: the one that DOCKER_HOST names, the machine's own, a private one
    (needs root and ``dockerd``), the fallback.

    Args:
        fallback: DOCKER_HOST value of an engine to use if there is no other.
        architecture: What to build for; by default the architecture of the engine's host.

    Raises:
        NoEngineError: There is none of these.
        EngineError: DOCKER_HOST names an engine that does not answer.
        BuildError: The private engine does not start, or the engine does not build for that
            architecture.
    """
    with _found(fallback) as (docker_host, client, private):
        own = of_engine(client)
        wanted = architecture or own
        if wanted != own:
            _require_foreign(docker_host, own, wanted)
        yield BuildEngine(client, private, wanted, foreign=wanted != own)


def engine_architecture(fallback: str | None = None) -> Architecture:
    """Return the architecture of the engine that `build_engine` finds, without starting one.

    Raises:
        NoEngineError: There is none.
        EngineError: DOCKER_HOST names an engine that does not answer.
        BuildError: evercan is not built for that architecture.
    """
    if _starts_a_private_engine():
        own = of_machine(platform.machine())
        if own is not None:
            return own
    with _found(fallback) as (_, client, _private):
        return of_engine(client)


@contextmanager
def _found(fallback: str | None) -> Iterator[tuple[str, docker.DockerClient, bool]]:
    """Yield an engine's DOCKER_HOST value, a client of it, and whether it is a private engine."""
    if named := os.environ.get("DOCKER_HOST"):
        yield named, connect(), False
    elif LOCAL_SOCKET.exists() and (local := _local_engine()):
        yield LOCAL_ENGINE, local, False
    elif _may_start_an_engine():
        with private_engine() as url:
            yield url, connect(url), True
    elif fallback:
        yield fallback, connect(fallback), False
    else:
        raise NoEngineError(
            "there is no Docker engine to build on",
            "set DOCKER_HOST; or install Debian's docker.io and run this as root; or build on the "
            "lab's engine: python -m lab plugin",
        )


def _may_start_an_engine() -> bool:
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


def _starts_a_private_engine() -> bool:
    if os.environ.get("DOCKER_HOST") or (LOCAL_SOCKET.exists() and _local_engine()):
        return False
    return _may_start_an_engine()


def _require_foreign(docker_host: str, own: Architecture, wanted: Architecture) -> None:
    """Make sure that an engine builds for another architecture than its host's.

    Raises:
        BuildError: It does not.
    """
    if not docker_host.startswith("unix://"):
        raise BuildError(
            f"the engine at {docker_host} is of {own}, and evercan is to be built for {wanted}",
            f"set DOCKER_HOST to an engine of {wanted}, or unset it to build on this machine",
        )
    foreign.require(wanted)


def _local_engine() -> docker.DockerClient | None:
    """Connect to the machine's own engine; return None if only its socket file is left."""
    try:
        return connect(LOCAL_ENGINE)
    except EngineError:
        return None


@contextmanager
def private_engine() -> Iterator[str]:
    """Run a private ``dockerd``; one at a time for each cache folder.

    Yields:
        Its DOCKER_HOST value.

    Raises:
        BuildError: It does not start.
    """
    data = cache_dir("engine")
    with locked(data.with_suffix(".lock"), "building on the private engine") as lock:
        # The path of a socket has at most 107 bytes, so it is not in the cache folder.
        run = Path(tempfile.mkdtemp(prefix="evercan-"))
        log = run / "log"
        try:
            with _bridge() as bridge, log.open("wb") as output:
                # The child keeps the lock: if this process is killed, the next one waits
                # until this engine has ended.
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
    """Yield the value of ``--bridge`` with which an engine does not touch another's bridge.

    Builds use the host's network and need no bridge. But with ``none`` an engine deletes the
    interface docker0 (moby, daemon_unix.go, removeDefaultBridgeInterface), which belongs to
    another engine if it exists.
    """
    if not FOREIGN_BRIDGE.exists():
        yield "none"
        return
    remove = ["ip", "link", "del", OWN_BRIDGE]
    subprocess.run(remove, check=False, capture_output=True)  # left by a process that was killed
    subprocess.run(["ip", "link", "add", OWN_BRIDGE, "type", "bridge"], check=True)
    try:
        # Without an address the engine would choose one. This one is reserved (RFC 5737).
        address = ["ip", "address", "add", "198.51.100.1/30", "dev", OWN_BRIDGE]
        subprocess.run(address, check=True)
        yield OWN_BRIDGE
    finally:
        subprocess.run(remove, check=False, capture_output=True)


def _command(data: Path, run: Path, bridge: str) -> list[str]:
    """Return the command line of a private engine."""
    return [
        *("setpriv", "--pdeathsig=TERM", "dockerd", f"--host=unix://{run}/docker.sock"),
        *(f"--data-root={data}", f"--exec-root={run}/exec", f"--pidfile={run}/pid"),
        # The machine's firewall and routing stay as they are.
        *(f"--bridge={bridge}", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        "--log-level=warn",
        # The engine may share the machine's containerd, but not its contents.
        *("--containerd-namespace=evercan", "--containerd-plugins-namespace=evercan-plugins"),
    ]


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the engine answers.

    Raises:
        BuildError: It ended, or it does not answer within `START_SECONDS`.
    """
    report("starting a private Docker engine to build on")
    for _ in attempts(START_SECONDS, 0.1):
        if process.poll() is not None:
            break
        with suppress(*ENGINE_ERRORS):
            new_client(url, timeout=5).ping()
            return
    raise BuildError(
        f"the private Docker engine does not start: {log.read_text()[-2000:]}",
        "start an engine yourself and name it in DOCKER_HOST",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the engine; its containerd stops with it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(run: Path) -> None:
    """Remove the run folder and unmount what a killed engine left in it."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for target in reversed([line.split()[1] for line in mounts]):
        if target.startswith(f"{run}/"):
            subprocess.run(["umount", "--lazy", target], check=False)
    shutil.rmtree(run, ignore_errors=True)
