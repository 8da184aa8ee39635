"""Builds the guest's disk from Debian's packages.

mmdebstrap makes the root file system, mke2fs turns it into a disk image without
mounting anything, and the kernel and its initrd are taken out for QEMU.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab import recipe
from lab.errors import BuildError
from lab.paths import HERE, tool
from lab.progress import phase
from tools import apt_sources

_NEEDED_BYTES: Final = 4 * 2**30


def build(key: str, folder: Path) -> None:
    """Build the image and put it, whole, at ``folder``.

    Raises:
        MissingToolError: A program is not installed.
        BuildError: No rights, no room, no mirror, or a step failed.
    """
    for name in ("mmdebstrap", "mke2fs", "ssh-keygen"):
        tool(name)
    sudo = _root()
    free = shutil.disk_usage(folder.parent).free
    if free < _NEEDED_BYTES:
        raise BuildError(
            f"{folder.parent} has {free / 2**30:.1f} GiB free, the build needs "
            f"{_NEEDED_BYTES / 2**30:.0f}",
            "make room there, or set XDG_CACHE_HOME to a folder on a larger disk",
        )
    work = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    work.chmod(0o755)
    root = work / "root"
    try:
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", "id_ed25519"], work)
        with phase(f"installing Debian {recipe.SUITE} into the guest (about a minute)"):
            _run([*sudo, *_mmdebstrap(work, root, key)], work)
        with phase("making the guest's disk"):
            _take_out(root, work)
            _run([*sudo, *_mke2fs(root, work / "disk.raw")], work)
            owner = f"{os.getuid()}:{os.getgid()}"
            _run([*sudo, "chown", owner, "disk.raw"], work)
            _run([*sudo, "rm", "-rf", "--one-file-system", str(root)], work)
        work.rename(folder)
    except BaseException:
        subprocess.run([*sudo, "rm", "-rf", "--one-file-system", str(work)], check=False)
        raise


def _root() -> list[str]:
    """What to put before a command that root must run.

    Raises:
        BuildError: We are not root and may not become root without a password.
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
            "tools/bootstrap.sh .venv debian-archive-keyring",
        )
    options = [
        'APT::Install-Recommends "false"',
        # A mirror that is a little behind will do for a test machine.
        'Acquire::Check-Valid-Until "false"',
        'Acquire::Retries "3"',
        *_proxies(),
    ]
    settings = {
        "LAB_GUEST": str(HERE / "guest"),
        "LAB_AUTHORIZED": str(work / "id_ed25519.pub"),
        "LAB_MARK": key,
        "TMPDIR": str(work),
    }
    hook = HERE / "guest.sh"
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
    # Where apt knows no Debian mirror (another distribution), mmdebstrap's own
    # default is right.
    if source is None:
        return [*argv[:-2], f"--keyring={keys}", *argv[-2:]]
    return [*argv, f"deb [signed-by={keys}] {apt_sources.resolve(source.uri)} {recipe.SUITE} main"]


def _proxies() -> list[str]:
    """The machine's apt settings for reaching mirrors, to be used inside too."""
    if not shutil.which("apt-config"):
        return []
    dump = subprocess.run(
        ["apt-config", "dump", "--format", '%f "%v";%n', "Acquire::http", "Acquire::https"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [line for line in dump.splitlines() if "::" in line and not line.endswith('"";')]


def _mke2fs(root: Path, disk: Path) -> list[str]:
    return [
        *(tool("mke2fs"), "-q", "-t", "ext4", "-L", "lab", "-m", "0"),
        # Nothing is left for the running guest to do in the background.
        *("-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"),
        *("-d", str(root), str(disk), f"{recipe.DISK_GIB}G"),
    ]


def _take_out(root: Path, work: Path) -> None:
    kernel = next((root / "boot").glob("vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    shutil.copy(kernel, work / "vmlinuz")
    shutil.copy(root / "boot" / f"initrd.img-{release}", work / "initrd.img")
    public = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()
    (work / "known_hosts").write_text(f"lab {public[0]} {public[1]}\n", encoding="utf-8")
    about = {"kernel": release, "suite": recipe.SUITE}
    (work / "about.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def _run(argv: Sequence[str], work: Path) -> None:
    """Run one step; its output is shown only if it fails.

    Raises:
        BuildError: It failed.
    """
    done = subprocess.run(
        argv, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.decode(errors="replace").splitlines()[-25:])
        program = next(a for a in argv if "=" not in a and a not in {"env", "sudo", "-n"})
        raise BuildError(f"{program} failed with status {done.returncode}:\n{tail}")
