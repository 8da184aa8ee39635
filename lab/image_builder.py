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

from lab.paths import HERE
from lab.recipe import DISK_GIB, EXCLUDED, Recipe
from tools import apt_sources, foreign
from tools.common.errors import BuildError
from tools.common.programs import as_root, find_program, install_command, run_step
from tools.common.progress import phase

_NEEDED_BYTES: Final = 4 * 2**30
_REMEDY: Final = "read the output above; the Debian mirror is the one in apt's sources"


def build(recipe: Recipe, folder: Path) -> None:
    """Build a guest's image and move it to ``folder`` when it is complete.

    Raises:
        MissingProgramError: A program is not installed.
        BuildError: The build has no rights, no space or no mirror, this machine cannot run
            programs of the guest's architecture, or a step failed.
    """
    for name in ("mmdebstrap", "mke2fs", "ssh-keygen"):
        find_program(name)
    sudo = as_root("building the guest's disk")
    foreign.require(recipe.architecture)
    free = shutil.disk_usage(folder.parent).free
    if free < _NEEDED_BYTES:
        raise BuildError(
            f"{folder.parent} has {free / 2**30:.1f} GiB free, the build needs "
            f"{_NEEDED_BYTES / 2**30:.0f}",
            "free some space there, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    work.chmod(0o755)
    root = work / "root"
    try:
        run_step(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", "id_ed25519"],
            _REMEDY,
            work,
        )
        time = "a minute" if foreign.is_native(recipe.architecture) else "a quarter of an hour"
        with phase(f"installing Debian into the guest {recipe.name} (about {time})"):
            run_step([*sudo, *_mmdebstrap(recipe, work, root)], _REMEDY, work)
        with phase("making the guest's disk"):
            _copy_boot_files(recipe, root, work)
            run_step([*sudo, *_mke2fs(root, work / "disk.raw")], _REMEDY, work)
            owner = f"{os.getuid()}:{os.getgid()}"
            run_step([*sudo, "chown", owner, "disk.raw"], _REMEDY, work)
            run_step([*sudo, "rm", "-rf", "--one-file-system", str(root)], _REMEDY, work)
        work.rename(folder)
    except BaseException:
        subprocess.run([*sudo, "rm", "-rf", "--one-file-system", str(work)], check=False)
        raise


def _mmdebstrap(recipe: Recipe, work: Path, root: Path) -> list[str]:
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
        "LAB_MARK": f"{recipe.name} {recipe.key()}",
        "LAB_SUITE": recipe.suite,
        "LAB_KERNEL_SUITE": recipe.kernel_suite,
        "TMPDIR": str(work),
    }
    hook = HERE / "configure_guest.sh"
    argv = [
        *("env", *(f"{name}={value}" for name, value in settings.items())),
        *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory"),
        f"--architectures={recipe.architecture}",
        f"--include={','.join(recipe.packages)}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        f'--setup-hook={hook} sources "$1"',
        f'--essential-hook={hook} early "$1"',
        f'--customize-hook={hook} late "$1"',
        recipe.suite,
        str(root),
    ]
    # On another distribution apt has no Debian mirror; mmdebstrap has a default.
    if source is None:
        return [*argv[:-2], f"--keyring={keys}", *argv[-2:]]
    return [*argv, f"deb [signed-by={keys}] {apt_sources.resolve(source.uri)} {recipe.suite} main"]


def _mke2fs(root: Path, disk: Path) -> list[str]:
    return [
        *(find_program("mke2fs"), "-q", "-t", "ext4", "-L", "lab", "-m", "0"),
        # The running guest must not do this in the background.
        *("-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"),
        *("-d", str(root), str(disk), f"{DISK_GIB}G"),
    ]


def _copy_boot_files(recipe: Recipe, root: Path, work: Path) -> None:
    kernel = next((root / "boot").glob("vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    shutil.copy(kernel, work / "vmlinuz")
    shutil.copy(root / "boot" / f"initrd.img-{release}", work / "initrd.img")
    public = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()
    (work / "known_hosts").write_text(f"lab {public[0]} {public[1]}\n", encoding="utf-8")
    about = {"kernel": release, "guest": recipe.name}
    (work / "about.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
