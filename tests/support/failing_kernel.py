"""A fake kernel of which a chosen number of observations fail."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from evercan.errors import KernelError
from evercan.model.observed import Link, Observed
from tests.support.shared_kernel import SharedKernel


class FailingKernel(SharedKernel):
    """Fails as the real one does when a netlink message is lost.

    Attributes:
        failures: how many of the next observations fail.
    """

    def __init__(self, *, boot: str = "boot-1") -> None:
        super().__init__(boot=boot)
        self.failures = 0

    def observe(self) -> Observed:
        observed = super().observe()
        self._fail()
        return observed

    def links_named(self, names: Iterable[str]) -> list[Link]:
        found = super().links_named(names)
        self._fail()
        return found

    def _fail(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise KernelError("receive from the kernel", errno.ENOBUFS, "evercan tries again")
