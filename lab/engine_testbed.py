"""An existing Docker engine as a testbed, if its host has the CAN modules."""

import os
import platform
import shlex
import socket
import subprocess
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import docker

from lab.errors import TestbedError
from lab.shell import JOURNAL, checked, ends_with_stdin
from tools.common.docker_engine import ENGINE_ERRORS, LOCAL_ENGINE, connect, new_client
from tools.common.polling import attempts
from tools.common.programs import find_program

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
"""Programs that run on the engine's host, and their packages in Debian and Ubuntu."""

# The full path matters: busybox runs its own `date`, not the host's, even in the host's
# namespaces.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENTER: Final = (
    *("nsenter", "-t", "1", "-m", "-u", "-n", "-i", "-p", "--"),
    # Otherwise the container's short PATH would be used.
    *("/bin/sh", "-c", f'PATH={_PATH}; export PATH; exec "$@"', "sh"),
)


class EngineTestbed:
    """An engine. See `lab.testbed.Testbed` for what all testbeds have in common.

    If the engine is this machine's own and this process is root, commands on the host run
    directly; otherwise through one privileged container.
    """

    cuts_power: Final = False

    def __init__(self, docker_host: str, helper: str | None) -> None:
        """Use the engine at ``docker_host``, and its host through the container ``helper``."""
        self.docker_host = docker_host
        self._helper = helper

    @property
    def name(self) -> str:
        """A description: ``engine at unix:///var/run/docker.sock``."""
        return f"engine at {self.docker_host}"

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """Return a new client of the engine."""
        return new_client(self.docker_host, timeout)

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
            # The status that a shell on the host returns.
            done = subprocess.CompletedProcess(argv, 127, b"", str(error).encode())
        return checked(argv, done, check=check)

    def host_process(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a long-running command on the engine's host, as root."""
        return subprocess.Popen(
            self._on_host(("sh", "-c", ends_with_stdin(argv))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def power_cut(self) -> None:
        """Raise an error: this machine is in use for other things.

        Raises:
            TestbedError: Always.
        """
        raise TestbedError(
            f"cannot cut the power of {self.name}: only the lab's power may be cut",
            "run this in the lab: set EVERCAN_TESTBED=lab",
        )

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the engine answers."""
        for left in attempts(timeout, 0.2):
            try:
                with closing(self.client(timeout=5)) as client:
                    client.ping()
            except ENGINE_ERRORS as error:
                if not left:
                    raise TestbedError(
                        f"{self.name} does not answer: {error}", "read the engine's log"
                    ) from error
            else:
                return

    def now(self) -> float:
        """Return the host's time, in seconds since 1970."""
        return float(self.host("date", "+%s.%N").stdout)

    def journal(self, since: float | None = None) -> str:
        """Return the engine's log."""
        extra = () if since is None else (f"--since=@{since:.6f}",)
        return self.host(*JOURNAL, *extra).stdout.decode(errors="replace")

    def close(self) -> None:
        """Remove the container that gives access to the host."""
        if self._helper is not None:
            with closing(self.client()) as client:
                client.containers.get(self._helper).remove(force=True)
            self._helper = None

    def _on_host(self, argv: tuple[str, ...]) -> list[str]:
        if self._helper is None:
            return list(argv)
        docker_exec = ("-H", self.docker_host, "exec", "-i", self._helper)
        return [find_program("docker"), *docker_exec, *_ENTER, *argv]


HelperImage = Callable[[docker.DockerClient], str]
"""Loads an image with `nsenter` and `sleep` into an engine, if necessary; returns its name."""


def engine_testbed(helper_image: HelperImage | None = None) -> EngineTestbed:
    """Return the engine that DOCKER_HOST names, or else this machine's own, as a testbed.

    Args:
        helper_image: Loads the image of the container that gives access to the engine's
            host; called only if there is no other access.

    Raises:
        TestbedError: There is no engine, no access to its host, or a program or a module is
            missing there.
        EngineError: The engine does not answer.
    """
    docker_host = os.environ.get("DOCKER_HOST") or LOCAL_ENGINE
    if docker_host.startswith("unix://") and not Path(docker_host.removeprefix("unix://")).exists():
        raise TestbedError(
            f"no engine at {docker_host}",
            "start Docker, set DOCKER_HOST, or set EVERCAN_TESTBED=lab",
        )
    with closing(connect(docker_host, timeout=60)) as client:
        about: dict[str, Any] = client.info()
        direct = os.geteuid() == 0 and _is_this_machine(docker_host, about)
        helper = None if direct else _start_helper(client, helper_image)
    testbed = EngineTestbed(docker_host, helper)
    try:
        _require_programs(testbed)
        _require_modules(testbed, str(about.get("KernelVersion", "")))
    except BaseException:
        testbed.close()
        raise
    return testbed


def _is_this_machine(docker_host: str, about: dict[str, Any]) -> bool:
    # A socket may belong to another machine: that of a container's host, or a virtual one.
    return (
        docker_host.startswith("unix://")
        and about.get("Name") == socket.gethostname()
        and about.get("KernelVersion") == platform.release()
    )


def _start_helper(client: docker.DockerClient, helper_image: HelperImage | None) -> str:
    if helper_image is None:
        raise TestbedError(
            "there is no access to the engine's host: this user is not root on it, and there is "
            "no image for a privileged container",
            "run this as root on the engine's host, or set EVERCAN_TESTBED=lab",
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
    except ENGINE_ERRORS as error:
        raise TestbedError(
            f"cannot start a privileged container of {image_name}: {error}",
            "allow privileged containers on this engine, or set EVERCAN_TESTBED=lab",
        ) from error
    return name


def _require_programs(testbed: EngineTestbed) -> None:
    search = 'for program; do command -v "$program" >/dev/null || echo "$program"; done'
    missing = testbed.host("sh", "-c", search, "sh", *PROGRAMS).stdout.decode().split()
    if missing:
        packages = sorted({PROGRAMS[program] for program in missing})
        raise TestbedError(
            f"the host of {testbed.name} lacks {shlex.join(missing)}",
            f"run on that host: apt-get install {shlex.join(packages)}; or set EVERCAN_TESTBED=lab",
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
            "install them (Ubuntu: linux-modules-extra-$(uname -r); Debian: its standard kernel); "
            "or set EVERCAN_TESTBED=lab",
        )
