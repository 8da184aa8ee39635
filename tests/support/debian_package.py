"""Programs of Debian packages, unpacked into the cache and not installed.

An installed package may start a service on the developer's machine.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.common.cache import cache_dir
from tools.common.errors import BuildError
from tools.common.locks import locked


def program(name: str, package: str) -> str:
    """Return the path of a program: one on the PATH, or that of the package.

    Raises:
        BuildError: it is not on the PATH, and the package cannot be downloaded.
    """
    return shutil.which(name) or str(_unpacked(package, name) / "usr/bin" / name)


def _unpacked(package: str, name: str) -> Path:
    target = cache_dir("debian") / package
    with locked(target.with_suffix(".lock"), f"unpacking Debian's {package}"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            try:
                _run("apt-get", "download", package, cwd=scratch)
                [file] = Path(scratch).glob("*.deb")
                _run("dpkg-deb", "--extract", file.name, "content", cwd=scratch)
            except (OSError, subprocess.CalledProcessError) as error:
                raise BuildError(
                    f"no {name} on the PATH, and cannot download Debian's {package}: {error}",
                    f"run apt-get update, or put {name} on the PATH",
                ) from error
            Path(scratch, "content").rename(target)
    return target


def _run(*argv: str, cwd: str) -> None:
    subprocess.run(argv, cwd=cwd, check=True, capture_output=True)
