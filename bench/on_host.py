"""Measures on a testbed's host: sends ``on_kernel`` there and reads its results."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figures import Figure
from lab.testbed import Testbed, choose
from tools import install, plugin

HERE = Path(__file__).parent
_ROOT = "ls -d /var/lib/docker/plugins/*/rootfs | head -n 1"
_HOUR = 3600.0
_CHECKS_AN_HOUR = 120
"""With the plugin's default interval."""
WIRE = 8000
"""About how many frames of 8 bytes per second a classic bus carries at 1 Mbit/s."""


def _run(testbed: Testbed, root: str, tasks: list[dict[str, Any]]) -> list[Any]:
    """Run tasks of ``on_kernel`` on the host, in namespaces of their own."""
    done = testbed.host(
        "unshare", "--net", "--mount", "python3", "-", root, json.dumps(tasks),
        stdin=(HERE / "on_kernel.py").read_bytes(), timeout=_HOUR,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(quick: bool) -> list[Figure]:
    """Install the plugin on a testbed and measure members and frames there."""
    with choose() as testbed:
        plugin.build_for(testbed.docker_host)
        install.install(testbed.docker_host)
        testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
        root = testbed.host("sh", "-c", _ROOT).stdout.decode().strip()
        name = testbed.name
        members = 4 if quick else 100
        at = [2, 4] if quick else [2, 10, 30, 100]
        sizes = [2, 5] if quick else [2, 5, 10, 20, 35, 50]
        joined, by_process, flooded, lost = _run(
            testbed,
            root,
            [
                {"task": "joins", "members": members},
                {"task": "joins_by_process", "at": at, "sample": 20 if quick else 120},
                {
                    "task": "frames",
                    "sizes": sizes,
                    "count": 50 if quick else 300,
                    "times": 1 if quick else 5,
                },
                {
                    "task": "losses",
                    "sizes": [2] if quick else [2, 10, 30],
                    "rates": [500] if quick else [500, 1000, 2000, 4000, WIRE],
                },
            ],
        )
    figures = [*_members(joined, by_process), *_frames(flooded), *_losses(lost)]
    return [replace(figure, where=name) for figure in figures]


def _members(joined: dict[str, Any], by_process: dict[str, Any]) -> list[Figure]:
    """Return the figures of ``on_kernel.joins`` and ``on_kernel.joins_by_process``."""
    budgets = {30: 1 / 50}
    figures = []
    for number, reference in by_process.items():
        n = int(number)
        near = joined["joined"][max(n - 3, 0) : n + 2]
        figures.append(
            Figure(
                group="join", name=f"join as member {n}", unit="ms",
                samples=[seconds * 1e3 for seconds in near], against="one process per change",
                reference=[reference["seconds"] * 1e3], budget=budgets.get(n),
                note=f"{reference['rules']} rules",
            )
        )  # fmt: skip
        figures.append(
            Figure(
                group="join", name=f"leave as member {n}", unit="ms",
                samples=[seconds * 1e3 for seconds in joined["left"][max(n - 3, 0) : n + 2]],
                against="one process per change", reference=[reference["seconds"] * 1e3],
            )
        )  # fmt: skip
    members = len(joined["joined"])
    last = by_process[max(by_process, key=int)]
    total = members * last["link"] + joined["rules"] * last["rule"]
    restored = joined["restored"]
    figures.append(
        Figure(
            group="join", name=f"restore {members} members at start", unit="s",
            samples=[restored], against="one process per change, calculated", reference=[total],
            budget=1 / 100,
        )
    )  # fmt: skip
    memory = joined["memory"]
    growth = (memory[-1] - memory[0]) / max(members - 1, 1)
    figures.append(
        Figure(group="memory", name=f"memory per member, {members} members", unit="kB",
               samples=[growth], budget=2.0)
    )  # fmt: skip
    latencies = joined["latencies"]
    figures.append(
        Figure(group="turn", name=f"engine call during passes with {members} members",
               unit="ms", samples=[seconds * 1e3 for seconds in latencies["busy"]],
               against="at rest", reference=[statistics.median(latencies["rest"]) * 1e3])
    )  # fmt: skip
    idle = joined["idle"]
    figures += [
        Figure(
            group="idle", name=f"idle, {members} members: CPU time per hour", unit="s",
            samples=[idle["seconds"] * _CHECKS_AN_HOUR], note="one health check every 30 s",
        ),
        Figure(
            group="idle", name=f"idle, {members} members: wake-ups per health check",
            unit="wake-ups", samples=[idle["wakeups"]], note="all threads",
        ),
        Figure(
            group="memory", name=f"resident memory, idle, {members} members, after a restart",
            unit="MB", samples=[idle["memory"] / 1024],
        ),
    ]  # fmt: skip
    return figures


def _frames(flooded: dict[str, dict[str, list[dict[str, float]]]]) -> list[Figure]:
    """Return the figures of ``on_kernel.frames``."""
    figures = []
    for size, floods in flooded.items():
        own, other = floods["own"], floods["other"]
        for what, field, unit, scale in (
            ("rule evaluations", "evaluations", "rules", 1.0),
            ("time", "seconds", "us", 1e6),
        ):
            figures.append(
                Figure(
                    group="frames", name=f"{what} per frame, {size} members", unit=unit,
                    samples=[flood[field] * scale for flood in own],
                    against="rule flags of older plugins",
                    reference=[flood[field] * scale for flood in other], budget=1.0,
                    note=f"deliveries: {min(flood['delivered'] for flood in own):.2f}",
                )
            )  # fmt: skip
    return figures


def _losses(lost: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Return the figures of ``on_kernel.losses``."""
    figures = []
    for size, (unread, flood, *paced) in lost.items():
        flooded = f"a burst at {flood['reached']:,.0f} frames/s"
        complete = [run for run in paced if run["received"] == run["sent"]]
        at = f"{size} members"
        figures += [
            Figure(
                group="frames", name=f"unread frames that a socket holds, {at}", unit="frames",
                samples=[unread["received"]], note=_where(unread),
            ),
            Figure(
                group="frames", name=f"received of {flooded}, {at}", unit="%",
                samples=[100 * flood["received"] / flood["sent"]],
                note=_where(flood),
            ),
            Figure(
                group="frames", name=f"highest tested rate without loss, {at}",
                unit="frames/s", samples=[max((run["reached"] for run in complete), default=0.0)],
                note="; ".join(
                    f"{run['requested']:,.0f} requested, {run['reached']:,.0f} sent: {_where(run)}"
                    for run in paced
                ),
            ),
        ]  # fmt: skip
    return figures


def _where(run: dict[str, float]) -> str:
    """Describe where frames were lost."""
    missing = run["sent"] - run["received"]
    if not missing:
        return "none lost"
    return (
        f"{missing:,.0f} of {run['sent']:,.0f} lost, {run['socket']:,.0f} of them in the "
        f"receiving socket, {run['backlog']:,.0f} packets in the host's backlog"
    )
