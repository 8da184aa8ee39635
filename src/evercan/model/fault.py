"""Faults that a user sets on a bus, and the queues on interfaces that make them.

A fault is about the frames from one member to another, or from or to all of them. The frames
that it is about wait in a queue of their own on the interface that leads to the receiver
(``planning.faults``), where the kernel loses, delays, duplicates or corrupts them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from evercan.values import NamedTuple, dataclass, field, fields_of

MAX_FAULTS = 15
"""Faults on one bus: a queue has 16 bands (``TCQ_PRIO_BANDS``), and one is without a fault."""

WHOLE = 1_000_000
"""A probability of 1, in the unit of ``Effect``."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to the frames of a fault.

    Attributes:
        loss: the part of them that is lost, in millionths.
        duplicate: the part that arrives two times, in millionths.
        corrupt: the part in which one bit is inverted, in millionths.
        delay: how long they wait, in microseconds.
        jitter: by how much the delay varies in both directions, in microseconds.
    """

    loss: int = 0
    duplicate: int = 0
    corrupt: int = 0
    delay: int = 0
    jitter: int = 0

    @property
    def only_loses(self) -> bool:
        """Whether frames are lost or arrive as they are."""
        return not (self.duplicate or self.corrupt or self.delay)

    def words(self) -> str:
        """Write it as a person reads it."""
        parts = [
            f"{name} {value / WHOLE * 100:g}%"
            for name, value in fields_of(self).items()
            if value and name not in ("delay", "jitter")
        ]
        if self.delay:
            jitter = f" ± {self.jitter / 1000:g} ms" if self.jitter else ""
            parts.insert(1 if self.loss else 0, f"delay {self.delay / 1000:g} ms{jitter}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault on the bus of a network.

    Attributes:
        network: the engine's id of the network for which it was set.
        slot: its number among the faults of the bus, from 1 to ``MAX_FAULTS``.
        source: which member the frames come from: an endpoint id, or the name of an interface
            of the host; empty for all.
        target: which member they go to; empty for all.
        ids: the list of their CAN ids, as of ``model.access``; empty for all frames.
        effect: what happens to them.
        until: when it ends, in seconds of the monotonic clock; None if it does not end.
    """

    network: str
    slot: int
    source: str = ""
    target: str = ""
    ids: str = ""
    effect: Effect = field(default_factory=Effect)
    until: float | None = None

    @property
    def frames(self) -> tuple[str, str, str]:
        """Which frames it is about; a second fault about the same ones replaces it."""
        return self.source, self.target, self.ids

    def words(self, endpoints: Container[str]) -> str:
        """Write it as a person reads it.

        Args:
            endpoints: the ids of the endpoints; whatever else it names is an interface.
        """

        def name(member: str) -> str:
            return f"endpoint {member[:12]}" if member in endpoints else member

        about = "frames" if any(self.frames) else "all frames"
        if self.source:
            about += f" from {name(self.source)}"
        if self.target:
            about += f" to {name(self.target)}"
        if self.ids:
            about += f" with id {self.ids}"
        return f"{about}: {self.effect.words()}"


class Netem(NamedTuple):
    """The parameters of a ``netem`` qdisc.

    Attributes:
        loss: probability, of 2^32 - 1.
        duplicate: the same.
        corrupt: the same.
        delay: nanoseconds.
        jitter: nanoseconds.
        limit: frames that may wait.
    """

    loss: int = 0
    duplicate: int = 0
    corrupt: int = 0
    delay: int = 0
    jitter: int = 0
    limit: int = 1000


class FaultMatch(NamedTuple):
    """A classifier that puts frames into the band of a fault.

    Attributes:
        slot: the fault's; 0 for the band without a fault.
        source: the name of the interface from which rules forward the frames; empty for all.
        can_id: ``canid_t`` in the bits of ``mask``.
        mask: the bits that are compared.
        one_in: put only one frame of so many, at random, into the band; the others go on to
            the next classifier. 0 for all frames.
        local: only frames that programs of the host send on the interface itself.
    """

    slot: int
    source: str = ""
    can_id: int = 0
    mask: int = 0
    one_in: int = 0
    local: bool = False


class FaultCount(NamedTuple):
    """What one band has counted.

    Attributes:
        passed: frames that have left it.
        lost: frames that were dropped in it.
    """

    passed: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class FaultQueue:
    """The queue of an interface that has faults: a ``prio`` qdisc with a band for each fault.

    Attributes:
        bands: the bands by the fault's slot: what is done to frames in it. None drops each frame
            and lets the sender know, so that the kernel does not deliver it to programs on the
            interface either.
        matches: the classifiers; the first that matches decides.
        counts: what the bands have counted, by slot.
    """

    bands: tuple[tuple[int, Netem | None], ...] = ()
    matches: tuple[FaultMatch, ...] = ()
    counts: Mapping[int, FaultCount] = field(default_factory=dict, compare=False)
