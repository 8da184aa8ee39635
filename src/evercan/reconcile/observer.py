"""Observes the kernel, and keeps what one observation teaches for the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from evercan.kernel.port import Checkpoint, Kernel, go_on
from evercan.model.declared import Declared
from evercan.model.observed import Observed, filtered_interfaces
from evercan.model.steps import RestartBus, Step
from evercan.tracking.bus_off import BusOff
from evercan.tracking.namespaces import Namespaces
from evercan.values import replace

Observe = Callable[[Declared], Observed]
"""Observes the kernel for a declared state.

Raises:
    KernelError: the observation failed.
"""


class Observer:
    """The one way to observe the kernel.

    It remembers where the container ends are, and since when controllers are bus-off.
    """

    def __init__(self, kernel: Kernel) -> None:
        """Start without knowing any namespace or controller."""
        self._kernel = kernel
        self._namespaces = Namespaces()
        self._bus_off = BusOff()

    @contextmanager
    def interruptible(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Let observations end with what a checkpoint raises."""
        self._kernel.checkpoint = checkpoint
        try:
            yield
        finally:
            self._kernel.checkpoint = go_on

    def restarted(self, steps: Iterable[Step]) -> None:
        """Note the controllers that steps have restarted: one may be bus-off again at once."""
        self._bus_off.forget(step.index for step in steps if isinstance(step, RestartBus))

    def observe(self, declared: Declared) -> Observed:
        """Observe links and rules; errors as of ``Observe``."""
        return self._with_locations(declared, self._kernel.observe)

    def observe_with_counts(self, declared: Declared) -> Observed:
        """Observe the rules' counters too; errors as of ``Observe``."""
        return self._with_locations(declared, self._kernel.observe_with_counts)

    def refresh(self, observed: Observed, names: Collection[str]) -> Observed:
        """Read some links again; everything else stays as it was observed.

        Args:
            observed: an earlier observation.
            names: the names of the links.

        Raises:
            KernelError: the kernel cannot be asked.
        """
        links = {name: link for name, link in observed.links.items() if name not in names}
        read = self._kernel.links_named(names)
        links |= {link.name: link for link in read}
        own = {link.name: link for link in read}
        filters = self._kernel.filters(filtered_interfaces(own))
        entries = self._kernel.wire_entries(read) if observed.wires else {}
        gone = {link.index for name, link in observed.links.items() if name in names}
        kept = {index: known for index, known in observed.filters.items() if index not in gone}
        passing = {
            index: entry for index, entry in observed.wire_entries.items() if index not in gone
        }
        return replace(
            observed,
            links=links,
            filters={**kept, **filters},
            wire_entries={**passing, **entries},
        )

    def _with_locations(self, declared: Declared, observe: Callable[[], Observed]) -> Observed:
        """Observe, and add what is known of the namespaces."""
        at = time.monotonic()
        observed, ended = self._with_ended(observe)
        if ended is None:
            # Namespaces may have ended after the dump, and their numbers may be others' by
            # now. A second dump is newer than whatever was lost.
            at = time.monotonic()
            observed, ended = self._with_ended(observe)
        self._namespaces = self._namespaces.learn(
            declared, observed, ended, self._kernel.name_inside
        )
        known = self._namespaces
        return replace(
            observed,
            locations=known.trusted,
            ended=known.ended,
            bus_off_since=self._bus_off.since(observed, at),
            at=at,
        )

    def _with_ended(
        self, observe: Callable[[], Observed]
    ) -> tuple[Observed, frozenset[int] | None]:
        """Observe, then ask which namespaces have ended, and forget what was known of these.

        Asked after the observation: a namespace that ended before or during it is not
        learned. The kernel announces an end only one time, so it is taken into account
        at once, even if the rest of the observation fails.
        """
        observed = observe()
        ended = self._kernel.ended_namespaces()
        self._namespaces = self._namespaces.without(ended)
        return observed, ended
