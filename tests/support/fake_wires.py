"""Wires on a fake kernel: their parts, and what leads into them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from evercan.kernel.wire_classifiers import CLASSIFIER_MODULES
from evercan.kernel.wire_queues import QUEUE_MODULES
from evercan.model.names import METER_SUFFIX
from evercan.model.observed import Link
from evercan.model.steps import MakeWire, SetWireEntry
from evercan.model.wire import BANDS, Wire, WireEntry, WireSeen, parts_of

Message = Callable[[], int]

_TOGETHER = 24
"""Requests that go to the kernel in one datagram, about: a process is not killed between them."""

WIRE_MODULES = ("ifb", *QUEUE_MODULES, *CLASSIFIER_MODULES, "cls_basic", "em_meta")


class FakeWires:
    """The queues of ``ifb`` interfaces, and the classifiers that redirect to them.

    Attributes:
        missing: the module whose lack has made the last request fail.
    """

    def __init__(self, links: Mapping[int, Link], modules: set[str]) -> None:
        """Take the kernel's links and modules."""
        self._links = links
        self._modules = modules
        self._wires: dict[int, Wire | None] = {}
        self._parts: dict[int, int] = {}
        self._entries: dict[int, WireEntry] = {}
        self.missing = ""

    def observe(self, host: Mapping[str, Link]) -> dict[int, WireSeen]:
        """Return what a dump shows of the wires of the host."""
        return {
            link.index: WireSeen(self._wires.get(link.index), self._parts.get(link.index, 0))
            for link in host.values()
            if link.is_wire and not link.name.endswith(METER_SUFFIX)
        }

    def entries(self, found: Iterable[Link]) -> dict[int, WireEntry]:
        """Return what a dump shows: an action whose interface is gone has no target."""
        seen = {}
        for link in found:
            if (entry := self._entries.get(link.index)) is not None:
                wire, meter = (
                    index if index in self._links else 0 for index in (entry.wire, entry.meter)
                )
                seen[link.index] = entry._replace(wire=wire, meter=meter)
        return seen

    def forget(self, index: int) -> None:
        """Remove what goes with an interface."""
        self._wires.pop(index, None)
        self._parts.pop(index, None)
        self._entries.pop(index, None)

    def flush(self, index: int) -> None:
        """Remove the queue of a wire, as ``tc qdisc del dev NAME root`` does.

        The classifiers of the wire's ``clsact`` stay, and those of the meter.
        """
        self._wires[index] = None
        self._parts[index] -= 4 + BANDS + 2 * BANDS

    def fill(self, step: MakeWire, index: int) -> Iterator[Message]:
        """Yield what ``kernel.wires`` asks for the parts of a wire, several requests at a time."""
        self.missing = ""
        whole = parts_of(step.wire)
        for first in range(0, whole, _TOGETHER):
            number = min(_TOGETHER, whole - first)
            yield partial(self._add_parts, index, step.wire, first, number)

    def _add_parts(self, index: int, wire: Wire, first: int, number: int) -> int:
        if index not in self._links:
            return errno.ENODEV
        modules = CLASSIFIER_MODULES if first else QUEUE_MODULES
        if self._lacks(*modules):
            return errno.ENOENT
        self._wires[index] = wire
        self._parts[index] = self._parts.get(index, 0) + number
        return 0

    def forget_entry(self, index: int) -> int:
        """Remove the classifier of an interface."""
        return 0 if self._entries.pop(index, None) is not None else errno.ENOENT

    def add_entry(self, step: SetWireEntry) -> int:
        """Add the classifier of a step."""
        entry = step.entry
        assert entry is not None
        if step.index not in self._links:
            return errno.ENODEV
        self.missing = ""
        local = ("cls_basic", "em_meta") if entry.local else ("cls_matchall",)
        if self._lacks("sch_ingress", *local, "act_mirred"):
            return errno.ENOENT
        if not {entry.wire, entry.meter} <= self._links.keys():
            return errno.ENODEV
        self._entries[step.index] = entry
        return 0

    def _lacks(self, *modules: str) -> bool:
        lacking = next((name for name in modules if name not in self._modules), "")
        self.missing = self.missing or lacking
        return bool(lacking)
