"""How users set and clear faults, as changes of the declared state."""

from __future__ import annotations

from evercan.errors import OptionError, RequestError, UnknownNetwork
from evercan.model.declared import Declared
from evercan.model.fault import MAX_FAULTS, Effect, Fault
from evercan.model.observed import Observed
from evercan.options.fault import CORRUPT, DELAY, DUPLICATE, FROM, TO
from evercan.planning.faults import fault_members, faults_of
from evercan.values import NamedTuple, replace


class SetFault(NamedTuple):
    """Sets a fault on the bus of a network; it replaces one about the same frames.

    Attributes:
        network: the network's id.
        source: the member that the frames come from, as of ``Fault``.
        target: the member that they go to, as of ``Fault``.
        ids: their CAN ids, checked.
        effect: what happens to them, checked.
        seconds: how long; None until it is cleared.
    """

    network: str
    source: str
    target: str
    ids: str
    effect: Effect
    seconds: float | None = None

    def apply(self, declared: Declared, observed: Observed) -> Declared:
        """Add the fault.

        Raises:
            UnknownNetwork: the network is not known.
            OptionError: a member is not known, or cannot have such a fault.
            RequestError: the bus has too many faults.
        """
        network = declared.networks.get(self.network)
        if network is None:
            raise UnknownNetwork(self.network)
        self._require_members(declared, observed, network.bus)
        on_bus = faults_of(declared, network.bus)
        same = next(filter(self._is_about_same, on_bus), None)
        free = set(range(1, MAX_FAULTS + 1)).difference(fault.slot for fault in on_bus)
        if same is None and not free:
            raise RequestError(
                f"the bus {network.bus} has {len(on_bus)} faults, and can have {MAX_FAULTS}",
                "clear some with 'evercan fault clear'",
            )
        fault = Fault(
            network=self.network,
            slot=min(free) if same is None else same.slot,
            source=self.source,
            target=self.target,
            ids=self.ids,
            effect=self.effect,
            until=None if self.seconds is None else observed.at + self.seconds,
        )
        others = tuple(other for other in declared.faults if other is not same)
        return replace(declared, faults=(*others, fault))

    def undo(self, before: Declared, declared: Declared) -> Declared:
        """Restore the faults about the same frames as they were before."""
        network = declared.networks.get(self.network)
        if network is None:
            return declared

        def same(intent: Declared) -> list[Fault]:
            if self.network not in intent.networks:
                return []
            return list(filter(self._is_about_same, faults_of(intent, network.bus)))

        added = same(declared)
        others = tuple(fault for fault in declared.faults if fault not in added)
        return replace(declared, faults=(*others, *same(before)))

    def _is_about_same(self, fault: Fault) -> bool:
        return fault.frames == (self.source, self.target, self.ids)

    def _require_members(self, declared: Declared, observed: Observed, bus: str) -> None:
        members = fault_members(declared, bus)
        for option, name in ((FROM, self.source), (TO, self.target)):
            if name and name not in members:
                known = ", ".join(member[:15] for member in members)
                raise OptionError(
                    option, name, f"is no member of the bus {bus}", f"members: {known}"
                )
        if self.source and self.source == self.target:
            raise OptionError(
                TO,
                self.target,
                f"is also the member that {FROM} names, and a frame does not return to its sender",
                "name two members, or leave one of the options out",
            )
        link = observed.find(self.target) if self.target not in declared.endpoints else None
        if link is not None and link.delivers_before_queue and not self.effect.only_loses:
            effect = self.effect
            option = DELAY if effect.delay else DUPLICATE if effect.duplicate else CORRUPT
            raise OptionError(
                TO,
                self.target,
                f"{link.name} is a vcan, which delivers frames to programs on the host before "
                f"they can be delayed, duplicated or corrupted",
                f"leave {option} out, since a loss is possible; or run the program in a container",
            )


class ClearFaults(NamedTuple):
    """Clears the faults on the bus of a network.

    Attributes:
        network: the network's id; None for all networks.
        source: only those with this source; None for all.
        target: only those with this target; None for all.
        ids: only those with these ids; None for all.
    """

    network: str | None = None
    source: str | None = None
    target: str | None = None
    ids: str | None = None

    def apply(self, declared: Declared, _: Observed) -> Declared:
        """Remove the faults.

        Raises:
            UnknownNetwork: the network is not known.
        """
        cleared = self.cleared(declared)
        return replace(
            declared, faults=tuple(fault for fault in declared.faults if fault not in cleared)
        )

    def cleared(self, declared: Declared) -> tuple[Fault, ...]:
        """Return the faults that it removes; errors as of ``apply``."""
        network = declared.networks.get(self.network or "")
        if self.network is not None and network is None:
            raise UnknownNetwork(self.network)
        faults = declared.faults if network is None else faults_of(declared, network.bus)
        wanted = (self.source, self.target, self.ids)
        return tuple(
            fault
            for fault in faults
            if all(
                asked is None or asked == has
                for asked, has in zip(wanted, fault.frames, strict=True)
            )
        )

    def undo(self, _: Declared, declared: Declared) -> Declared:
        """Leave them cleared."""
        return declared
