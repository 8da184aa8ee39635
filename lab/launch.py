"""Starts QEMU in a run folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lab import qemu
from lab.errors import BootError, LabError
from lab.image import Image, held
from lab.paths import HERE, tool
from lab.qmp import Qmp, QmpError, forwarded_ports

RECORD: Final = "machine.json"
"""Name of the file in a run folder that holds its `Record`."""

_PREFIX: Final = "evercan-lab-"
_MONITOR_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Record:
    """What another process needs to know to use a running machine.

    Attributes:
        pid: The process that ends when the machine does.
        image: Folder of the image it was booted from.
        accel: `kvm` or `tcg`.
        engine_port: Loopback port of the guest's Docker engine.
        ssh_port: Loopback port of the guest's ssh.
    """

    pid: int
    image: str
    accel: qemu.Accel
    engine_port: int
    ssh_port: int


def start(
    image: Image, accel: qemu.Accel, *, detached: bool
) -> tuple[Path, Record, subprocess.Popen[bytes]]:
    """Start QEMU on a clean disk; its guest has only begun to boot on return.

    Args:
        image: What to boot.
        accel: How the processor is made.
        detached: QEMU outlives this process. Otherwise it ends with it, however
            that ends.

    Returns:
        The run folder, the record that is also kept in it, and the process.

    Raises:
        MissingToolError: QEMU is not installed.
        BootError: QEMU ended at once.
    """
    program = tool("qemu-system-x86_64")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_runs()))
    try:
        return _start(program, folder, image, accel, detached=detached)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _start(
    program: str, folder: Path, image: Image, accel: qemu.Accel, *, detached: bool
) -> tuple[Path, Record, subprocess.Popen[bytes]]:
    files = qemu.Files(
        kernel=image.kernel,
        initrd=image.initrd,
        overlay=folder / "disk.qcow2",
        console=folder / "console.log",
        qmp=folder / "qmp",
    )
    overlay = [
        *(tool("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw"),
        *("-b", str(image.disk), str(files.overlay)),
    ]
    subprocess.run(overlay, check=True)
    argv = qemu.argv(program, files, accel, qemu.Hardware())
    if not detached:
        argv = [sys.executable, "-I", "-S", str(HERE / "leash.py"), str(folder), *argv]
    with (folder / "qemu.log").open("wb") as log, held(image) as lock:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            # Ctrl-C at the starter's terminal is for the starter.
            start_new_session=True,
        )
    try:
        ports = _ports(files.qmp, process)
    except BaseException as error:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if isinstance(error, LabError):
            said = (folder / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()
            raise BootError(f"QEMU ({accel}) ended at once: {said or error}") from error
        raise
    record = Record(
        pid=process.pid,
        image=str(image.folder),
        accel=accel,
        engine_port=ports[qemu.ENGINE_PORT],
        ssh_port=ports[qemu.SSH_PORT],
    )
    (folder / RECORD).write_text(json.dumps(asdict(record)), encoding="utf-8")
    return folder, record, process


def _ports(qmp: Path, process: subprocess.Popen[bytes]) -> dict[int, int]:
    deadline = time.monotonic() + _MONITOR_TIMEOUT_S
    while True:
        try:
            with Qmp(qmp) as monitor:
                usernet = monitor.execute(
                    "human-monitor-command", **{"command-line": "info usernet"}
                )
                return forwarded_ports(str(usernet))
        except QmpError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _runs() -> Path:
    """Folder for run folders: on a disk, and short, as unix sockets want it."""
    folder = Path("/var/tmp")  # noqa: S108  mkdtemp makes a private folder in it
    return folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())
