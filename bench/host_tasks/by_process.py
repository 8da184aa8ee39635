"""The reference: one process for every interface and every rule."""

from __future__ import annotations

import time
from pathlib import Path

from bench.host_tasks.mesh import HOST_END
from bench.host_tasks.processes import BUS, run, wipe

FD_RULE = ("-X",)


def joins_by_process(root: Path, at: list[int], sample: int = 120) -> dict[str, dict[str, float]]:
    """Add the links and rules of a bus's n-th member with one process per command.

    Args:
        root: Not used: the host's own programs run.
        at: The numbers of members to measure at, ascending.
        sample: How many rules are added and timed at most; the others are extrapolated.

    Returns:
        By number of members, the seconds for the last one.
    """
    del root
    wipe()
    run("ip", "link", "add", BUS, "type", "vcan")
    run("ip", "link", "set", BUS, "up")
    results: dict[str, dict[str, float]] = {}
    existing = 0
    for number in at:
        while existing < number - 1:
            existing += 1
            add_pair(existing)
        started = time.perf_counter()
        existing += 1
        add_pair(existing)
        links = time.perf_counter() - started
        ends = [BUS, *(HOST_END.format(member) for member in range(1, existing))]
        own = HOST_END.format(existing)
        rules = [
            ("cangw", "-A", "-s", source, "-d", target, "-e", *kind)
            for other in ends
            for source, target in ((own, other), (other, own))
            for kind in ((), FD_RULE)
        ]
        started = time.perf_counter()
        for rule in rules[:sample]:
            run(*rule)
        per_rule = (time.perf_counter() - started) / len(rules[:sample])
        results[str(number)] = {
            "seconds": links + per_rule * len(rules), "rules": len(rules), "link": links,
            "rule": per_rule,
        }  # fmt: skip
    wipe()
    return results


def add_pair(number: int) -> None:
    """Add a pair and bring both ends up."""
    one, other = HOST_END.format(number), f"c{number}"
    run("ip", "link", "add", one, "type", "vxcan", "peer", "name", other)
    run("ip", "link", "set", one, "up")
    run("ip", "link", "set", other, "up")
