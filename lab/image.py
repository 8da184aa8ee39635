"""The guest's image in the cache: its disk and what is needed to boot it."""

import json
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import image_builder, recipe
from lab.paths import lab_cache
from tools.common.locks import locked, locked_if_free, shared_lock

_KEPT_IMAGES: Final = 3


@dataclass(frozen=True)
class Image:
    """A built disk with what is needed to boot it and to log in.

    Attributes:
        folder: The image's folder; its name is the recipe's key.
    """

    folder: Path

    @property
    def disk(self) -> Path:
        """The guest's disk, raw and sparse. It is never written to: runs use overlays."""
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        """The guest's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initial RAM disk of `kernel`."""
        return self.folder / "initrd.img"

    @property
    def ssh_key(self) -> Path:
        """The private key that logs in as root."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The guest's host key, as ssh reads it, for the host name `lab`."""
        return self.folder / "known_hosts"

    @property
    def release(self) -> str:
        """The guest's kernel release, `6.12.107+deb13-amd64`."""
        described = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
        return str(described["kernel"])


def in_use(image: Image) -> AbstractContextManager[int]:
    """Keep the image from being removed; yield a descriptor that does so for a child process."""
    return shared_lock(image.folder / "about.json")


def current() -> Image | None:
    """Return the image of the current recipe, if it has been built."""
    folder = lab_cache() / recipe.key()
    return Image(folder) if folder.is_dir() else None


def ensure() -> Image:
    """Return the image of the current recipe; build it if necessary.

    Raises:
        MissingProgramError: A program is not installed.
        BuildError: The build has no rights, no space or no mirror, or a step failed.
    """
    key = recipe.key()
    folder = lab_cache() / key
    if not folder.is_dir():
        with locked(lab_cache() / f"{key}.lock", "building the guest's image"):
            if not folder.is_dir():
                image_builder.build(key, folder)
                _prune()
    os.utime(folder)  # the time of the last use
    return Image(folder)


def _prune() -> None:
    """Remove the least recently used images, except those in use."""
    images = [path.parent for path in lab_cache().glob("*/about.json")]
    images.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[_KEPT_IMAGES:]:
        with locked_if_free(old / "about.json") as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)
