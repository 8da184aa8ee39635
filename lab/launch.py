"""Starts QEMU in a run folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lab import qemu
from lab.errors import BootError, LabError
from lab.image import Image, in_use
from lab.paths import HERE
from lab.qmp import Qmp, QmpError, forwarded_ports
from tools.common.polling import attempts
from tools.common.programs import find_program

INFO_FILE: Final = "machine.json"
"""Name of the file in a run folder that contains its `MachineInfo`."""

_PREFIX: Final = "evercan-lab-"
_MONITOR_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class MachineInfo:
    """What another process needs in order to use a running machine.

    Attributes:
        pid: A process that ends when the machine ends.
        image: Folder of the image it was booted from.
        accel: `kvm` or `tcg`.
        engine_port: Loopback port of the guest's Docker engine.
        ssh_port: Loopback port of the guest's ssh server.
    """

    pid: int
    image: str
    accel: qemu.Accel
    engine_port: int
    ssh_port: int


def start(
    image: Image, accel: qemu.Accel, *, detached: bool
) -> tuple[Path, MachineInfo, subprocess.Popen[bytes]]:
    """Start QEMU on a clean disk. The guest is still booting on return.

    Args:
        image: What to boot.
        accel: The accelerator.
        detached: QEMU keeps running when this process ends. Otherwise it ends too, however
            this process ends.

    Returns:
        The run folder, the machine's data (also in the folder), and the process.

    Raises:
        MissingProgramError: QEMU is not installed.
        BootError: QEMU ended at once.
    """
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_runs()))
    try:
        overlay = [
            *(find_program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw"),
            *("-b", str(image.disk), str(_overlay(folder))),
        ]
        subprocess.run(overlay, check=True)
        info, process = _run(folder, image, accel, qemu.Hardware(), detached=detached)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, info, process


def start_again(
    folder: Path, info: MachineInfo, plugged: Iterable[int], *, detached: bool
) -> tuple[MachineInfo, subprocess.Popen[bytes]]:
    """Start QEMU again in the run folder of a machine that ended, with its disk and its ports.

    Args:
        folder: The run folder.
        info: The machine's data before it ended.
        plugged: The controllers that are plugged in.
        detached: As for `start`.

    Returns:
        The machine's new data (also in the folder), and the process.

    Raises:
        MissingProgramError: QEMU is not installed.
        BootError: QEMU ended at once.
    """
    ports = {qemu.ENGINE_PORT: info.engine_port, qemu.SSH_PORT: info.ssh_port}
    hardware = qemu.Hardware(plugged=tuple(plugged))
    image = Image(Path(info.image))
    return _run(folder, image, info.accel, hardware, ports, detached=detached)


def _overlay(folder: Path) -> Path:
    return folder / "disk.qcow2"


def _run(
    folder: Path,
    image: Image,
    accel: qemu.Accel,
    hardware: qemu.Hardware,
    ports: Mapping[int, int] | None = None,
    *,
    detached: bool,
) -> tuple[MachineInfo, subprocess.Popen[bytes]]:
    """Run QEMU on the disk in a run folder."""
    files = qemu.Files(
        kernel=image.kernel,
        initrd=image.initrd,
        overlay=_overlay(folder),
        console=folder / "console.log",
        qmp=folder / "qmp",
    )
    architecture = image.recipe.architecture
    program = find_program(qemu.PLATFORMS[architecture].program)
    argv = qemu.argv(architecture, program, files, accel, hardware, ports)
    if not detached:
        argv = [sys.executable, "-I", "-S", str(HERE / "supervisor.py"), str(folder), *argv]
    with (folder / "qemu.log").open("wb") as log, in_use(image) as lock:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            # Ctrl-C in the starter's terminal must not stop QEMU.
            start_new_session=True,
        )
    try:
        forwarded = _ports(files.qmp, process)
    except BaseException as error:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if isinstance(error, LabError):
            log_text = (folder / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()
            raise BootError(
                f"QEMU ({accel}) ended at once: {log_text or error.text}",
                "correct what QEMU reports; EVERCAN_LAB_ACCEL=tcg does without KVM",
            ) from error
        raise
    info = MachineInfo(
        pid=process.pid,
        image=str(image.folder),
        accel=accel,
        engine_port=forwarded[qemu.ENGINE_PORT],
        ssh_port=forwarded[qemu.SSH_PORT],
    )
    (folder / INFO_FILE).write_text(json.dumps(asdict(info)), encoding="utf-8")
    return info, process


def _ports(qmp: Path, process: subprocess.Popen[bytes]) -> dict[int, int]:
    """Return the loopback ports that QEMU forwards, by guest port.

    Raises:
        QmpError: QEMU ended, or does not answer in time.
    """
    for left in attempts(_MONITOR_TIMEOUT_S, 0.05):
        try:
            with Qmp(qmp) as monitor:
                usernet = monitor.execute(
                    "human-monitor-command", **{"command-line": "info usernet"}
                )
                return forwarded_ports(str(usernet))
        except QmpError:
            if process.poll() is not None or not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _runs() -> Path:
    """Return the folder for run folders: on a disk, with a short path because of unix sockets."""
    folder = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
    return folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())
