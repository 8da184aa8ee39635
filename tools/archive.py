"""Packs folders into tar archives, reproducibly, and unpacks them.

Owners, times and order are fixed, so two builds of one commit can be compared by a hash, and an
archive does not depend on who made it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

# What an engine adds to a container that it creates.
_OF_THE_ENGINE = {
    ".dockerenv", "dev/console", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts",
    "etc/mtab", "etc/resolv.conf",
}  # fmt: skip


def members(tree: Path) -> Iterator[Path]:
    """Yield everything below a folder, sorted, a folder before its content."""
    for path in sorted(tree.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from members(path)


def write_tar(tree: Path, stream: IO[bytes], epoch: int = 0) -> None:
    """Write a folder's content as a tar archive: owned by root, in a fixed order.

    Args:
        tree: The folder; its own name is not in the archive.
        stream: Where to write; need not be seekable.
        epoch: The time of every member, in seconds since 1970.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for path in members(tree):
            info = tar.gettarinfo(path, path.relative_to(tree).as_posix())
            # Hard links would make the archive depend on how the tree was copied.
            if info.islnk():
                info.type, info.linkname = tarfile.REGTYPE, ""
                info.size = path.stat().st_size
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = epoch
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def write_image(layer: Path, architecture: str, stream: IO[bytes]) -> None:
    """Write an image of one layer as an archive for ``docker load``.

    ``docker import`` would do, but engines before 23 give each image their own architecture.

    Args:
        layer: The layer, a tar archive.
        architecture: What the image is for, by its name in Go.
        stream: Where to write; need not be seekable.
    """
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": None, "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, document in (("manifest.json", manifest), ("config.json", config)):
            text = json.dumps(document).encode()
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        info = tarfile.TarInfo("layer.tar")
        info.size = layer.stat().st_size
        with layer.open("rb") as content:
            tar.addfile(info, content)


def tree_hash(tree: Path) -> str:
    """Hash names, kinds, modes, link targets and contents of everything below a folder (sha256)."""
    digest = hashlib.sha256()
    for path in members(tree):
        name = path.relative_to(tree).as_posix()
        if path.is_symlink():
            kind, content = "link", str(path.readlink()).encode()
        elif path.is_dir():
            kind, content = "dir", b""
        else:
            kind, content = "file", hashlib.sha256(path.read_bytes()).digest()
        mode = 0 if kind == "link" else path.stat().st_mode & 0o7777
        digest.update(f"{kind} {mode:o} {name}\0".encode() + content)
    return digest.hexdigest()


def tree_size(tree: Path) -> int:
    """Return the bytes in all files below a folder, each file counted once."""
    return sum(p.stat().st_size for p in members(tree) if p.is_file() and not p.is_symlink())


class _Chunks:
    """Reads the chunks of a streamed HTTP answer like a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]


def unpack_export(chunks: Iterable[bytes], target: Path) -> None:
    """Unpack the export of a container that never ran, without what the engine added.

    Args:
        chunks: The tar archive as the engine streams it.
        target: An existing empty folder.
    """
    stream = cast("IO[bytes]", _Chunks(chunks))
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.name.rstrip("/") not in _OF_THE_ENGINE:
                # Without owners, so that this works without root and on any file system.
                tar.extract(member, target, filter="tar")
    # The engine mounts its own files over these when the plugin runs.
    for name in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        if (target / "etc").is_dir():
            (target / name).touch(mode=0o644)
