"""The faults that are set on a bus, as the commands show them; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evercan.cli.views import words

FAULT_KIND = "fault-injected"
"""The kind of the plugin's warnings about faults."""


@dataclass(frozen=True)
class FaultView:
    """A fault.

    Attributes:
        source: the name of the container, or of the interface of the host, that the frames
            come from; empty for all.
        target: the same of the member that they go to.
        ids: their CAN ids, in the form of the option; empty for all frames.
        effect: what happens to them, in a few words.
        ends_in: seconds until it ends; None if it is to be cleared.
        passed: frames that it has let pass.
        lost: frames that it has dropped.
    """

    source: str
    target: str
    ids: str
    effect: str
    ends_in: float | None = None
    passed: int = 0
    lost: int = 0

    @property
    def frames(self) -> str:
        """Which frames it is about."""
        text = "frames" if self.source or self.target or self.ids else "all frames"
        if self.source:
            text += f" from {self.source}"
        if self.target:
            text += f" to {self.target}"
        if self.ids:
            text += f" with id {self.ids}"
        return text

    @property
    def ends(self) -> str:
        """When it ends; empty if it is to be cleared."""
        return "" if self.ends_in is None else f"ends in {words.span(self.ends_in)}"

    @property
    def sentence(self) -> str:
        """All of it in a line, without what it has counted."""
        ends = f" ({self.ends})" if self.ends else ""
        return f"a fault is set: {self.frames}: {self.effect}{ends}"


def parse_faults(
    documents: Sequence[Mapping[str, Any]], containers: Mapping[str, str]
) -> tuple[FaultView, ...]:
    """Read the faults of a network's document.

    Args:
        documents: what the plugin reports.
        containers: the names of containers, by endpoint id.
    """

    def name(member: str | None) -> str:
        return containers.get(member or "", (member or "")[:15])

    return tuple(
        FaultView(
            source=name(document["source"]),
            target=name(document["target"]),
            ids=document["ids"] or "",
            effect=document["effect"],
            ends_in=document["ends_in"],
            passed=document["passed"],
            lost=document["lost"],
        )
        for document in documents
    )
