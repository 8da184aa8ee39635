"""What the guest is made of, and the key under which the result is kept."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lab.paths import HERE

SUITE: Final = "trixie"
"""The Debian release in the guest."""

ARCHITECTURE: Final = "amd64"

PACKAGES: Final = (
    "apparmor",
    "ca-certificates",
    "can-utils",
    "dbus",
    "docker-cli",
    "docker-compose",
    "docker.io",
    "iproute2",
    "iptables",
    "kmod",
    "linux-image-amd64",
    "openssh-server",
    "procps",
    "python3",
    "systemd-sysv",
    "udev",
)
"""Debian packages in the guest. With apparmor's parser there the engine confines
containers as it does on people's machines; docker-compose is the `docker compose` plugin."""

DISK_GIB: Final = 16
"""Size of the guest's disk. It is sparse: only what is written takes room."""

EXCLUDED: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
"""Files of packages that are left out."""

LAYOUT: Final = 1
"""Raised whenever `lab.builder` makes something else of the same ingredients."""

INGREDIENTS: Final = ("guest", "guest.sh", "recipe.py")
"""Files and folders of this package that decide what the image becomes."""


def files(root: Path, names: Iterable[str]) -> list[Path]:
    """Every file below ``root`` that ``names`` stand for, in a fixed order."""
    found: list[Path] = []
    for name in names:
        path = root / name
        found += (p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return sorted(found)


def key(root: Path = HERE, names: Iterable[str] = INGREDIENTS) -> str:
    """Hash of every ingredient: 16 hexadecimal digits.

    Two trees with the same ingredients get the same key, wherever they lie.
    """
    digest = hashlib.sha256()
    for path in files(root, names):
        content = path.read_bytes()
        mode = path.stat().st_mode & 0o111
        digest.update(f"{path.relative_to(root)} {bool(mode)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
