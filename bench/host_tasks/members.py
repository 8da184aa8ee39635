"""Measures containers that start and stop: what the engine waits for, memory, idle load."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

from bench.host_tasks.frames import deliveries, send_from_each
from bench.host_tasks.mesh import add_foreign
from bench.host_tasks.processes import (
    QUIET,
    Caller,
    Daemon,
    count_rules,
    create_network,
    names,
    receivers,
    run,
    start_container,
    stop_container,
    wipe,
)

_AT_REST = 0.05
"""Processor seconds that a plugin without checks does not use in ``QUIET``."""

NO_CHECKS = {"EVERCAN_HEALTH_INTERVAL": "0", "EVERCAN_PROBE_INTERVAL": "0"}


def joins(root: Path, members: int, idle: float) -> dict[str, Any]:
    """Let members join one after another, restore all of them at once, and let them leave.

    Args:
        root: The plugin's root file system.
        members: How many.
        idle: For how many seconds the idle daemon is watched.

    Returns:
        Seconds of each Join with its CreateEndpoint, of each Leave with its DeleteEndpoint, and
        of a start with everything to restore; latencies of a call that needs no pass, during
        passes; the work of the idle daemon, with its default settings and without the probe.
    """
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start(**NO_CHECKS)
        caller = Caller(plugin.path)
        create_network(caller)
        joined = [start_container(caller, number)[0] for number in range(1, members + 1)]
        latencies = call_latencies(plugin.path)
        restored = restore(plugin)
        rules = count_rules()
        plugin.end()
        plugin.start()
        as_installed = measure_idle(plugin, idle)
        plugin.end()
        plugin.start(EVERCAN_PROBE_INTERVAL="0")
        without_probe = measure_idle(plugin, idle)
        plugin.end()
        plugin.start(**NO_CHECKS)
        caller = Caller(plugin.path)
        left = [stop_container(caller, number) for number in range(members, 0, -1)]
        return {
            "joined": joined, "left": left[::-1], "latencies": latencies, "restored": restored,
            "rules": rules, "idle": as_installed, "idle without probe": without_probe,
        }  # fmt: skip
    finally:
        plugin.clean()
        wipe()


def restore(plugin: Daemon) -> float:
    """Kill the plugin, delete everything and start it; return the seconds until all is there."""
    whole = receivers()
    plugin.end()
    wipe()
    started = time.perf_counter()
    plugin.start(**NO_CHECKS)
    wait_for_receivers(whole)
    restored = time.perf_counter() - started
    wait_idle(plugin)
    return restored


def wait_idle(plugin: Daemon) -> None:
    """Wait until the plugin has nothing to do: a start ends with an observation of everything."""
    used = -1.0
    while (used_then := plugin.work()[0]) - used > _AT_REST:
        used = used_then
        time.sleep(QUIET)


def wait_for_receivers(number: int) -> float:
    """Wait until the receive lists have so many entries; return the seconds."""
    started = time.perf_counter()
    while receivers() != number:
        time.sleep(0.005)
        if time.perf_counter() - started > 300:
            raise SystemExit(f"there are {receivers()} receive list entries instead of {number}")
    return time.perf_counter() - started


def measure_idle(plugin: Daemon, seconds: float) -> dict[str, float]:
    """Return the processor seconds and the wake-ups per second of an idle daemon, and memory."""
    time.sleep(QUIET)
    (used, woke), started = plugin.work(), time.monotonic()
    time.sleep(seconds)
    (used_then, woke_then), passed = plugin.work(), time.monotonic() - started
    return {
        "seconds": (used_then - used) / passed,
        "wakeups": (woke_then - woke) / passed,
        "memory": plugin.memory(),
    }


def large_bus(root: Path, sizes: list[int]) -> dict[str, Any]:
    """Let a bus grow, with frames from every member and scrapes of the metrics.

    Args:
        root: The plugin's root file system.
        sizes: The numbers of members at which memory is measured, ascending.

    Returns:
        Seconds of each start and stop, and of a start of the plugin with everything to
        restore; memory in kB by number of members; how many members received a frame of the
        first one exactly once, and how many rules there are.
    """
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start(**NO_CHECKS)
        caller = Caller(plugin.path)
        create_network(caller)
        joined: list[float] = []
        ends: list[str] = []
        memory: dict[str, int] = {}
        for number in range(1, sizes[-1] + 1):
            took, end = start_container(caller, number)
            joined.append(took)
            ends.append(end)
            if number in (1, *sizes):
                memory[str(number)] = memory_after_scrapes(plugin, caller, ends)
        received = deliveries(ends)
        restored = restore(plugin)
        rules = count_rules()
        caller = Caller(plugin.path)
        left = [stop_container(caller, number) for number in range(sizes[-1], 0, -1)]
        return {
            "joined": joined, "left": left[::-1], "memory": memory, "received": received,
            "restored": restored, "rules": rules,
        }  # fmt: skip
    finally:
        plugin.clean()
        wipe()


def memory_after_scrapes(plugin: Daemon, caller: Caller, ends: list[str]) -> int:
    """Return the memory after a full pass and some scrapes, once every member has sent."""
    send_from_each(ends)
    time.sleep(QUIET)
    for _ in range(3):
        caller.scrape()
    return plugin.memory()


def among_foreign(
    root: Path, members: int, links: int, rules: int, times: int
) -> dict[str, list[float]]:
    """Start and stop one more container, without and with links and rules of others.

    Returns:
        Seconds of the starts and the stops.
    """
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start(**NO_CHECKS)
        caller = Caller(plugin.path)
        create_network(caller)
        for number in range(1, members + 1):
            start_container(caller, number)
        seconds: dict[str, list[float]] = {
            "start": [], "stop": [], "start among foreign": [], "stop among foreign": []
        }  # fmt: skip
        for suffix in ("", " among foreign"):
            if suffix:
                add_foreign(links, rules)
            for _ in range(times):
                time.sleep(QUIET)
                seconds[f"start{suffix}"].append(start_container(caller, members + 1)[0])
                time.sleep(QUIET)
                seconds[f"stop{suffix}"].append(stop_container(caller, members + 1))
        return seconds
    finally:
        plugin.clean()
        wipe()


def at_once(root: Path, members: int, times: int) -> dict[str, list[float]]:
    """Start one container alone, and many at once, on a bus with one member.

    Returns:
        Seconds until the one is a member, and until the last of the many is.
    """
    seconds: dict[str, list[float]] = {"alone": [], "together": []}
    for _ in range(times):
        wipe()
        plugin = Daemon(root)
        try:
            plugin.start(**NO_CHECKS)
            caller = Caller(plugin.path)
            create_network(caller)
            start_container(caller, 1)
            time.sleep(QUIET)
            seconds["alone"].append(start_container(caller, 2)[0])
            stop_container(caller, 2)
            time.sleep(QUIET)
            seconds["together"].append(start_together(plugin.path, range(2, members + 2)))
        finally:
            plugin.clean()
    wipe()
    return seconds


def start_together(path: Path, numbers: range) -> float:
    """Start containers from as many threads; return the seconds until the last is a member."""
    callers = {number: Caller(path) for number in numbers}
    threads = [
        threading.Thread(target=start_container, args=(caller, number))
        for number, caller in callers.items()
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def flushes(root: Path, members: int, times: int) -> list[float]:
    """Flush all rules at any moment; return the seconds until all of them are there again."""
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start()  # with the intervals that it is installed with
        caller = Caller(plugin.path)
        create_network(caller)
        for number in range(1, members + 1):
            start_container(caller, number)
        time.sleep(QUIET)
        whole = receivers()
        seconds = []
        for _ in range(times):
            time.sleep(QUIET + random.uniform(0, 2))  # noqa: S311 - no secret
            run("cangw", "-F")
            seconds.append(wait_for_receivers(whole))
        return seconds
    finally:
        plugin.clean()
        wipe()


def call_latencies(path: Path, passes: int = 8) -> dict[str, list[float]]:
    """Repeat a call that needs no pass; return the latencies at rest and during passes."""
    done = threading.Event()

    def run_passes() -> None:
        caller = Caller(path)
        for _ in range(passes):
            caller.call("adopt", Networks=[])
        done.set()

    caller = Caller(path)

    def timed_call() -> float:
        time.sleep(0.002)
        return caller.call("NetworkDriver.EndpointOperInfo", **names(1))

    rest = [timed_call() for _ in range(200)]
    thread = threading.Thread(target=run_passes)
    thread.start()
    busy = []
    while not done.is_set():
        busy.append(timed_call())
    thread.join()
    return {"rest": rest, "busy": busy}
