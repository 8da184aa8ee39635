"""Where the lab keeps things, and the programs it needs."""

import os
import shutil
from pathlib import Path
from typing import Final

from lab.errors import MissingToolError

HERE: Final = Path(__file__).resolve().parent

PACKAGE_OF: Final = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "docker": "docker-cli (Debian 13 and newer) or docker.io",
}
"""The Debian package of each program that the lab runs."""


def cache() -> Path:
    """Folder of everything the lab keeps between runs; made if absent."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "evercan" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tool(name: str) -> str:
    """Path of the program ``name``.

    Raises:
        MissingToolError: It is not installed; names the Debian package.
    """
    # mke2fs lives in /sbin, which is not on everybody's path.
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if found is None:
        package = PACKAGE_OF[name]
        raise MissingToolError(
            f"the program {name} is not installed (Debian package {package})",
            f"tools/bootstrap.sh .venv {package.split(' ', maxsplit=1)[0]}",
        )
    return found
