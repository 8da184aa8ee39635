"""The guest's image in the cache: its disk and what is needed to boot it."""

import json
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import image_builder
from lab.paths import lab_cache
from lab.recipe import Recipe, named
from tools.common.locks import locked, locked_if_free, shared_lock

_KEPT_IMAGES: Final = 2
"""Images that are kept of each guest: the current one, and that of another checkout."""


@dataclass(frozen=True)
class Image:
    """A built disk with what is needed to boot it and to log in.

    Attributes:
        folder: The image's folder; its name is the guest's name and the recipe's key.
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
    def recipe(self) -> Recipe:
        """What the guest was made from; the image may be older than the recipe of that name."""
        return named(str(self._about()["guest"]))

    @property
    def kernel_release(self) -> str:
        """The guest's kernel release, `6.12.107+deb13-amd64`."""
        return str(self._about()["kernel"])

    @property
    def is_current(self) -> bool:
        """Whether the image was made from the recipe as it is now."""
        return self.folder == _folder(self.recipe)

    def _about(self) -> dict[str, object]:
        content: dict[str, object] = json.loads(
            (self.folder / "about.json").read_text(encoding="utf-8")
        )
        return content


def in_use(image: Image) -> AbstractContextManager[int]:
    """Keep the image from being removed; yield a descriptor that does so for a child process."""
    return shared_lock(image.folder / "about.json")


def current(recipe: Recipe) -> Image | None:
    """Return the current image of a guest, if it has been built."""
    folder = _folder(recipe)
    return Image(folder) if folder.is_dir() else None


def ensure(recipe: Recipe) -> Image:
    """Return the current image of a guest; build it if necessary.

    Raises:
        MissingProgramError: A program is not installed.
        BuildError: The build has no rights, no space or no mirror, this machine cannot run
            programs of the guest's architecture, or a step failed.
    """
    folder = _folder(recipe)
    if not folder.is_dir():
        with locked(folder.with_name(f"{folder.name}.lock"), f"building the guest {recipe.name}"):
            if not folder.is_dir():
                image_builder.build(recipe, folder)
                _prune(recipe)
    os.utime(folder)  # the time of the last use
    return Image(folder)


def _folder(recipe: Recipe) -> Path:
    return lab_cache() / f"{recipe.name}-{recipe.key()}"


def _prune(recipe: Recipe) -> None:
    """Remove the least recently used images of a guest, except those in use."""
    key = "[0-9a-f]" * 16
    images = [path.parent for path in lab_cache().glob(f"{recipe.name}-{key}/about.json")]
    images.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[_KEPT_IMAGES:]:
        with locked_if_free(old / "about.json") as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)
