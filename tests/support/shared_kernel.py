"""A fake kernel that several threads may use, and that can be made to hang.

The daemon works on its kernel in a thread while the test, as the engine or as
a vandal, works on it in another.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from evercan.model.observed import Observed
from evercan.model.steps import Failure, Step
from tests.support.fake_kernel import FakeKernel


class SharedKernel(FakeKernel):
    """Takes one call at a time; ``hang`` holds up every look until ``resume``."""

    def __init__(self, *, boot: str = "boot-1") -> None:
        super().__init__(boot=boot)
        self._lock = threading.RLock()
        self._flowing = threading.Event()
        self._flowing.set()

    def hang(self) -> None:
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def observe(self) -> Observed:
        assert self._flowing.wait(timeout=30), "nobody resumed the kernel"
        with self._lock:
            return super().observe()

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        with self._lock:
            return super().apply(steps)

    def look(self) -> Observed:
        """Look without hanging and without being counted."""
        with self._lock:
            observed = FakeKernel.observe(self)
            self.calls["observe"] -= 1
            return observed

    def take(self, name: str, nsid: int, inside: str = "vcanp0") -> None:
        with self._lock:
            super().take(name, nsid, inside)

    def give_back(self, nsid: int, inside: str, name: str) -> None:
        with self._lock:
            super().give_back(nsid, inside, name)
