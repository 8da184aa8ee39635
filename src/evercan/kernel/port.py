"""What the reconciler needs of a kernel; tests put a stateful fake in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from evercan.model import Observed
from evercan.steps import Failure, Step


class Kernel(Protocol):
    """A host's CAN plumbing. Calls block for the length of a few system calls."""

    def boot_id(self) -> str:
        """Return the boot's id: another one after each boot, the same within one."""
        ...

    def observe(self) -> Observed:
        """Look at all links and rules.

        Raises:
            KernelError: the look itself failed.
        """
        ...

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        """Take the steps in order, in as few system calls as they fit into.

        A step that fails does not keep the later ones from being tried; the next
        look tells what is really there.
        """
        ...

    def close(self) -> None:
        """Let go of the kernel; nothing that was made is undone."""
        ...
