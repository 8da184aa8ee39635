"""Queues for faults on a fake kernel, and those of other people."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from evercan.model.fault import MAX_FAULTS, FaultMatch, FaultQueue, Netem
from evercan.model.names import filter_interface_of
from evercan.model.observed import Link
from evercan.model.steps import SetFaults

Message = Callable[[], int]

QUEUE_MODULES = (
    *("sch_prio", "sch_netem", "sch_fifo", "cls_u32", "act_gact", "act_skbedit"),
    *("cls_basic", "em_meta"),
)

_CANNOT_MIX = "netem: cannot mix duplicating netems with other netems in tree"


class FakeQueues:
    """The root qdiscs of interfaces, and the classifiers in them and on filter interfaces.

    Attributes:
        foreign: the ifindexes of interfaces that have a queue of somebody else.
        mixes_duplicates: a ``netem`` that duplicates can stand beside others on an interface.
            Kernels with the first fix of CVE-2024-45016 reject that; later ones take it again.
        words: why a request of the last step was the first to fail, in the kernel's words; or the
            module that is missing.
    """

    def __init__(self, links: Mapping[int, Link], modules: set[str], *, mixes: bool = True) -> None:
        """Take the kernel's links and modules, and ``mixes_duplicates``."""
        self._links = links
        self._modules = modules
        self._bands: dict[int, dict[int, Netem | None]] = {}
        self._matches: dict[int, list[tuple[FaultMatch, int]]] = {}  # with the source's ifindex
        self.foreign: set[int] = set()
        self.mixes_duplicates = mixes
        self.words = ""

    def shown(self, link: Link) -> str:
        """Return the kind of an interface's queue, as a dump of links shows it."""
        return "prio" if link.index in self._bands or link.index in self.foreign else "noqueue"

    def observe(self, host: Mapping[str, Link]) -> dict[int, FaultQueue]:
        """Return what a dump shows: a classifier whose interface is gone has no name of one."""
        found = {}
        for link in host.values():
            if link.index not in self._bands:
                continue
            marker = host.get(filter_interface_of(link.name))
            where = link.index if marker is None else marker.index
            names = {link.index: link.name for link in host.values()}
            matches = tuple(
                match._replace(source=names.get(source, ""))
                for match, source in self._matches.get(where, ())
            )
            bands = sorted(self._bands[link.index].items(), key=lambda band: band[0])
            found[link.index] = FaultQueue(tuple(bands), matches)
        return found

    def forget(self, index: int) -> None:
        """Remove what goes with an interface."""
        self.foreign.discard(index)
        self._bands.pop(index, None)
        self._matches.pop(index, None)

    def forget_marks(self, index: int) -> None:
        """Remove the classifiers on a filter interface, whose ``clsact`` is removed."""
        if index not in self._bands:
            self._matches.pop(index, None)

    def set_queue(self, index: int) -> None:
        """Replace the queue of an interface by another one, as somebody does with ``tc``."""
        self.forget(index)
        self.foreign.add(index)

    def remove_queue(self, index: int) -> None:
        """Remove the queue of an interface, as ``tc qdisc del dev NAME root`` does."""
        self.forget(index)

    def batches(
        self, step: SetFaults, host: Mapping[str, Link], marked: bool
    ) -> Iterator[tuple[bool, list[Message]]]:
        """Yield the batches that ``kernel.fault_queues`` makes of a step.

        With each comes whether the step ends with an error of it.

        Args:
            step: the step.
            host: the links of the host, by name.
            marked: the filter interface has classifiers, so that more can be added.
        """
        parent = step.marker or step.index
        if step.queue is None:
            if step.marker:
                yield False, [partial(self._remove_matches, parent)]
            yield True, [partial(self._remove_own, step.index)]
            return
        if step.former is None:
            yield True, [partial(self._make, step.index, host)]
        yield False, [partial(self._remove_matches, parent)]
        kept = {} if step.former is None else dict(step.former.bands)
        wanted = dict(step.queue.bands)
        gone = [slot for slot in kept if slot not in wanted]
        yield False, [partial(self._remove_band, step.index, slot) for slot in gone]
        yield (
            True,
            [
                partial(self._set_band, step.index, slot, band)
                for slot, band in step.queue.bands
                if slot not in kept or kept[slot] != band
            ],
        )
        for match in step.queue.matches[::-1] if step.marker else step.queue.matches:
            yield True, [partial(self._add, step, match, host, marked)]

    def _lacks(self, *modules: str) -> bool:
        missing = next((name for name in modules if name not in self._modules), "")
        self.words = self.words or missing
        return bool(missing)

    def _is_mixed(self, index: int, slot: int, band: Netem | None) -> bool:
        """Whether a band would make a ``netem`` that duplicates stand beside another one."""
        if self.mixes_duplicates or band is None:
            return False
        others = [other for at, other in self._bands[index].items() if at != slot]
        return any(band.duplicate or other.duplicate for other in others if other is not None)

    def _make(self, index: int, host: Mapping[str, Link]) -> int:
        if index not in {link.index for link in host.values()}:
            return errno.ENODEV
        if self._lacks("sch_prio"):
            return errno.ENOENT
        if index in self._bands or index in self.foreign:
            return errno.EEXIST
        self._bands[index], self._matches[index] = {}, []
        return 0

    def _remove_own(self, index: int) -> int:
        if index in self._bands:
            self.forget(index)
            return 0
        return errno.EINVAL if index in self._links else errno.ENODEV  # not its handle

    def _remove_band(self, index: int, slot: int) -> int:
        if index not in self._bands:
            return errno.ENOENT
        if slot not in self._bands[index]:
            return errno.ENOENT
        del self._bands[index][slot]
        return 0

    def _set_band(self, index: int, slot: int, band: Netem | None) -> int:
        if index not in self._bands or not 0 <= slot <= MAX_FAULTS:
            return errno.ENODEV if index not in self._links else errno.ENOENT
        if self._lacks("sch_fifo" if band is None else "sch_netem"):
            return errno.ENOENT
        if self._is_mixed(index, slot, band):
            self.words = self.words or _CANNOT_MIX
            return errno.EINVAL
        self._bands[index][slot] = band
        return 0

    def _remove_matches(self, parent: int) -> int:
        removed = bool(self._matches.get(parent))
        if removed:
            self._matches[parent] = []
        return 0 if removed else errno.ENOENT

    def _add(
        self, step: SetFaults, match: FaultMatch, host: Mapping[str, Link], marked: bool
    ) -> int:
        parent = step.marker or step.index
        if step.marker and parent not in self._links:
            return errno.ENODEV
        if step.marker and not marked:
            return errno.EINVAL
        modules = ["cls_u32", *(["act_gact"] if match.one_in else [])]
        if step.marker:
            modules = ["cls_u32", "act_skbedit"]
        if self._lacks(*(("cls_basic", "em_meta") if match.local else modules)):
            return errno.ENOENT
        if match.source and match.source not in host:
            return errno.EINVAL
        known = self._matches.setdefault(parent, [])
        # The last mark counts, so that they are added in reverse order.
        source = host[match.source].index if match.source else 0
        known.insert(0 if step.marker else len(known), (match, source))
        return 0
