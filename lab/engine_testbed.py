"""A Docker engine that is at hand as a testbed, if its host has the CAN modules."""

import os
import platform
import shlex
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors
import requests

from lab.errors import TestbedError
from lab.paths import tool
from lab.shell import JOURNAL, checked, leashed

MODULES: Final = ("vcan", "vxcan", "can-gw")
"""Kernel modules that the engine's host must have."""

PROGRAMS: Final = {
    "candump": "can-utils",
    "cangen": "can-utils",
    "cangw": "can-utils",
    "cansend": "can-utils",
    "ip": "iproute2",
    "modprobe": "kmod",
    "pgrep": "procps",
    "python3": "python3",
}
"""What is run on the engine's host, and the package of each, at Debian's as at Ubuntu's."""

_LOCAL: Final = "unix:///var/run/docker.sock"
# The full path matters: a busybox that is asked for `date` runs its own, not the
# host's, even in the host's namespaces.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENTER: Final = (
    *("nsenter", "-t", "1", "-m", "-u", "-n", "-i", "-p", "--"),
    # The container's PATH would come along, and the image's is a short one.
    *("/bin/sh", "-c", f'PATH={_PATH}; export PATH; exec "$@"', "sh"),
)
_FAULTS: Final = (docker.errors.DockerException, requests.RequestException, OSError)


class EngineTestbed:
    """An engine. See `lab.testbed.Testbed` for what is common to all testbeds.

    Commands on the host run directly where the engine is this machine's own and
    we are root, and otherwise through one privileged container.
    """

    cuts_power: Final = False

    def __init__(self, docker_host: str, helper: str | None) -> None:
        """Use the engine at ``docker_host``, its host through the container ``helper``."""
        self.docker_host = docker_host
        self._helper = helper

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"engine at {self.docker_host}"

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """A fresh client of the engine."""
        return _client(self.docker_host, timeout)

    def host(
        self,
        *argv: str,
        stdin: bytes | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the engine's host, as root."""
        try:
            done = subprocess.run(
                self._on_host(argv),
                input=stdin or b"",
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            # As a shell on the host has it.
            done = subprocess.CompletedProcess(argv, 127, b"", str(error).encode())
        return checked(argv, done, check=check)

    def host_process(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a long-running command on the engine's host, as root."""
        return subprocess.Popen(
            self._on_host(("sh", "-c", leashed(argv))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def power_cut(self) -> None:
        """Refuse.

        Raises:
            TestbedError: Always: this machine is somebody's own.
        """
        raise TestbedError(
            f"the power of {self.name} is not ours to cut",
            "EVERCAN_TESTBED=lab runs this in the lab",
        )

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the engine answers."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                with closing(self.client(timeout=5)) as client:
                    client.ping()
            except _FAULTS as error:
                if time.monotonic() > deadline:
                    raise TestbedError(f"{self.name} does not answer: {error}") from error
                time.sleep(0.2)
            else:
                return

    def now(self) -> float:
        """The host's clock, in seconds since 1970."""
        return float(self.host("date", "+%s.%N").stdout)

    def journal(self, since: float | None = None) -> str:
        """The engine's log."""
        extra = () if since is None else (f"--since=@{since:.6f}",)
        return self.host(*JOURNAL, *extra).stdout.decode(errors="replace")

    def close(self) -> None:
        """Remove the container that led to the host."""
        if self._helper is not None:
            with closing(self.client()) as client:
                client.containers.get(self._helper).remove(force=True)
            self._helper = None

    def _on_host(self, argv: tuple[str, ...]) -> list[str]:
        if self._helper is None:
            return list(argv)
        docker_exec = ("-H", self.docker_host, "exec", "-i", self._helper)
        return [tool("docker"), *docker_exec, *_ENTER, *argv]


HelperImage = Callable[[docker.DockerClient], str]
"""Sees to it that an engine has an image with `nsenter` and `sleep`; returns its name."""


def engine_testbed(helper_image: HelperImage | None = None) -> EngineTestbed:
    """The engine at hand: DOCKER_HOST's, else this machine's own.

    Args:
        helper_image: Provides the image for the container that leads to the engine's
            host; asked only if there is no other way to it.

    Raises:
        TestbedError: There is no engine, no way to its host, or a program or a module is
            missing there.
    """
    docker_host = os.environ.get("DOCKER_HOST") or _LOCAL
    if docker_host.startswith("unix://") and not Path(docker_host.removeprefix("unix://")).exists():
        raise TestbedError(
            f"no engine at {docker_host}", "start Docker, set DOCKER_HOST, or EVERCAN_TESTBED=lab"
        )
    try:
        with closing(_client(docker_host, timeout=60)) as client:
            about: dict[str, Any] = client.info()
            direct = os.geteuid() == 0 and _is_this_machine(docker_host, about)
            helper = None if direct else _start_helper(client, helper_image)
    except _FAULTS as error:
        raise TestbedError(f"no engine answers at {docker_host}: {error}") from error
    testbed = EngineTestbed(docker_host, helper)
    try:
        _require_programs(testbed)
        _require_modules(testbed, str(about.get("KernelVersion", "")))
    except BaseException:
        testbed.close()
        raise
    return testbed


def _client(docker_host: str, timeout: float) -> docker.DockerClient:
    if os.environ.get("DOCKER_HOST") == docker_host:
        return docker.from_env(version="auto", timeout=int(timeout))  # with its TLS settings
    return docker.DockerClient(docker_host, version="auto", timeout=int(timeout))


def _is_this_machine(docker_host: str, about: dict[str, Any]) -> bool:
    # A socket may lead out of a container or into a virtual machine.
    return (
        docker_host.startswith("unix://")
        and about.get("Name") == socket.gethostname()
        and about.get("KernelVersion") == platform.release()
    )


def _start_helper(client: docker.DockerClient, helper_image: HelperImage | None) -> str:
    if helper_image is None:
        raise TestbedError(
            "the engine's host can be reached only by root on it or through a container, "
            "and there is no image for one"
        )
    image_name = helper_image(client)
    name = f"evercan-testbed-{uuid.uuid4().hex[:8]}"
    try:
        client.containers.run(
            image_name,
            ["sleep", "2147483647"],
            name=name,
            detach=True,
            entrypoint="",
            init=True,
            network_mode="host",
            pid_mode="host",
            privileged=True,
        )
    except _FAULTS as error:
        raise TestbedError(f"no privileged container of {image_name}: {error}") from error
    return name


def _require_programs(testbed: EngineTestbed) -> None:
    look = 'for each; do command -v "$each" >/dev/null || echo "$each"; done'
    missing = testbed.host("sh", "-c", look, "sh", *PROGRAMS).stdout.decode().split()
    if missing:
        packages = sorted({PROGRAMS[each] for each in missing})
        raise TestbedError(
            f"the host of {testbed.name} lacks {shlex.join(missing)}",
            f"apt-get install {shlex.join(packages)} there; or EVERCAN_TESTBED=lab",
        )


def _require_modules(testbed: EngineTestbed, kernel: str) -> None:
    missing = [
        module
        for module in MODULES
        if testbed.host("modprobe", module, check=False).returncode != 0
    ]
    if missing:
        raise TestbedError(
            f"the kernel {kernel} of {testbed.name} lacks {shlex.join(missing)}",
            "Ubuntu keeps them in linux-modules-extra-$(uname -r), Debian in its standard kernel; "
            "or EVERCAN_TESTBED=lab",
        )
