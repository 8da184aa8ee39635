"""One running guest: boots it, watches it, cuts its power, unplugs its hardware."""

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

from lab import accel, launch, qemu
from lab.errors import BootError, LabError
from lab.image import Image
from lab.progress import Phase, note, phase
from lab.qmp import Qmp, QmpError
from lab.ssh import Ssh

BOOT_TIMEOUT_S: Final[dict[qemu.Accel, float]] = {"kvm": 60.0, "tcg": 400.0}
_PANICS_FORGIVEN: Final = 2
_UNPLUG_TIMEOUT_S: Final = 60.0


class Machine:
    """A running guest. Made by `boot` or, for one that runs already, `attach`."""

    def __init__(
        self, folder: Path, record: launch.Record, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.folder = folder
        self.record = record
        self.image = Image(Path(record.image))
        self.ssh = Ssh(self.image, record.ssh_port, folder / "ssh")
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
            detached: It outlives this process. Otherwise it ends with it.
            on_start: Told the run folder as soon as the machine runs, before it is up.

        Raises:
            MissingToolError: QEMU or ssh is not installed.
            BootError: The guest did not come up.
        """
        choices = accel.candidates()
        for choice in choices:
            machine = None
            try:
                machine = cls(*launch.start(image, choice, detached=detached))
                on_start(machine.folder)
                machine.wait_engine(BOOT_TIMEOUT_S[choice])
            except BaseException as error:
                if machine is not None:
                    machine.stop()
                if not isinstance(error, LabError) or choice == choices[-1]:
                    raise
                note("KVM does not boot the guest on this machine: emulating the processor")
                accel.remember(works=False)
            else:
                if choice == "kvm":
                    accel.remember(works=True)
                return machine
        raise BootError("no accelerator to boot with")

    @classmethod
    def attach(cls, folder: Path) -> "Machine | None":
        """The machine that runs in ``folder``, or None if none does (any more)."""
        try:
            content = json.loads((folder / launch.RECORD).read_text(encoding="utf-8"))
            machine = cls(folder, launch.Record(**content))
        except (OSError, ValueError, TypeError):
            return None
        return machine if machine.alive else None

    @property
    def docker_host(self) -> str:
        """Address of the guest's engine, for DOCKER_HOST."""
        return f"tcp://127.0.0.1:{self.record.engine_port}"

    @property
    def alive(self) -> bool:
        """Whether QEMU runs."""
        if self._process is not None:
            return self._process.poll() is None
        try:
            command = Path(f"/proc/{self.record.pid}/cmdline").read_bytes()
        except OSError:
            return False
        # The number may be another process's by now.
        return str(self.folder).encode() in command

    def wait_engine(self, timeout: float | None = None) -> None:
        """Wait until the guest's engine and ssh answer.

        Raises:
            BootError: They do not within ``timeout`` seconds (default: by accelerator).
        """
        limit = timeout or BOOT_TIMEOUT_S[self.record.accel]
        with phase(f"waiting for the guest's engine ({self.record.accel.upper()})") as now:
            deadline = time.monotonic() + limit
            panics = self._panics()
            while not self._engine_answers():
                self._watch(now, deadline, limit, panics)
                time.sleep(0.3)
            now.detail("ssh")
            self.ssh.wait(max(10.0, deadline - time.monotonic()))

    def _panics(self) -> int:
        return self.console().count("end Kernel panic")

    def _watch(self, now: Phase, deadline: float, limit: float, panics: int) -> None:
        lines = self.console().splitlines()
        last = lines[-1] if lines else ""
        if not self.alive:
            said = (self.folder / "qemu.log").read_text(encoding="utf-8", errors="replace")
            raise BootError(f"the machine stopped by itself: {said.strip() or last}")
        # A guest that panics boots again by itself; one that goes on doing so will not come up.
        if time.monotonic() > deadline or self._panics() - panics > _PANICS_FORGIVEN:
            tail = "\n".join(lines[-15:])
            raise BootError(f"no engine within {limit:.0f} s; the console ends with:\n{tail}")
        now.detail(last)

    def _engine_answers(self) -> bool:
        # QEMU accepts the connection whether or not anybody listens inside, so
        # only an answer counts.
        connection = http.client.HTTPConnection("127.0.0.1", self.record.engine_port, timeout=3)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def power_cut(self) -> None:
        """Take the power away and give it back. Returns before the guest is up.

        What the guest had not synced to its disk is lost.

        Raises:
            QmpError: QEMU does not let go of a CAN controller.
        """
        self.ssh.close()
        with self._qmp() as monitor:
            plugged = _plugged(monitor)
            # A reset leaves where QEMU's SJA1000 writes next as it was, but not where it
            # reads (can_sja_hardware_reset): from then on it is deaf or hears old frames. A
            # card that really lost its power is a new one; pulled while the guest stands
            # still, so that it does not see it go.
            monitor.execute("stop")
            for each in plugged:
                monitor.execute("device_del", id=qemu.controller_id(each))
            monitor.execute("system_reset")
            deadline = time.monotonic() + _UNPLUG_TIMEOUT_S
            while _plugged(monitor):
                if time.monotonic() > deadline:
                    raise QmpError("QEMU keeps a CAN controller over a reset")
                time.sleep(0.02)
            for each in plugged:
                _plug(monitor, each)
            monitor.execute("cont")

    def unplug(self, controller: int) -> None:
        """Take a CAN controller out of the running guest.

        Raises:
            QmpError: It is not plugged in, or the guest does not let go of it.
        """
        name = qemu.controller_id(controller)
        with self._qmp() as monitor:
            monitor.execute("device_del", id=name)
            monitor.wait_event("DEVICE_DELETED", _UNPLUG_TIMEOUT_S, device=name)

    def replug(self, controller: int) -> None:
        """Put a CAN controller back where it was.

        Raises:
            QmpError: It is there already.
        """
        with self._qmp() as monitor:
            _plug(monitor, controller)

    def console(self) -> str:
        """What the guest wrote to its serial console so far."""
        try:
            return (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self) -> None:
        """Switch the machine off and remove what this run wrote."""
        self.ssh.close()
        try:
            with self._qmp() as monitor:
                monitor.execute("quit")
        except (QmpError, OSError):
            pass  # gone already, or deaf: the signals below settle it
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None and self.alive:
                os.kill(self.record.pid, number)
            deadline = time.monotonic() + 5
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _qmp(self) -> Qmp:
        return Qmp(self.folder / "qmp")


def _plugged(monitor: Qmp) -> list[int]:
    """Return the CAN controllers that are plugged in."""
    devices = {each["name"] for each in monitor.execute("qom-list", path="/machine/peripheral")}
    return [each for each in range(qemu.CONTROLLERS) if qemu.controller_id(each) in devices]


def _plug(monitor: Qmp, controller: int) -> None:
    monitor.execute(
        "device_add",
        driver="kvaser_pci",
        canbus="wire",
        id=qemu.controller_id(controller),
        addr=qemu.slot(controller),
    )
