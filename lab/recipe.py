"""What the guest consists of, and the key of its image in the cache."""

from pathlib import Path
from typing import Final

from lab.paths import HERE
from tools.common.cache import content_key

SUITE: Final = "trixie"
"""The Debian release of the guest."""

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
"""Debian packages of the guest. With apparmor's parser the engine confines containers as it does
on most machines; docker-compose is the `docker compose` plugin."""

DISK_GIB: Final = 16
"""Size of the guest's disk. It is sparse: only written blocks take space."""

EXCLUDED: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
"""Files of packages that are left out."""

LAYOUT: Final = 2
"""To be raised when `lab.image_builder` makes a different image from the same recipe."""

FILES: Final = ("configure_guest.sh", "guest")
"""Files and folders of the lab's source folder that go into the image."""


def key(folder: Path = HERE) -> str:
    """Return the key of the recipe, 16 hexadecimal digits: equal keys mean equal images.

    Args:
        folder: The folder with `FILES`. Its own place does not count.
    """
    settings = repr((SUITE, ARCHITECTURE, PACKAGES, DISK_GIB, EXCLUDED, LAYOUT))
    return content_key([("settings", settings), *((name, folder / name) for name in FILES)])
