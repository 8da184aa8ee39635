"""Fetches the plugin's Python packages, by hash, for the interpreter inside the plugin.

They come from wherever pip on this machine gets packages, outside the image
build, so that the build itself needs no package index.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.common import ROOT, BuildError, cache_dir, content_key, locked, say

REQUIREMENTS = ROOT / "requirements/plugin.txt"
# Debian trixie: the interpreter's version and the C library's.
PYTHON = "3.13"
GLIBC_MINOR = 41
# Go's name of an architecture, as an engine tells it, to Python's.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def platform_tags(machine: str) -> list[str]:
    """Returns the wheel platforms that trixie runs, newest C library first.

    Args:
        machine: ``x86_64`` or ``aarch64``.
    """
    # 2.17 is the oldest that any cp313 wheel is built for.
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 16, -1)]
    return [*tags, f"manylinux2014_{machine}"]


def fetch(architecture: str, requirements: Path = REQUIREMENTS) -> Path:
    """Returns a folder with the wheels of a requirements file, from the cache if it can.

    Args:
        architecture: ``amd64`` or ``arm64``.
        requirements: file whose every line is pinned and hashed.

    Raises:
        BuildError: the architecture is not known, or a wheel cannot be had.
    """
    if architecture not in MACHINES:
        raise BuildError(
            f"architecture {architecture!r} is not one of {', '.join(MACHINES)}",
            "build on an engine of one of these",
        )
    key = content_key([("requirements", requirements), ("for", f"{PYTHON} {architecture}")])
    target = cache_dir("wheels") / key
    with locked(target.with_suffix(".lock"), "fetching the plugin's wheels"):
        if not target.is_dir():
            _download(requirements, MACHINES[architecture], target)
    return target


def _download(requirements: Path, machine: str, target: Path) -> None:
    """Lets pip download into a temporary folder, then moves that into place whole."""
    say(f"fetching the plugin's Python packages for {machine} by their hashes")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        platforms = [f"--platform={tag}" for tag in platform_tags(machine)]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--only-binary=:all:", "--no-deps", "--implementation=cp", "--abi=cp313"),
                *("--abi=abi3", "--abi=none", f"--python-version={PYTHON}", *platforms),
                *("--disable-pip-version-check", f"--dest={scratch}/wheels", "-r", requirements),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BuildError(
                f"pip could not download the wheels of {requirements}:\n{done.stderr.strip()}",
                "see pip's words above; each hash must belong to a wheel of that version",
            )
        shutil.move(f"{scratch}/wheels", target)
