"""What every build step needs: its cache folder, locks, keys, progress lines and one error."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


class BuildError(Exception):
    """Something the build cannot repair by itself: what is wrong, and what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\nremedy: {remedy}")


def cache_dir(*parts: str) -> Path:
    """Returns a folder of evercan's in the user's cache, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base, "evercan", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(message: str) -> None:
    """Writes one progress line, with the seconds since this process's first line."""
    now = time.monotonic()
    print(f"[build {now - _FIRST:6.1f} s] {message}", file=sys.stderr, flush=True)


_FIRST = time.monotonic()


def content_key(parts: Iterable[tuple[str, Path | str]]) -> str:
    """Hashes named parts: the text of a string, or a file's or folder's content and layout.

    Args:
        parts: pairs of a label and either a text, a file, or a folder, which is
            hashed with all files in it except bytecode.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for label, part in parts:
        entries: list[tuple[str, bytes]]
        if isinstance(part, str):
            entries = [(label, part.encode())]
        elif part.is_dir():
            entries = [
                (f"{label}/{path.relative_to(part).as_posix()}", path.read_bytes())
                for path in sorted(part.rglob("*"))
                if path.is_file() and "__pycache__" not in path.parts
            ]
        else:
            entries = [(label, part.read_bytes())]
        for name, data in entries:
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()[:16]


@contextmanager
def locked(path: Path, purpose: str) -> Iterator[IO[str]]:
    """Holds an exclusive lock on a file, and says what it waits for if it has to.

    The lock goes when the last process that has the file open ends, however it ends.

    Args:
        path: the lock file, made if it is missing and left in place.
        purpose: what the holder does with it, for the one who waits.

    Yields:
        The open lock file; a child that inherits it shares the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"waiting for another process to finish: {lock.read().strip() or path}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(f"{purpose} (process {os.getpid()}, lock {path})\n")
        lock.flush()
        yield lock
