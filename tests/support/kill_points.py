"""Kills a process of evercan at a chosen moment: in the kernel, or at a file.

A moment is before or after one request to the kernel or one operation on the
state file. What had been done by then stays done; what had not never is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import pytest


class Killed(BaseException):
    """SIGKILL, as far as code in the same process can feel it."""


class Fuse:
    """Counts moments, and burns through at one of them.

    Attributes:
        moments: how many there were since it was lit.
        burnt: the process is dead; every further moment kills again.
    """

    def __init__(self) -> None:
        self.moments = 0
        self.burnt = False
        self._length: int | None = None

    def light(self, length: int) -> None:
        """Kill at the moment of this number, counted from 1."""
        self.moments, self.burnt, self._length = 0, False, length

    def put_out(self) -> None:
        """Kill nobody from now on."""
        self.burnt, self._length = False, None

    def moment(self) -> None:
        """Be at a moment."""
        if self.burnt:
            raise Killed
        if self._length is None:
            return
        self.moments += 1
        if self.moments == self._length:
            self.burnt = True
            raise Killed


class _TornFile:
    """A file that is being written: death leaves as much of it as was there."""

    def __init__(self, file: BinaryIO, moment: Callable[[], None]) -> None:
        self._file = file
        self._moment = moment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._moment()
        self._file.write(data[half:])

    def flush(self) -> None:
        self._file.flush()
        self._moment()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def files_that_burn(fuse: Fuse) -> Iterator[None]:
    """Make every operation that writes the state a moment.

    Nothing is really synced: a process that is killed leaves what it wrote.
    """
    open_path = Path.open

    def open_file(path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if mode != "wb":
            return open_path(path, mode, *arguments, **keywords)
        fuse.moment()
        file = cast("BinaryIO", open_path(path, "wb"))
        try:
            fuse.moment()
        except Killed:
            file.close()
            raise
        return _TornFile(file, fuse.moment)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **keywords: Any) -> Any:
            fuse.moment()
            result = function(*arguments, **keywords)
            fuse.moment()
            return result

        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        patch.setattr(os, "fsync", around(lambda _: None))
        for name in ("unlink", "link", "rename"):
            patch.setattr(os, name, around(getattr(os, name)))
        yield
