"""A machine to test on: an existing engine, or else the lab.

    with choose() as testbed:
        testbed.client().containers.run(...)
        testbed.host("ip", "link", "show", "vcan0")

An engine is used if its host has the modules vcan, vxcan and can-gw. The environment variable
EVERCAN_TESTBED forces `lab` or `engine`. EVERCAN_LAB chooses the lab's guest, and the lab too.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import docker

from lab import detached, image, recipe
from lab.engine_testbed import EngineTestbed, HelperImage, engine_testbed
from lab.errors import TestbedError
from lab.lab_testbed import LabTestbed
from lab.machine import Machine
from tools.common.errors import ToolError
from tools.common.progress import report

VARIABLE: Final = "EVERCAN_TESTBED"
"""Environment variable that forces `lab` or `engine`."""

__all__ = ["EngineTestbed", "LabTestbed", "Testbed", "TestbedError", "choose", "lab_testbed"]


class Testbed(Protocol):
    """A machine with a Docker engine and CAN modules."""

    @property
    def name(self) -> str:
        """A description: ``lab (trixie, kernel 6.12, TCG)``."""

    @property
    def docker_host(self) -> str:
        """DOCKER_HOST value of the engine."""

    @property
    def cuts_power(self) -> bool:
        """Whether `power_cut` can be called."""

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """Return a new client of the engine; each request may take ``timeout`` seconds.

        A power cut breaks the connections of earlier clients.
        """

    def host(
        self,
        *argv: str,
        stdin: bytes | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the engine's host, as root, in the host's namespaces.

        Raises:
            TestbedError: It failed and ``check`` is set, or the host cannot be reached.
            subprocess.TimeoutExpired: It took longer than ``timeout`` seconds.
        """

    def host_process(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a long-running command on the engine's host, as `host` does.

        Its standard streams are pipes. The command reads nothing from its standard input, but
        it ends when that is closed or the returned process is terminated. A ``with`` block over
        the process closes it and waits.
        """

    def power_cut(self) -> None:
        """Cut the host's power; return when the engine answers again.

        Raises:
            TestbedError: The power of this machine must not be cut.
        """

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the engine answers.

        Raises:
            ToolError: It does not within ``timeout`` seconds.
        """

    def now(self) -> float:
        """Return the host's time, in seconds since 1970, for `journal`."""

    def journal(self, since: float | None = None) -> str:
        """Return the engine's log with the plugin's output, from ``since`` (see `now`) on."""


@contextmanager
def choose(*, helper_image: HelperImage | None = None) -> Iterator[Testbed]:
    """Yield a machine to test on; stop what was started for it at the end.

    A detached lab (``python -m lab up``) keeps running. If another process is using it, a second
    lab is booted.

    Args:
        helper_image: Loads an image with `nsenter` and `sleep` into an engine and returns its
            name. It gives access to the host of an engine that is not this machine's own; the
            lab does not need it, and neither does root on the engine's machine.

    Raises:
        ToolError: There is no testbed.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in {"", "lab", "engine"}:
        raise TestbedError(f"{VARIABLE}={forced} is neither lab nor engine", f"unset {VARIABLE}")
    guest = os.environ.get(recipe.VARIABLE, "")
    if forced == "engine" and guest:
        raise TestbedError(
            f"{VARIABLE}=engine and {recipe.VARIABLE}={guest} contradict each other",
            f"unset {recipe.VARIABLE} to use the engine, or {VARIABLE} to use the lab",
        )
    engine: EngineTestbed | None = None
    if forced != "lab" and not guest:
        try:
            engine = engine_testbed(helper_image)
        except ToolError as error:
            if forced == "engine":
                raise
            report(f"using the lab: {error.text}")
    if engine is not None:
        try:
            yield engine
        finally:
            engine.close()
        return
    with lab_testbed(recipe.chosen()) as testbed:
        yield testbed


def is_lab(*, helper_image: HelperImage | None = None) -> bool:
    """Whether ``choose``, with the same helper image, would use the lab; boots nothing."""
    forced = os.environ.get(VARIABLE, "")
    if forced == "lab" or os.environ.get(recipe.VARIABLE, ""):
        return True
    if forced == "engine":
        return False
    try:
        engine_testbed(helper_image).close()
    except ToolError:
        return True
    return False


@contextmanager
def lab_testbed(guest: recipe.Recipe) -> Iterator[LabTestbed]:
    """Yield the detached lab if it is not in use, else a new one that is stopped at the end.

    Args:
        guest: The guest to run.

    Raises:
        ToolError: The lab cannot be built or does not boot.
    """
    running = detached.current(guest)
    if running is not None:
        # Two users would cut each other's power.
        with detached.reserved(running) as reserved:
            if reserved:
                running.wait_engine()
                yield LabTestbed(running)
                return
        report("the running lab is in use: booting another")
    machine = Machine.boot(image.ensure(guest))
    try:
        yield LabTestbed(machine)
    finally:
        machine.stop()
