"""Kills a process of evercan at a chosen moment: at a kernel request, or at a file operation.

A moment is before or after one request to the kernel or one operation on the state file.
What was done before it stays done; what comes after it is never done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import pytest


class Killed(BaseException):
    """Represents SIGKILL; not an Exception, so that no handler runs."""


class KillPoint:
    """Counts moments, and kills at one of them.

    Attributes:
        moments: how many there were since it was armed.
        killed: the process is dead; every further moment kills again.
    """

    def __init__(self) -> None:
        self.moments = 0
        self.killed = False
        self._number: int | None = None

    def arm(self, number: int) -> None:
        """Kill at the moment of this number, counted from 1."""
        self.moments, self.killed, self._number = 0, False, number

    def disarm(self) -> None:
        """Do not kill from now on."""
        self.killed, self._number = False, None

    def moment(self) -> None:
        """Count a moment; raise ``Killed`` if it is the chosen one."""
        if self.killed:
            raise Killed
        if self._number is None:
            return
        self.moments += 1
        if self.moments == self._number:
            self.killed = True
            raise Killed


class _TornFile:
    """A file of which only a part has been written if the process is killed meanwhile."""

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
def files_with_kill_points(kill_point: KillPoint) -> Iterator[None]:
    """Make every operation that writes the state a moment.

    Nothing is really synced: what a killed process has written stays written.
    """
    open_path = Path.open

    def open_file(path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if mode != "wb":
            return open_path(path, mode, *arguments, **keywords)
        kill_point.moment()
        file = cast("BinaryIO", open_path(path, "wb"))
        try:
            kill_point.moment()
        except Killed:
            file.close()
            raise
        return _TornFile(file, kill_point.moment)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **keywords: Any) -> Any:
            kill_point.moment()
            result = function(*arguments, **keywords)
            kill_point.moment()
            return result

        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        patch.setattr(os, "fsync", around(lambda _: None))
        for name in ("unlink", "link", "rename"):
            patch.setattr(os, name, around(getattr(os, name)))
        yield
