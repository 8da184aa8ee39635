"""What needs CAN in the kernel: sends ``field`` to a testbed's host and reads what comes back."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.native import start_figures
from lab.testbed import Testbed, choose
from tools import install, plugin

HERE = Path(__file__).parent
_ROOT = "ls -d /var/lib/docker/plugins/*/rootfs | head -n 1"
_HOUR = 3600.0
_CHECKS_AN_HOUR = 120
"""With the interval that the plugin has by default."""
WIRE = 8000
"""Frames of 8 bytes a second that a classic bus can carry at 1 Mbit/s, about."""


def _ask(testbed: Testbed, script: str, root: str, tasks: list[dict[str, Any]]) -> list[Any]:
    """Run a script in namespaces of its own on the host."""
    spaces = ("unshare", "--net", "--mount") if script == "field.py" else ("unshare", "--mount")
    done = testbed.host(
        *spaces, "python3", "-", root, json.dumps(tasks),
        stdin=(HERE / script).read_bytes(), timeout=_HOUR,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(quick: bool) -> list[Figure]:
    """Install the plugin on a testbed and measure members and frames there."""
    plugin.build()
    with choose() as testbed:
        install.install(testbed.docker_host)
        testbed.host("modprobe", "-a", "vcan", "vxcan", "can-gw")
        root = testbed.host("sh", "-c", _ROOT).stdout.decode().strip()
        name = testbed.name
        members = 4 if quick else 100
        at = [2, 4] if quick else [2, 10, 30, 100]
        sizes = [2, 5] if quick else [2, 5, 10, 20, 35, 50]
        lived, laid, flooded, lost = _ask(
            testbed,
            "field.py",
            root,
            [
                {"task": "joins", "members": members},
                {"task": "ancestors", "at": at, "sample": 20 if quick else 120},
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
    figures = [*_members(lived, laid), *_frames(flooded), *_losses(lost)]
    return [replace(each, where=name) for each in figures]


def _members(lived: dict[str, Any], laid: dict[str, Any]) -> list[Figure]:
    budgets = {30: 1 / 50}
    figures = []
    for number, reference in laid.items():
        n = int(number)
        near = lived["joined"][max(n - 3, 0) : n + 2]
        figures.append(
            Figure(
                group="join", name=f"join as member {n}", unit="ms",
                samples=[each * 1e3 for each in near], against="a process each",
                reference=[reference["seconds"] * 1e3], budget=budgets.get(n),
                note=f"{reference['rules']} rules",
            )
        )  # fmt: skip
        figures.append(
            Figure(
                group="join", name=f"leave as member {n}", unit="ms",
                samples=[each * 1e3 for each in lived["left"][max(n - 3, 0) : n + 2]],
                against="a process each", reference=[reference["seconds"] * 1e3],
            )
        )  # fmt: skip
    members = len(lived["joined"])
    last = laid[max(laid, key=int)]
    by_process = members * last["link"] + lived["rules"] * last["rule"]
    restored = lived["restored"]
    figures.append(
        Figure(
            group="join", name=f"{members} members restored at the start", unit="s",
            samples=[restored], against="a process each, reckoned", reference=[by_process],
            budget=1 / 100,
        )
    )  # fmt: skip
    memory = lived["memory"]
    growth = (memory[-1] - memory[0]) / max(members - 1, 1)
    figures.append(
        Figure(group="memory", name=f"growth a member, {members} members", unit="kB",
               samples=[growth], budget=2.0)
    )  # fmt: skip
    latencies = lived["latencies"]
    figures.append(
        Figure(group="turn", name=f"a call while turns of {members} members run",
               unit="ms", samples=[each * 1e3 for each in latencies["busy"]], against="at rest",
               reference=[statistics.median(latencies["rest"]) * 1e3])
    )  # fmt: skip
    idle = lived["idle"]
    figures += [
        Figure(
            group="idle", name=f"idle, {members} members: the processor's time an hour", unit="s",
            samples=[idle["seconds"] * _CHECKS_AN_HOUR], note="a health check each 30 s",
        ),
        Figure(
            group="idle", name=f"idle, {members} members: wake-ups a health check",
            unit="wake-ups", samples=[idle["wakeups"]], note="all threads",
        ),
        Figure(
            group="memory", name=f"resident, idle, {members} members, after a restart",
            unit="MB", samples=[idle["memory"] / 1024],
        ),
    ]  # fmt: skip
    return figures


def _frames(flooded: dict[str, dict[str, list[dict[str, float]]]]) -> list[Figure]:
    figures = []
    for size, by in flooded.items():
        ours, ancestors = by["ours"], by["ancestors"]
        for what, unit, scale in (("evaluations", "rules", 1.0), ("seconds", "us", 1e6)):
            figures.append(
                Figure(
                    group="frames", name=f"{what} a frame, {size} members", unit=unit,
                    samples=[each[what] * scale for each in ours],
                    against="the ancestors' flags",
                    reference=[each[what] * scale for each in ancestors], budget=1.0,
                    note=f"deliveries: {min(each['delivered'] for each in ours):.2f}",
                )
            )  # fmt: skip
    return figures


def _losses(lost: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Make lines of what ``field.losses`` returned."""
    figures = []
    for size, (unread, flood, *paced) in lost.items():
        flooded = f"a flood of {flood['reached']:,.0f} frames/s"
        whole = [each for each in paced if each["received"] == each["sent"]]
        at = f"{size} members"
        figures += [
            Figure(
                group="frames", name=f"frames that a socket holds unread, {at}", unit="frames",
                samples=[unread["received"]], note=_where(unread),
            ),
            Figure(
                group="frames", name=f"read at once, received of {flooded}, {at}", unit="%",
                samples=[100 * flood["received"] / flood["sent"]],
                note=_where(flood),
            ),
            Figure(
                group="frames", name=f"the highest rate tried that lost nothing, {at}",
                unit="frames/s", samples=[max((each["reached"] for each in whole), default=0.0)],
                note="; ".join(
                    f"{each['asked']:,.0f} asked, {each['reached']:,.0f} reached: {_where(each)}"
                    for each in paced
                ),
            ),
        ]  # fmt: skip
    return figures


def _where(each: dict[str, float]) -> str:
    """Say where frames were lost."""
    missing = each["sent"] - each["received"]
    if not missing:
        return "none lost"
    return (
        f"{missing:,.0f} of {each['sent']:,.0f} lost, {each['socket']:,.0f} of them in the "
        f"receiving socket, {each['backlog']:,.0f} packets in the host's backlog"
    )


__all__ = ["measure", "start_figures"]
