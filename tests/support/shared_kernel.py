"""A fake kernel that several threads may use, and that can be made to hang.

The plugin uses its kernel in one thread; the test changes it in another, as the engine or
as a person does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from evercan.model.observed import Link, Observed
from evercan.model.steps import Failure, Step
from tests.support.fake_kernel import FakeKernel


class SharedKernel(FakeKernel):
    """Serves one call at a time; after ``hang`` an observation waits until ``resume``."""

    def __init__(self, *, boot: str = "boot-1") -> None:
        super().__init__(boot=boot)
        self._lock = threading.RLock()
        self._responsive = threading.Event()
        self._responsive.set()

    def hang(self) -> None:
        self._responsive.clear()

    def resume(self) -> None:
        self._responsive.set()

    def observe(self) -> Observed:
        assert self._responsive.wait(timeout=30), "the test did not resume the kernel"
        with self._lock:
            return super().observe()

    def links_named(self, names: Iterable[str]) -> list[Link]:
        assert self._responsive.wait(timeout=30), "the test did not resume the kernel"
        with self._lock:
            return super().links_named(names)

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        with self._lock:
            return super().apply(steps)

    def snapshot(self) -> Observed:
        """Observe for the test: does not hang and is not counted in ``calls``."""
        with self._lock:
            observed = FakeKernel.observe(self)
            self.calls["observe"] -= 1
            return observed

    def move_in(self, name: str, nsid: int, inside: str = "vcanp0") -> None:
        with self._lock:
            super().move_in(name, nsid, inside)

    def move_out(self, nsid: int, inside: str, name: str) -> None:
        with self._lock:
            super().move_out(nsid, inside, name)

    def set_flag(self, name: str, *, up: bool) -> int:
        with self._lock:
            return super().set_flag(name, up=up)
