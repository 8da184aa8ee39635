"""Programs of other Debian packages: find them, run them, report why they failed."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.common.errors import BuildError, MissingProgramError

PACKAGES: Final = {
    "arch-test": "arch-test",
    "docker": "docker-cli (docker.io before Debian 13)",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
"""The Debian package of each program."""

_SHOWN_LINES: Final = 25


def find_program(name: str) -> str:
    """Return the path of a program.

    Raises:
        MissingProgramError: It is not installed; names the Debian package.
    """
    # mke2fs is in /sbin, which is not on every user's PATH.
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if found is None:
        raise MissingProgramError(
            f"the program {name} is not installed (Debian package {PACKAGES[name]})",
            f"run: {install_command(PACKAGES[name].split()[0])}",
        )
    return found


def install_command(*packages: str) -> str:
    """Return the command that installs Debian packages on a developer's machine."""
    return f"tools/bootstrap.sh .venv {' '.join(packages)}"


def as_root(purpose: str) -> list[str]:
    """Return the words before a command that root must run.

    Args:
        purpose: What root is needed for, as the subject of a sentence.

    Raises:
        BuildError: This user is not root and may not become root without a password.
    """
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], check=False).returncode == 0:
        return sudo
    raise BuildError(f"{purpose} needs root", "run it as root, or allow sudo without a password")


def run_step(argv: Sequence[str | Path], remedy: str, cwd: Path | None = None) -> None:
    """Run one step of a build. Its output is shown only if it fails.

    Args:
        argv: The command.
        remedy: What to do if it fails.
        cwd: The folder to run it in.

    Raises:
        BuildError: The command failed; the text ends with its last lines.
    """
    done = subprocess.run(
        argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace").splitlines()[-_SHOWN_LINES:]
        raise BuildError(
            f"{_program_of(argv)} failed with status {done.returncode}:\n" + "\n".join(tail), remedy
        )


def _program_of(argv: Sequence[str | Path]) -> str:
    """Return the program's name, without ``sudo`` and ``env`` and its variables before it."""
    words = (Path(word).name for word in map(str, argv) if "=" not in word)
    return next(word for word in words if word not in {"env", "sudo", "-n"})
