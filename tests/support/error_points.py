"""Makes requests to the kernel and file operations fail, one time or for a while.

A *place* is one call of the kernel's port, one request of a batch, or one operation on the
state file. Each has the errors that the real one can have there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import pytest

from evercan.errors import KernelError
from evercan.kernel.port import Checkpoint
from evercan.model.access import Filters
from evercan.model.controller import Controller
from evercan.model.observed import Filtered, Link, Observed
from evercan.model.steps import Failure, Step
from evercan.model.wire import WireEntry
from tests.support.fake_kernel import FakeKernel, Message


class Part(Enum):
    """What fails: the kernel or the disk."""

    KERNEL = "kernel"
    DISK = "disk"


ERRORS = {
    Part.KERNEL: (
        errno.ENOBUFS,
        errno.EBUSY,
        errno.EINTR,
        errno.EBADMSG,
        errno.EIO,
        errno.ENOSPC,
        errno.EROFS,
    ),
    Part.DISK: (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EINTR, errno.EBUSY, errno.ENOBUFS),
}
"""EBADMSG stands for an answer that could not be decoded (``kernel.netlink``)."""


class ErrorPoint:
    """Counts places, and lets some of them fail.

    Attributes:
        places: how many there were since it was armed.
        injected: the places that failed, by name.
    """

    def __init__(self) -> None:
        self.places = 0
        self.injected: list[str] = []
        self._first = 0
        self._left = 0
        self._code = 0
        self._part: Part | None = None

    def arm(self, first: int, times: int, code: int) -> None:
        """Let places fail.

        Args:
            first: the number of the first, counted from 1; 0 only counts.
            times: how many fail: the first, and the next ones of its part.
            code: which of the errors of its part; any number.
        """
        self.places, self.injected, self._part = 0, [], None
        self._first, self._left, self._code = first, times, code

    def disarm(self) -> None:
        """Let nothing fail from now on."""
        self._first = self._left = 0

    @property
    def armed(self) -> bool:
        """Whether something may fail."""
        return self._left > 0

    def error(self, part: Part, name: str) -> int:
        """Count a place; return its errno if it is to fail, or 0."""
        self.places += 1
        if self._left and self.places >= self._first > 0 and self._part in (None, part):
            self._part = part
            self._left -= 1
            errors = ERRORS[part]
            code = errors[self._code % len(errors)]
            self.injected.append(f"{name} {errno.errorcode[code]}")
            return code
        return 0

    def call(self, name: str) -> None:
        """Count a call of the kernel's port; raise ``KernelError`` if it is to fail."""
        if code := self.error(Part.KERNEL, name):
            raise KernelError(name, code, "evercan tries again")

    def file(self, name: str) -> None:
        """Count a file operation; raise ``OSError`` if it is to fail."""
        if code := self.error(Part.DISK, name):
            raise OSError(code, os.strerror(code))


class FailingKernel(FakeKernel):
    """A fake kernel whose calls and requests can fail."""

    def __init__(self, point: ErrorPoint) -> None:
        super().__init__()
        self._point = point

    def _batch(self, messages: Iterable[Message]) -> list[int]:
        """Carry out the requests, except those that fail."""
        codes = []
        for message in messages:
            code = self._point.error(Part.KERNEL, "request")
            codes.append(code or message())
        return codes


class PluginsKernel:
    """The port of a failing kernel that the plugin uses; the test uses the kernel itself."""

    def __init__(self, kernel: FailingKernel, point: ErrorPoint) -> None:
        self._kernel = kernel
        self._point = point

    @property
    def checkpoint(self) -> Checkpoint:
        return self._kernel.checkpoint

    @checkpoint.setter
    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._kernel.checkpoint = checkpoint

    def boot_id(self) -> str:
        self._point.call("boot_id")
        return self._kernel.boot_id()

    def observe(self) -> Observed:
        self._point.call("observe")
        return self._kernel.observe()

    def observe_with_counts(self) -> Observed:
        self._point.call("observe_with_counts")
        return self._kernel.observe_with_counts()

    def links_named(self, names: Iterable[str]) -> list[Link]:
        self._point.call("links_named")
        return self._kernel.links_named(names)

    def filters(self, interfaces: Iterable[Filtered]) -> Mapping[int, Filters]:
        self._point.call("filters")
        return self._kernel.filters(interfaces)

    def wire_entries(self, found: Iterable[Link]) -> Mapping[int, WireEntry]:
        self._point.call("wire_entries")
        return self._kernel.wire_entries(found)

    def controller(self, index: int) -> Controller | None:
        self._point.call("controller")
        return self._kernel.controller(index)

    def receive_list_entries(self) -> int | None:
        return self._kernel.receive_list_entries()  # it never raises

    def ended_namespaces(self) -> frozenset[int] | None:
        self._point.call("ended_namespaces")
        return self._kernel.ended_namespaces()

    def name_inside(self, link: Link) -> str | None:
        self._point.call("name_inside")
        return self._kernel.name_inside(link)

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        self._point.call("apply, before")
        failures = self._kernel.apply(steps)
        self._point.call("apply, after")
        return failures

    def close(self) -> None:
        self._kernel.close()


class _FailingFile:
    """A file whose operations can fail; a write that fails has written a part."""

    def __init__(self, file: BinaryIO, point: ErrorPoint) -> None:
        self._file = file
        self._point = point

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> bytes:
        self._point.file("read")
        return self._file.read()

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        self._file.write(data[:half])
        self._point.file("write")
        self._file.write(data[half:])

    def flush(self) -> None:
        self._point.file("flush")
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def files_with_error_points(point: ErrorPoint, folder: Path) -> Iterator[None]:
    """Let every operation on the files of a folder fail when it is their turn."""
    open_path, open_descriptor = Path.open, os.open

    def open_file(path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if path.parent != folder or "b" not in mode:
            return open_path(path, mode, *arguments, **keywords)
        point.file(f"open {mode}")
        return _FailingFile(cast("BinaryIO", open_path(path, mode)), point)

    def open_folder(path: Any, *arguments: Any, **keywords: Any) -> int:
        if Path(path) == folder:
            point.file("open the folder")
        return open_descriptor(path, *arguments, **keywords)

    def before(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **keywords: Any) -> Any:
            point.file(name)
            return function(*arguments, **keywords)

        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        patch.setattr(os, "open", open_folder)
        patch.setattr(os, "fsync", before("fsync", lambda _: None))
        for name in ("unlink", "link", "rename"):
            patch.setattr(os, name, before(name, getattr(os, name)))
        yield
