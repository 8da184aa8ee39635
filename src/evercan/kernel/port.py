"""What the reconciler needs of a kernel; tests put a stateful fake in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from evercan.controller import Controller
from evercan.model import Link, Observed
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

    def observe_closely(self) -> Observed:
        """Look at all links and rules, and at what the rules have counted.

        Raises:
            KernelError: the look itself failed.
        """
        ...

    def controller(self, index: int) -> Controller | None:
        """Look at a controller with its statistics; None if it is gone, or none.

        Raises:
            KernelError: the look failed.
        """
        ...

    def ended_namespaces(self) -> frozenset[int] | None:
        """Return the numbers (nsid) of namespaces that ended since the last call.

        None means that announcements were lost: any number may be another's now.
        """
        ...

    def name_inside(self, link: Link) -> str | None:
        """Return what a host end's other end is called in its namespace, None if it is gone."""
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
