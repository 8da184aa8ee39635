"""Downloads the plugin's Python packages, by hash, for the interpreter inside the plugin.

They come from the package index that pip on this machine uses. The download is not part of the
image build, so the build itself needs no package index.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tools.common.architecture import MACHINES, Architecture
from tools.common.cache import cache_dir, content_key
from tools.common.checkout import ROOT
from tools.common.locks import locked
from tools.common.programs import run_step
from tools.common.progress import report

REQUIREMENTS = ROOT / "requirements/plugin.txt"
# The versions of the interpreter and the C library in Debian trixie.
PYTHON = "3.13"
GLIBC_MINOR = 41


def platform_tags(machine: str) -> list[str]:
    """Return the wheel platforms that trixie supports, newest C library first.

    Args:
        machine: ``x86_64`` or ``aarch64``.
    """
    # No cp313 wheel is built for an older C library than 2.17.
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 16, -1)]
    return [*tags, f"manylinux2014_{machine}"]


def fetch(architecture: Architecture, requirements: Path = REQUIREMENTS) -> Path:
    """Return a folder with the wheels of a requirements file; download them if necessary.

    Args:
        architecture: ``amd64`` or ``arm64``.
        requirements: A file in which each package has a version and hashes.

    Raises:
        BuildError: A wheel cannot be downloaded.
    """
    key = content_key([("requirements", requirements), ("for", f"{PYTHON} {architecture}")])
    target = cache_dir("wheels") / key
    with locked(target.with_suffix(".lock"), "downloading the plugin's wheels"):
        if not target.is_dir():
            _download(requirements, MACHINES[architecture], target)
    return target


def _download(requirements: Path, machine: str, target: Path) -> None:
    """Download with pip into a temporary folder, then move it into place in one step."""
    report(f"downloading the plugin's Python packages for {machine}")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        platforms = [f"--platform={tag}" for tag in platform_tags(machine)]
        run_step(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--only-binary=:all:", "--no-deps", "--implementation=cp", "--abi=cp313"),
                *("--abi=abi3", "--abi=none", f"--python-version={PYTHON}", *platforms),
                *("--disable-pip-version-check", f"--dest={scratch}/wheels", "-r", requirements),
            ],
            f"read pip's output above; each hash in {requirements} must belong to a wheel",
        )
        shutil.move(f"{scratch}/wheels", target)
