"""``python3 -m bench.host_tasks ROOT TASKS``: runs tasks on a testbed's host.

ROOT is the plugin's root file system; the daemon runs in it. TASKS is a JSON list of objects, each
with the name of a task and its arguments. One line of JSON is printed for each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.host_tasks import by_process, delays, frames, limits, members, order, wires
from bench.host_tasks.processes import run

TASKS: dict[str, Callable[..., Any]] = {
    "joins": members.joins,
    "large_bus": members.large_bus,
    "among_foreign": members.among_foreign,
    "at_once": members.at_once,
    "flushes": members.flushes,
    "joins_by_process": by_process.joins_by_process,
    "frames": frames.frames,
    "losses": frames.losses,
    "delays": delays.delays,
    "limits": limits.limits,
    "order": order.order,
    "wires": wires.wires,
}


def main(root: str, tasks: str) -> None:
    """Run the tasks."""
    run("mount", "--rbind", "/proc", f"{root}/proc")
    run("mount", "-t", "sysfs", "sysfs", "/sys")  # that of this network namespace
    for task in json.loads(tasks):
        print(json.dumps(TASKS[task.pop("task")](Path(root), **task)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
