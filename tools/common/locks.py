"""Locks on files, which hold between processes.

The kernel releases a lock when the last process that has the file open ends, however it ends.
A child process that inherits the descriptor shares the lock.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.common.progress import report


@contextmanager
def locked(path: Path, purpose: str) -> Iterator[IO[str]]:
    """Hold an exclusive lock on a file; wait for it if necessary.

    Args:
        path: The lock file; made if it is missing and left in place.
        purpose: What the holder does. Shown to a process that has to wait.

    Yields:
        The open lock file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            report(f"waiting for another process to finish: {lock.read().strip() or path}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(f"{purpose} (process {os.getpid()}, lock {path})\n")
        lock.flush()
        yield lock


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on a file without waiting; yield False if another process has one.

    The file is made if it is missing; its content stays.
    """
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def shared_lock(path: Path) -> Iterator[int]:
    """Hold a shared lock on an existing file; yield its descriptor, for child processes."""
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock.fileno()
