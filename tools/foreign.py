"""Programs of another architecture on this machine: the kernel runs them in QEMU's emulator.

Debian's package qemu-user-static has the emulators. Where systemd runs, the package also tells the
kernel about them (binfmt_misc); elsewhere `require` does that.
"""

import platform
import subprocess
from pathlib import Path
from typing import Final

from tools.common.architecture import MACHINES, Architecture
from tools.common.errors import BuildError
from tools.common.programs import as_root, find_program, install_command
from tools.common.progress import report

PACKAGES: Final = ("arch-test", "qemu-user-static")
"""The Debian packages with which this machine runs programs of another architecture."""

_BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
_RULES: Final = Path("/usr/lib/binfmt.d")

_REGISTER: Final = (
    'test -e "$1/register" || mount -t binfmt_misc binfmt_misc "$1"; exec cat "$2" >"$1/register"'
)


def is_native(architecture: Architecture) -> bool:
    """Return whether this machine's processor has the architecture."""
    return MACHINES[architecture] == platform.machine()


def require(architecture: Architecture) -> None:
    """Make sure that this machine runs programs of an architecture; register an emulator if needed.

    Raises:
        MissingProgramError: The package arch-test, which checks this, is not installed.
        BuildError: It does not run them.
    """
    if is_native(architecture) or _runs(architecture):
        return
    rule = _RULES / f"qemu-{MACHINES[architecture]}.conf"
    if rule.is_file():
        report(f"registering QEMU's emulator for {architecture} programs")
        sudo = as_root(f"registering an emulator for {architecture} programs")
        subprocess.run(
            [*sudo, "sh", "-c", _REGISTER, "sh", str(_BINFMT), str(rule)],
            check=False,
            stderr=subprocess.DEVNULL,
        )
        if _runs(architecture):
            return
        raise BuildError(
            f"this machine cannot run {architecture} programs: its kernel takes no emulator",
            f"use a kernel with binfmt_misc, and in a container allow it; or build on a machine "
            f"of {architecture}",
        )
    raise BuildError(
        f"this machine cannot run {architecture} programs, which the build needs",
        f"run: {install_command(*PACKAGES)}; or build on a machine of {architecture}",
    )


def _runs(architecture: Architecture) -> bool:
    check = [find_program("arch-test"), architecture]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0
