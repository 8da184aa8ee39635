"""Runs passes of a reconciler without an engine, and the changes that calls would make."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from evercan.errors import RequestError
from evercan.intent.changes import Change, CreateNetwork, NoChange
from evercan.intent.endpoint_changes import Join
from evercan.kernel.port import Kernel
from evercan.options.network import NetworkOptions
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.outcome import Outcome
from evercan.reconcile.queue import PassQueue
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from evercan.tracking.repair_limits import INTERVAL, RepairLimits


def creating(
    network: str = "net", bus: str = "vcan0", options: NetworkOptions | None = None
) -> CreateNetwork:
    """Create a network on a bus, or with other options."""
    return CreateNetwork(network, options or NetworkOptions(bus=bus))


def joining(endpoint: str, network: str = "net") -> Join:
    """Create an endpoint and join it."""
    return Join(network, endpoint)


def run_pass(reconciler: Reconciler, *changes: Change) -> list[Outcome]:
    """Run one pass; raise its error if it failed. Rejected changes have theirs in the outcomes."""
    outcomes = reconciler.run(changes or [NoChange()])
    for outcome in outcomes:
        if outcome.error is not None and not isinstance(outcome.error, RequestError):
            raise outcome.error
    return outcomes


def unlimited() -> RepairLimits:
    """Limits whose clock is so fast that every repair is allowed at once."""
    ticks = count()
    return RepairLimits(clock=lambda: next(ticks) * INTERVAL)


def queue_of(kernel: Kernel, folder: Path, *, limits: RepairLimits | None = None) -> PassQueue:
    """Compose the queue of a plugin whose state is in a folder; repairs are not limited."""
    reconciler = Reconciler(
        kernel, StateFile(folder), limits=unlimited() if limits is None else limits
    )
    return PassQueue(reconciler, Inspector(kernel, reconciler))
