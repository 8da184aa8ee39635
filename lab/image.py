"""The guest's disk, kept in the cache under its recipe's key."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import builder, recipe
from lab.paths import cache
from lab.progress import note

_KEPT_IMAGES: Final = 3


@dataclass(frozen=True)
class Image:
    """A built disk with what is needed to boot it and to log in.

    Attributes:
        folder: Where it lies; its name is the recipe's key.
    """

    folder: Path

    @property
    def disk(self) -> Path:
        """The guest's disk, raw and sparse. Never written to: runs use overlays."""
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
        """Private key that logs in as root."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The guest's host key, as ssh wants it, for the host name `lab`."""
        return self.folder / "known_hosts"

    @property
    def release(self) -> str:
        """Kernel release in the guest, `6.12.107+deb13-amd64`."""
        described = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
        return str(described["kernel"])


@contextmanager
def held(image: Image) -> Iterator[int]:
    """A descriptor that keeps the image from being removed while any process has it."""
    with (image.folder / "about.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file.fileno()


def present() -> Image | None:
    """The image of the present recipe, if it has been built."""
    folder = cache() / recipe.key()
    return Image(folder) if folder.is_dir() else None


def ensure() -> Image:
    """The image of the present recipe; built first if it is not there.

    Raises:
        MissingToolError: A program is not installed.
        BuildError: No rights, no room, no mirror, or a step failed.
    """
    key = recipe.key()
    folder = cache() / key
    if not folder.is_dir():
        with _lock(cache() / f"{key}.lock"):
            if not folder.is_dir():
                builder.build(key, folder)
                _prune()
    os.utime(folder)  # says when it was used last
    return Image(folder)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another process is building the same image: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _prune() -> None:
    """Remove the images unused for longest, but none that a machine holds."""
    images = [path.parent for path in cache().glob("*/about.json")]
    images.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[_KEPT_IMAGES:]:
        with (old / "about.json").open("rb") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(old, ignore_errors=True)
