"""The figures of containers that start and stop, from what was measured on a host; pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.figures import Figure

PROCESSES = "one process per change"
_HOUR = 3600
_START_BUDGETS = {30: 1 / 80, 100: 1 / 150}


def starts_and_stops(
    measured: dict[str, Any], by_process: dict[str, Any], at: Sequence[int]
) -> list[Figure]:
    """Return how long a container takes to start and to stop, by its number on the bus.

    Args:
        measured: the result of the task ``joins`` or ``large_bus``.
        by_process: the result of the task ``joins_by_process``.
        at: the numbers of members to compare with it.
    """
    figures = []
    for n in at:
        reference = by_process[str(n)]
        figures += [
            Figure(
                group=group, name=f"container {group} as member {n}", unit="ms",
                samples=around(measured[field], n), against=PROCESSES,
                reference=[reference["seconds"] * 1e3],
                budget=_START_BUDGETS.get(n) if group == "start" else None,
                note=f"{reference['rules']} rules",
            )
            for group, field in (("start", "joined"), ("stop", "left"))
        ]  # fmt: skip
    return figures


def against_second(joined: dict[str, Any]) -> list[Figure]:
    """Return what the last member of the task ``joins`` takes, compared with the second."""
    last = len(joined["joined"])
    return [
        Figure(
            group=f"{group} growth", name=f"container {group} as member {last}", unit="ms",
            samples=around(joined[field], last), against="as member 2",
            reference=around(joined[field], 2), budget=budget,
        )
        for group, field, budget in (("start", "joined", 4.0), ("stop", "left", 2.0))
    ]  # fmt: skip


def around(seconds: Sequence[float], n: int) -> list[float]:
    """Return the milliseconds of the five members around a number."""
    return [one * 1e3 for one in seconds[max(n - 3, 0) : n + 2]]


def restore(measured: dict[str, Any], last: dict[str, float], budget: float | None) -> Figure:
    """Return how long a start takes that has everything to restore.

    Args:
        measured: the result of the task ``joins`` or ``large_bus``.
        last: seconds of a process for a link and for a rule, of the largest bus.
        budget: the highest ratio allowed.
    """
    members = len(measured["joined"])
    return Figure(
        group="restore", name=f"restore {members} members at start", unit="s",
        samples=[measured["restored"]], against=f"{PROCESSES}, calculated",
        reference=[members * last["link"] + measured["rules"] * last["rule"]], budget=budget,
        note=f"{measured['rules']:,} rules",
    )  # fmt: skip


def idle(joined: dict[str, Any]) -> list[Figure]:
    """Return the figures of the idle daemon, and of calls during passes, of the task ``joins``."""
    members = len(joined["joined"])
    name = f"idle, {members} members"
    latencies = joined["latencies"]
    figures = [
        Figure(
            group="turn", name=f"engine call during passes with {members} members", unit="ms",
            samples=[seconds * 1e3 for seconds in latencies["busy"]], against="at rest",
            reference=[statistics.median(latencies["rest"]) * 1e3],
        )
    ]  # fmt: skip
    for words, budget in (("", 5.0), (" without probe", None)):
        found = joined[f"idle{words}"]
        figures += [
            Figure(
                group="idle", name=f"{name}{words}: CPU time per hour", unit="s",
                samples=[found["seconds"] * _HOUR], budget=budget,
            ),
            Figure(
                group="idle", name=f"{name}{words}: wake-ups per minute", unit="wake-ups",
                samples=[found["wakeups"] * 60], note="all threads",
            ),
        ]  # fmt: skip
    return [
        *figures,
        Figure(
            group="memory", name=f"resident memory, {name}, after a restart", unit="MB",
            samples=[joined["idle"]["memory"] / 1024],
        ),
    ]  # fmt: skip


def large_bus(measured: dict[str, Any]) -> list[Figure]:
    """Return the memory of the task ``large_bus``, and whether its bus works."""
    alone = measured["memory"].pop("1")
    members = len(measured["joined"])
    figures = [
        Figure(
            group="memory", name=f"memory per member, {size} members", unit="kB",
            samples=[(kb - alone) / (int(size) - 1)], budget=8.0,
        )
        for size, kb in measured["memory"].items()
    ]  # fmt: skip
    wrong = members - 1 - measured["received"]
    wrong_rules = abs(2 * members * (members + 1) - measured["rules"])
    return [
        *figures,
        Figure(
            group="large", name=f"members that did not receive a frame once, {members} members",
            unit="members", samples=[wrong], budget=0.0,
        ),
        Figure(
            group="large", name=f"rules missing or surplus after a restore, {members} members",
            unit="rules", samples=[wrong_rules], budget=0.0,
        ),
    ]  # fmt: skip


def among_foreign(seconds: dict[str, list[float]], words: str) -> list[Figure]:
    """Return the figures of the task ``among_foreign``."""
    return [
        Figure(
            group="foreign", name=f"container {verb} on a host with {words} of others", unit="ms",
            samples=[one * 1e3 for one in seconds[f"{verb} among foreign"]], against="without them",
            reference=[one * 1e3 for one in seconds[verb]], budget=1.2 if verb == "start" else None,
        )
        for verb in ("start", "stop")
    ]  # fmt: skip


def at_once(seconds: dict[str, list[float]], members: int) -> Figure:
    """Return the figure of the task ``at_once``."""
    return Figure(
        group="start", name=f"{members} containers started at once", unit="ms",
        samples=[one * 1e3 for one in seconds["together"]],
        against=f"{members} times one alone as member 2",
        reference=[members * one * 1e3 for one in seconds["alone"]], budget=1 / 4,
    )  # fmt: skip


def flushes(seconds: list[float], members: int) -> Figure:
    """Return the figure of the task ``flushes``."""
    return Figure(
        group="repair", name=f"rules flushed until all are added again, worst of {len(seconds)}, "
        f"{members} members", unit="s", samples=[max(seconds)], budget=2.0,
        note=f"median {statistics.median(seconds):.2f} s",
    )  # fmt: skip
