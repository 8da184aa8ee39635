"""What a guest consists of, by Debian release and architecture, and the key of its image."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.paths import HERE
from tools.common.architecture import ARCHITECTURES, Architecture, of_machine
from tools.common.cache import content_key

VARIABLE: Final = "EVERCAN_LAB"
"""Environment variable that chooses the guest: `bookworm`, `trixie-arm64` …"""

PACKAGES: Final = (
    "apparmor",
    "ca-certificates",
    "can-utils",
    "dbus",
    "docker-compose",
    "docker.io",
    "iproute2",
    "iptables",
    "kmod",
    "openssh-server",
    "procps",
    "python3",
    "systemd-sysv",
    "udev",
)
"""Debian packages of every guest, beside the kernel. With apparmor's parser the engine confines
containers as it does on most machines; docker-compose is the `docker compose` plugin, and in
bookworm the program `docker-compose`."""

DISK_GIB: Final = 16
"""Size of the guest's disk. It is sparse: only written blocks take space."""

EXCLUDED: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
"""Files of packages that are left out."""

LAYOUT: Final = 2
"""To be raised when `lab.image_builder` makes a different image from the same recipe."""

FILES: Final = ("configure_guest.sh", "guest")
"""Files and folders of the lab's source folder that go into the image."""


@dataclass(frozen=True)
class Release:
    """A Debian release as the lab uses it.

    Attributes:
        suite: Its name in Debian's archive.
        more: Packages beside `PACKAGES`.
        kernel_suite: The suite that the kernel comes from, if it is another one.
    """

    suite: str
    more: tuple[str, ...] = ("docker-cli",)
    kernel_suite: str = ""


RELEASES: Final = {
    # Its docker.io contains the client.
    "bookworm": Release("bookworm", more=()),
    "trixie": Release("trixie"),
    # These kernels prefer dracut. Its initrd boots slowly, and lacks the network card's driver.
    "trixie-backports": Release(
        "trixie", more=("docker-cli", "initramfs-tools"), kernel_suite="trixie-backports"
    ),
    # Its essential packages no longer include mount, and passwd, whose programs make the user
    # that the engine maps others to.
    "forky": Release("forky", more=("docker-cli", "initramfs-tools", "mount", "passwd")),
}
"""The releases that the lab knows, oldest first."""


@dataclass(frozen=True)
class Recipe:
    """A guest: what is installed in it, for which architecture.

    Attributes:
        release: A name in `RELEASES`.
        architecture: `amd64` or `arm64`.
    """

    release: str = "trixie"
    architecture: Architecture = "amd64"

    @property
    def name(self) -> str:
        """The guest's name, as the environment and the commands say it: `trixie-arm64`."""
        return self.release if self.architecture == "amd64" else f"{self.release}-arm64"

    @property
    def suite(self) -> str:
        """The suite of everything but the kernel."""
        return RELEASES[self.release].suite

    @property
    def kernel_suite(self) -> str:
        """The suite of the kernel; empty if it is that of everything else."""
        return RELEASES[self.release].kernel_suite

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages to install, as apt-get takes them."""
        kernel = f"linux-image-{self.architecture}"
        if self.kernel_suite:
            kernel = f"{kernel}/{self.kernel_suite}"
        return tuple(sorted({*PACKAGES, *RELEASES[self.release].more, kernel}))

    def key(self, folder: Path = HERE) -> str:
        """Return the key of the recipe, 16 hexadecimal digits: equal keys mean equal images.

        Args:
            folder: The folder with `FILES`. Its own place does not count.
        """
        settings = repr((self.suite, self.architecture, self.packages, DISK_GIB, EXCLUDED, LAYOUT))
        return content_key([("settings", settings), *((name, folder / name) for name in FILES)])


ALL: Final = tuple(
    Recipe(release, architecture) for architecture in ARCHITECTURES for release in RELEASES
)
"""Every guest that the lab knows."""

MATRIX: Final = ("bookworm", "trixie", "trixie-backports", "forky", "trixie-arm64")
"""The guests that ``make test-matrix`` runs the tests on."""


def named(name: str) -> Recipe:
    """Return a guest by its name.

    Raises:
        LabError: There is none of that name.
    """
    for recipe in ALL:
        if name in {recipe.name, f"{recipe.release}-{recipe.architecture}"}:
            return recipe
    raise LabError(
        f"the lab knows no guest {name!r}",
        f"use one of {', '.join(RELEASES)}, with -arm64 behind it for that architecture",
    )


def chosen(
    release: str | None = None,
    architecture: Architecture | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Recipe:
    """Return the guest to use: as asked for, else as the environment says, else the default.

    The default is trixie, for the architecture of this machine.

    Raises:
        LabError: The environment names a guest that does not exist.
    """
    name = environment.get(VARIABLE, "")
    if name:
        try:
            default = named(name)
        except LabError as error:
            raise LabError(f"{VARIABLE}={name}: {error.text}", error.remedy) from error
    else:
        default = Recipe(architecture=of_machine(platform.machine()) or "amd64")
    return Recipe(release or default.release, architecture or default.architecture)
