"""Serves ``POST /fault-set`` and ``POST /fault-clear``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evercan.errors import CannotServe, RequestError, shown
from evercan.intent.faults import ClearFaults, SetFault
from evercan.libnetwork.requests import engine_id
from evercan.libnetwork.transaction import Transactions, raise_error
from evercan.model.declared import Declared
from evercan.model.problems import ProblemKind
from evercan.model.state import State
from evercan.options.fault import (
    CORRUPT,
    DELAY,
    DUPLICATE,
    FOR,
    FROM,
    IDS,
    JITTER,
    LOSS,
    TO,
    read_duration,
    read_effect,
    read_fault_ids,
)
from evercan.planning.faults import host_members
from evercan.reconcile.queue import PassQueue

_FIELDS = {
    option: option.removeprefix("--").title()
    for option in (FROM, TO, IDS, LOSS, DELAY, JITTER, DUPLICATE, CORRUPT, FOR)
}
"""The field of a request for each option of the command."""


def parse_set(fields: Mapping[str, Any]) -> SetFault:
    """Read ``POST /fault-set``.

    Raises:
        RequestError: a field is wrong; the error names the option of the command.
    """
    given = _given(fields)
    return SetFault(
        network=engine_id(fields, "NetworkID"),
        source=given.get(FROM, ""),
        target=given.get(TO, ""),
        ids=read_fault_ids(given.get(IDS, "")),
        effect=read_effect(given),
        seconds=read_duration(given.get(FOR)),
    )


def parse_clear(fields: Mapping[str, Any]) -> ClearFaults:
    """Read ``POST /fault-clear``; without a field it clears all faults."""
    given = _given(fields)
    network = None if fields.get("NetworkID") is None else engine_id(fields, "NetworkID")
    ids = None if IDS not in given else read_fault_ids(given[IDS])
    return ClearFaults(network, given.get(FROM), given.get(TO), ids)


def _given(fields: Mapping[str, Any]) -> dict[str, str]:
    given = {}
    for option, field in _FIELDS.items():
        value = fields.get(field)
        if value is not None and not isinstance(value, str):
            raise RequestError(
                f"field {field}={shown(value)} is not a text", f"give what {option} takes"
            )
        if value is not None:
            given[option] = value
    return given


async def set_fault(transactions: Transactions, change: SetFault) -> Mapping[str, Any]:
    """Set a fault; return it as the answer of the call.

    Raises:
        RequestError: the request does not fit the bus; nothing has changed.
        CannotServe: the kernel rejected it; nothing was left behind.
    """
    async with transactions.commit(change) as outcome:
        state = outcome.state
        network = state.declared.networks.get(change.network)
        if network is None:
            raise RequestError(
                f"network {change.network} was deleted meanwhile", "name another network"
            )
        for problem in state.problems:
            if problem.bus == network.bus and problem.kind is ProblemKind.FAULTS_BLOCKED:
                raise CannotServe(problem.text, problem.remedy)
    return {"Bus": network.bus, "Notes": list(_notes(state, network.bus, change))}


def _notes(state: State, bus: str, change: SetFault) -> Iterator[str]:
    """Say for which members of the bus the fault does not do all that is asked for."""
    if change.target or change.effect.only_loses:
        return
    for name in host_members(state.declared, bus):
        link = state.observed.find(name)
        if link is not None and link.delivers_before_queue and name != change.source:
            does = "lose these frames, and get the others unchanged" if change.effect.loss else ""
            yield (
                f"programs on the host at {name} {does or 'get these frames unchanged'}: "
                f"{link.name} is a vcan, which delivers frames before they can be delayed"
            )


async def clear_faults(queue: PassQueue, change: ClearFaults) -> Mapping[str, Any]:
    """Clear faults; return how many as the answer of the call.

    Raises:
        UnknownNetwork: the network is not known.
        EvercanError: the pass failed.
    """
    outcome = await queue.run(change)
    raise_error(outcome)
    before = Declared() if outcome.before is None else outcome.before
    return {"Cleared": len(change.cleared(before)) if before.networks else 0}
