"""A machine to test on: an engine that is at hand, or else the lab.

    with choose() as testbed:
        testbed.client().containers.run(...)
        testbed.host("ip", "link", "show", "vcan0")

An engine is used if its host has the modules vcan, vxcan and can-gw. The
environment variable EVERCAN_TESTBED forces `lab` or `engine`.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import docker

from lab import detached, image
from lab.errors import LabError, TestbedError
from lab.machine import Machine
from lab.on_engine import EngineTestbed, HelperImage, engine_testbed
from lab.on_lab import LabTestbed
from lab.progress import note

VARIABLE: Final = "EVERCAN_TESTBED"
"""Environment variable that forces `lab` or `engine`."""

__all__ = ["EngineTestbed", "LabTestbed", "Testbed", "TestbedError", "choose", "lab_testbed"]


class Testbed(Protocol):
    """A machine with a Docker engine and CAN modules."""

    @property
    def name(self) -> str:
        """What it is, for people: ``lab (trixie, kernel 6.12, TCG)``."""

    @property
    def docker_host(self) -> str:
        """Address of the engine, for DOCKER_HOST."""

    @property
    def cuts_power(self) -> bool:
        """Whether `power_cut` can be called."""

    def client(self, timeout: float = 300) -> docker.DockerClient:
        """A fresh client of the engine; ``timeout`` in seconds holds for each request.

        A power cut breaks the connections of older clients: make another after it.
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

        Its standard streams are pipes. The command reads nothing from its standard
        input, but ends when that is closed or the returned process is terminated;
        the end of a ``with`` over the process does the former and waits.
        """

    def power_cut(self) -> None:
        """Take the host's power away; returns when the engine answers again.

        Raises:
            TestbedError: This machine's power is not ours to cut.
        """

    def wait_engine(self, timeout: float = 300) -> None:
        """Wait until the engine answers.

        Raises:
            LabError: It does not within ``timeout`` seconds.
        """

    def now(self) -> float:
        """The host's clock, in seconds since 1970: what `journal` counts from."""

    def journal(self, since: float | None = None) -> str:
        """The engine's log, plugin output included, from ``since`` (see `now`) on."""


@contextmanager
def choose(*, helper_image: HelperImage | None = None) -> Iterator[Testbed]:
    """The machine to test on; what was started for it is stopped at the end.

    A detached lab (``python -m lab up``) is used as it is and left running; if
    another process is using it, a second one is booted.

    Args:
        helper_image: Sees to it that an engine has an image with `nsenter` and `sleep`,
            and returns its name. It is the way to the host of an engine that is not this
            machine's own; not needed for the lab, nor by root on the engine's machine.

    Raises:
        LabError: No testbed can be had; says what to do.
    """
    wish = os.environ.get(VARIABLE, "")
    if wish not in {"", "lab", "engine"}:
        raise TestbedError(f"{VARIABLE}={wish} is neither lab nor engine", f"unset {VARIABLE}")
    engine: EngineTestbed | None = None
    if wish != "lab":
        try:
            engine = engine_testbed(helper_image)
        except LabError as error:
            if wish == "engine":
                raise
            note(f"no engine here that would do ({error.args[0]}): using the lab")
    if engine is not None:
        try:
            yield engine
        finally:
            engine.close()
        return
    with lab_testbed() as testbed:
        yield testbed


@contextmanager
def lab_testbed() -> Iterator[LabTestbed]:
    """The lab: the detached one if nobody uses it, else one that is stopped at the end.

    Raises:
        LabError: None can be had; says what to do.
    """
    running = detached.current()
    if running is not None:
        # Two users would cut each other's power.
        with detached.reserved(running) as ours:
            if ours:
                running.wait_engine()
                yield LabTestbed(running)
                return
        note("the running lab is in use: booting another")
    machine = Machine.boot(image.ensure())
    try:
        yield LabTestbed(machine)
    finally:
        machine.stop()
