"""What the reconciler needs of a kernel; tests use a stateful fake in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from evercan.model.access import Filters
from evercan.model.controller import Controller
from evercan.model.observed import Filtered, Link, Observed
from evercan.model.steps import Failure, Step
from evercan.model.wire import WireEntry

Checkpoint = Callable[[], None]
"""Is called again and again during a long observation; what it raises ends the observation."""


def go_on() -> None:
    """Let an observation go on."""


class Kernel(Protocol):
    """A host's CAN interfaces and rules. Calls block for the length of a few system calls.

    Attributes:
        checkpoint: called between the datagrams of a dump.
    """

    checkpoint: Checkpoint

    def boot_id(self) -> str:
        """Return the boot's id, which is another one after each boot.

        Raises:
            KernelError: it cannot be read.
        """
        ...

    def observe(self) -> Observed:
        """Read all links and rules.

        Raises:
            KernelError: the kernel rejected a dump.
        """
        ...

    def observe_with_counts(self) -> Observed:
        """Read all links and rules, and the rules' counters.

        Raises:
            KernelError: the kernel rejected a dump.
        """
        ...

    def links_named(self, names: Iterable[str]) -> list[Link]:
        """Read the links that have these names; names of altnames find nothing.

        Raises:
            KernelError: the kernel cannot be asked.
        """
        ...

    def filters(self, interfaces: Iterable[Filtered]) -> Mapping[int, Filters]:
        """Read the classifiers of interfaces, by ifindex.

        Raises:
            KernelError: the kernel rejected a request.
        """
        ...

    def wire_entries(self, found: Iterable[Link]) -> Mapping[int, WireEntry]:
        """Read what leads into wires from links, by ifindex of those that have it.

        Raises:
            KernelError: the kernel rejected a request.
        """
        ...

    def controller(self, index: int) -> Controller | None:
        """Read a controller with its statistics; None if it is gone, or is not one.

        Raises:
            KernelError: the kernel rejected the request.
        """
        ...

    def receive_list_entries(self) -> int | None:
        """Count the receive list entries of the host; None if the kernel does not show them.

        Any thread may call this at any time.
        """
        ...

    def ended_namespaces(self) -> frozenset[int] | None:
        """Return the numbers (nsid) of namespaces that ended since the last call.

        None means that announcements were lost: any number may be another namespace's now.

        Raises:
            KernelError: the announcements cannot be read.
        """
        ...

    def name_inside(self, link: Link) -> str | None:
        """Return the name of a host end's other end in its namespace; None if it is gone."""
        ...

    def apply(self, steps: Sequence[Step]) -> list[Failure]:
        """Take the steps in order, in as few system calls as possible.

        A step that fails does not keep the later ones from being tried; the next
        observation shows what really exists.
        """
        ...

    def close(self) -> None:
        """Close the sockets; nothing that was created is undone."""
        ...
