"""Describes the faults that are set, for ``/status`` and the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evercan.model.fault import WHOLE, FaultCount
from evercan.model.state import State
from evercan.planning.faults import fault_receivers, faults_of


def describe_faults(state: State, bus: str) -> Iterator[Mapping[str, Any]]:
    """Describe the faults on a bus; parts in percent, times in milliseconds."""
    if not state.declared.faults:
        return
    counts = count_faults(state, bus)
    for fault in faults_of(state.declared, bus):
        effect, counted = fault.effect, counts.get(fault.slot, FaultCount())
        yield {
            "source": fault.source or None,
            "target": fault.target or None,
            "ids": fault.ids or None,
            "loss": _percent(effect.loss),
            "delay": effect.delay / 1000,
            "jitter": effect.jitter / 1000,
            "duplicate": _percent(effect.duplicate),
            "corrupt": _percent(effect.corrupt),
            "effect": effect.words(),
            "ends_in": None if fault.until is None else max(0.0, fault.until - state.observed.at),
            "passed": counted.passed,
            "lost": counted.lost,
        }


def count_faults(state: State, bus: str) -> Mapping[int, FaultCount]:
    """Add up what the queues of a bus have counted, by the slot of the fault."""
    totals: dict[int, FaultCount] = {}
    for receiver in fault_receivers(state.declared, state.observed, bus):
        queue = state.observed.fault_queues.get(receiver.link.index)
        for slot, count in queue.counts.items() if queue is not None else ():
            known = totals.get(slot, FaultCount())
            totals[slot] = FaultCount(known.passed + count.passed, known.lost + count.lost)
    return totals


def _percent(part: int) -> float:
    return part / WHOLE * 100
