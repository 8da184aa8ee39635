"""Looks at the kernel, and what is learned from one look for the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from evercan.kernel.port import Kernel
from evercan.model import Declared, Observed
from evercan.sandboxes import Sandboxes

Look = Callable[[Declared], Observed]
"""Looks at the kernel, for what is wanted.

Raises:
    KernelError: the look failed.
"""


class Looks:
    """The one way to see the kernel; remembers where the container ends are."""

    def __init__(self, kernel: Kernel) -> None:
        """Know nothing yet."""
        self._kernel = kernel
        self._sandboxes = Sandboxes()

    def look(self, declared: Declared) -> Observed:
        """Observe, and learn where the container ends are; errors as of ``Look``."""
        return self._learned(declared, time.monotonic(), self._kernel.observe())

    def look_closely(self, declared: Declared) -> Observed:
        """Observe what the rules have counted too; errors as of ``Look``."""
        return self._learned(declared, time.monotonic(), self._kernel.observe_closely())

    def _learned(self, declared: Declared, at: float, observed: Observed) -> Observed:
        """Learn from a look that began at a moment."""
        # Asked after the look: what ended before it or during it is not learned. Nobody is told
        # twice, so it counts at once: the rest of the look may fail.
        ended = self._kernel.ended_namespaces()
        self._sandboxes = self._sandboxes.without(ended)
        self._sandboxes = self._sandboxes.learn(declared, observed, ended, self._kernel.name_inside)
        sandboxes = self._sandboxes
        return replace(observed, sandboxes=sandboxes.trusted, ended=sandboxes.ended, at=at)
