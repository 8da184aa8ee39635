"""Builds the guest's image from Debian's packages.

mmdebstrap makes the root file system, mke2fs makes a disk image from it without mounting
anything, and the kernel and its initrd are copied out of it for QEMU.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from lab import recipe
from lab.paths import HERE
from tools import apt_sources
from tools.common.errors import BuildError
from tools.common.programs import find_program, install_command, run_step
from tools.common.progress import phase

_NEEDED_BYTES: Final = 4 * 2**30
_REMEDY: Final = "read the output above; the Debian mirror is the one in apt's sources"


def build(key: str, folder: Path) -> None:
    """Build the image and move it to ``folder`` when it is complete.

    Raises:
        MissingProgramError: A program is not installed.
        BuildError: The build has no rights, no space or no mirror, or a step failed.
    """
    for name in ("mmdebstrap", "mke2fs", "ssh-keygen"):
        find_program(name)
    sudo = _as_root()
    free = shutil.disk_usage(folder.parent).free
    if free < _NEEDED_BYTES:
        raise BuildError(
            f"{folder.parent} has {free / 2**30:.1f} GiB free, the build needs "
            f"{_NEEDED_BYTES / 2**30:.0f}",
            "free some space there, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
    work = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    work.chmod(0o755)
    root = work / "root"
    try:
        run_step(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", "id_ed25519"],
            _REMEDY,
            work,
        )
        with phase(f"installing Debian {recipe.SUITE} into the guest (about a minute)"):
            run_step([*sudo, *_mmdebstrap(work, root, key)], _REMEDY, work)
        with phase("making the guest's disk"):
            _copy_boot_files(root, work)
            run_step([*sudo, *_mke2fs(root, work / "disk.raw")], _REMEDY, work)
            owner = f"{os.getuid()}:{os.getgid()}"
            run_step([*sudo, "chown", owner, "disk.raw"], _REMEDY, work)
            run_step([*sudo, "rm", "-rf", "--one-file-system", str(root)], _REMEDY, work)
        work.rename(folder)
    except BaseException:
        subprocess.run([*sudo, "rm", "-rf", "--one-file-system", str(work)], check=False)
        raise


def _as_root() -> list[str]:
    """Return the words before a command that root must run.

    Raises:
        BuildError: This user is not root and may not become root without a password.
    """
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], check=False).returncode == 0:
        return sudo
    raise BuildError(
        "building the guest's disk needs root",
        "run it as root, or allow sudo without a password",
    )


def _mmdebstrap(work: Path, root: Path, key: str) -> list[str]:
    source = apt_sources.best(apt_sources.read())
    keys = apt_sources.keyring(source)
    if keys is None:
        raise BuildError(
            "Debian's archive keys are not installed (package debian-archive-keyring)",
            f"run: {install_command('debian-archive-keyring')}",
        )
    options = [
        'APT::Install-Recommends "false"',
        # A mirror that is slightly out of date is good enough for a test machine.
        'Acquire::Check-Valid-Until "false"',
        'Acquire::Retries "3"',
        *apt_sources.access_options(),
    ]
    settings = {
        "LAB_GUEST": str(HERE / "guest"),
        "LAB_AUTHORIZED": str(work / "id_ed25519.pub"),
        "LAB_MARK": key,
        "TMPDIR": str(work),
    }
    hook = HERE / "configure_guest.sh"
    argv = [
        *("env", *(f"{name}={value}" for name, value in settings.items())),
        *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory"),
        f"--architectures={recipe.ARCHITECTURE}",
        f"--include={','.join(recipe.PACKAGES)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.EXCLUDED),
        f'--essential-hook={hook} early "$1"',
        f'--customize-hook={hook} late "$1"',
        recipe.SUITE,
        str(root),
    ]
    # On another distribution apt has no Debian mirror; mmdebstrap has a default.
    if source is None:
        return [*argv[:-2], f"--keyring={keys}", *argv[-2:]]
    return [*argv, f"deb [signed-by={keys}] {apt_sources.resolve(source.uri)} {recipe.SUITE} main"]


def _mke2fs(root: Path, disk: Path) -> list[str]:
    return [
        *(find_program("mke2fs"), "-q", "-t", "ext4", "-L", "lab", "-m", "0"),
        # The running guest must not do this in the background.
        *("-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"),
        *("-d", str(root), str(disk), f"{recipe.DISK_GIB}G"),
    ]


def _copy_boot_files(root: Path, work: Path) -> None:
    kernel = next((root / "boot").glob("vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    shutil.copy(kernel, work / "vmlinuz")
    shutil.copy(root / "boot" / f"initrd.img-{release}", work / "initrd.img")
    public = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()
    (work / "known_hosts").write_text(f"lab {public[0]} {public[1]}\n", encoding="utf-8")
    about = {"kernel": release, "suite": recipe.SUITE}
    (work / "about.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
