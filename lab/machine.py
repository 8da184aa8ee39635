"""One running guest: boot it, wait for its engine, cut its power, unplug its hardware."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab import accelerator, launch, qemu
from lab.errors import BootError
from lab.image import Image
from lab.qmp import Qmp, QmpError
from lab.ssh import Ssh
from tools.common.architecture import Architecture
from tools.common.errors import ToolError
from tools.common.polling import attempts
from tools.common.progress import Phase, phase, report

BOOT_TIMEOUT_S: Final[dict[qemu.Accel, float]] = {"kvm": 60.0, "tcg": 900.0}
_PANICS_ALLOWED: Final = 2
_UNPLUG_TIMEOUT_S: Final = 60.0


class Machine:
    """A running guest. `boot` starts one; `attach` finds one that runs already."""

    def __init__(
        self, folder: Path, info: launch.MachineInfo, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.folder = folder
        self.info = info
        self.image = Image(Path(info.image))
        self.ssh = Ssh(self.image, info.ssh_port, folder / "ssh")
        self._process = process

    @classmethod
    def boot(
        cls,
        image: Image,
        *,
        detached: bool = False,
        on_start: Callable[[Path], None] = lambda _: None,
    ) -> "Machine":
        """Boot a guest from a clean disk and wait until engine and ssh answer.

        Args:
            image: What to boot.
            detached: It keeps running when this process ends. Otherwise it ends too.
            on_start: Called with the run folder as soon as QEMU runs, before the guest is up.

        Raises:
            MissingProgramError: QEMU or ssh is not installed.
            BootError: The guest did not boot.
        """
        architecture = image.recipe.architecture
        candidates = accelerator.candidates(architecture)
        for accel in candidates:
            machine = None
            try:
                machine = cls(*launch.start(image, accel, detached=detached))
                on_start(machine.folder)
                machine.wait_engine(BOOT_TIMEOUT_S[accel])
            except BaseException as error:
                if machine is not None:
                    machine.stop()
                if not isinstance(error, ToolError) or accel == candidates[-1]:
                    raise
                report("KVM does not boot the guest on this machine: emulating the processor")
                accelerator.remember(architecture, works=False)
            else:
                if accel == "kvm":
                    accelerator.remember(architecture, works=True)
                return machine
        raise AssertionError("there is always a last candidate")

    @classmethod
    def attach(cls, folder: Path) -> "Machine | None":
        """Return the machine that runs in ``folder``, or None if none runs there."""
        try:
            content = json.loads((folder / launch.INFO_FILE).read_text(encoding="utf-8"))
            machine = cls(folder, launch.MachineInfo(**content))
        except (OSError, ValueError, TypeError):
            return None
        return machine if machine.alive else None

    @property
    def docker_host(self) -> str:
        """DOCKER_HOST value of the guest's engine."""
        return f"tcp://127.0.0.1:{self.info.engine_port}"

    @property
    def alive(self) -> bool:
        """Whether QEMU runs."""
        if self._process is not None:
            return self._process.poll() is None
        try:
            command = Path(f"/proc/{self.info.pid}/cmdline").read_bytes()
        except OSError:
            return False
        # The id may belong to another process now.
        return str(self.folder).encode() in command

    def wait_engine(self, timeout: float | None = None) -> None:
        """Wait until the guest's engine and ssh answer.

        Raises:
            BootError: They do not within ``timeout`` seconds (default: by accelerator).
        """
        limit = timeout or BOOT_TIMEOUT_S[self.info.accel]
        with phase(f"waiting for the guest's engine ({self.info.accel.upper()})") as now:
            deadline = time.monotonic() + limit
            panics = self._panics()
            for left in attempts(limit, 0.3):
                if self._engine_answers():
                    break
                self._check_boot(now, limit, panics, timed_out=not left)
            now.detail("ssh")
            self.ssh.wait(max(10.0, deadline - time.monotonic()))

    def _panics(self) -> int:
        return self.console().count("end Kernel panic")

    def _check_boot(self, now: Phase, limit: float, panics: int, *, timed_out: bool) -> None:
        """Show the console's last line.

        Raises:
            BootError: The machine stopped, the time is over, or the guest panics repeatedly.
        """
        lines = self.console().splitlines()
        last = lines[-1] if lines else ""
        if not self.alive:
            log = (self.folder / "qemu.log").read_text(encoding="utf-8", errors="replace")
            raise BootError(
                f"the machine stopped unexpectedly: {log.strip() or last}",
                "start it again: python -m lab up",
            )
        # A guest boots again after a panic, but it will not boot if it panics repeatedly.
        if timed_out or self._panics() - panics > _PANICS_ALLOWED:
            tail = "\n".join(lines[-15:])
            raise BootError(
                f"no engine within {limit:.0f} s; the console ends with:\n{tail}",
                "see whether this machine is overloaded, then try again: python -m lab up",
            )
        now.detail(last)

    def _engine_answers(self) -> bool:
        # QEMU accepts the connection even if nothing listens in the guest, so only an answer
        # counts.
        connection = http.client.HTTPConnection("127.0.0.1", self.info.engine_port, timeout=3)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def power_cut(self) -> None:
        """Cut the power and restore it. Returns before the guest is up.

        What the guest had not synced to its disk is lost.

        Raises:
            QmpError: QEMU does not remove a CAN controller.
        """
        self.ssh.close()
        if qemu.PLATFORMS[self._architecture].has_ports:
            self._start_again()
        else:
            self._reset()

    def _start_again(self) -> None:
        """End QEMU and start it again: a controller behind a port is not replaced at a reset."""
        with self._qmp() as monitor:
            plugged = _plugged(monitor)
        detached = self._process is None or self._process.stdin is None
        self._end()
        self.info, self._process = launch.start_again(
            self.folder, self.info, plugged, detached=detached
        )

    def _reset(self) -> None:
        with self._qmp() as monitor:
            plugged = _plugged(monitor)
            # A reset of QEMU's SJA1000 resets its read position but not its write position
            # (can_sja_hardware_reset): afterwards it receives nothing, or old frames. So each
            # controller is replaced by a new one, while the guest is stopped and cannot notice.
            monitor.execute("stop")
            for controller in plugged:
                monitor.execute("device_del", id=qemu.controller_id(controller))
            monitor.execute("system_reset")
            for _ in attempts(_UNPLUG_TIMEOUT_S, 0.02):
                if not _plugged(monitor):
                    break
            else:
                raise QmpError(
                    "QEMU did not remove a CAN controller at a reset",
                    "restart the lab: python -m lab down, then python -m lab up",
                )
            for controller in plugged:
                self._plug(monitor, controller)
            monitor.execute("cont")

    def unplug(self, controller: int) -> None:
        """Unplug a CAN controller from the running guest.

        Raises:
            QmpError: It is not plugged in, or the guest does not release it.
        """
        name = qemu.controller_id(controller)
        with self._qmp() as monitor:
            monitor.execute("device_del", id=name)
            monitor.wait_event("DEVICE_DELETED", _UNPLUG_TIMEOUT_S, device=name)

    def replug(self, controller: int) -> None:
        """Plug a CAN controller in again.

        Raises:
            QmpError: It is plugged in already.
        """
        with self._qmp() as monitor:
            self._plug(monitor, controller)

    def plug_cable(self, socket: Path, *, listens: bool) -> None:
        """Plug in one end of an Ethernet cable to another guest, unless it is plugged in.

        The guest has the card ``eth1`` then. A power cut of a machine that has to be started
        again takes it away.

        Args:
            socket: The unix socket that the cable is.
            listens: Whether this end makes the socket. It is plugged in before the other one.

        Raises:
            QmpError: QEMU rejects it.
        """
        with self._qmp() as monitor:
            if qemu.CABLE in _peripherals(monitor):
                return
            monitor.execute("netdev_add", **qemu.cable_end(socket, listens=listens))
            card = qemu.cable_device(self._architecture, listens=listens)
            monitor.execute("device_add", **card)

    def console(self) -> str:
        """Return everything that the guest wrote to its serial console."""
        try:
            return (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self) -> None:
        """Stop the machine and remove its run folder."""
        self.ssh.close()
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        """End QEMU at once."""
        try:
            with self._qmp() as monitor:
                monitor.execute("quit")
        except (QmpError, OSError):
            pass  # it ended already, or does not answer: then the signals below end it
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None and self.alive:
                os.kill(self.info.pid, number)
            for _ in attempts(5, 0.05):
                if not self.alive:
                    break
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    @property
    def _architecture(self) -> Architecture:
        return self.image.recipe.architecture

    def _plug(self, monitor: Qmp, controller: int) -> None:
        monitor.execute("device_add", **qemu.controller_device(self._architecture, controller))

    def _qmp(self) -> Qmp:
        return Qmp(self.folder / "qmp")


def _plugged(monitor: Qmp) -> list[int]:
    """Return the CAN controllers that are plugged in."""
    ids = _peripherals(monitor)
    return [number for number in range(qemu.CONTROLLERS) if qemu.controller_id(number) in ids]


def _peripherals(monitor: Qmp) -> set[str]:
    """Return QEMU's names of the devices that can be unplugged."""
    listed = monitor.execute("qom-list", path="/machine/peripheral")
    return {device["name"] for device in listed}
