"""Runs inside the plugin's root file system: starts processes, measures them, prints JSON.

It is one file and uses the standard library alone, so that it can be sent to a testbed's host:
``unshare --mount python3 - ROOT TASKS < in_rootfs.py``. It changes its root to ROOT, so that a
start is a single ``exec``.

TASKS is a JSON list of objects such as ``{"task": "start", …}``; it prints one line of JSON for
each task.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time

PYTHON = "/usr/bin/python3"
BARE = [PYTHON, "-I", "-S", "-c", "pass"]
DAEMON = [PYTHON, "-I", "-S", "-m", "evercan"]
PLAIN = [PYTHON, "/tmp/plain_daemon.py"]  # noqa: S108 - inside the root file system
SOCKET = "/run/docker/plugins/evercan.sock"
ACTIVATE = b"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def spawn(argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a process with an empty environment, without output."""
    return subprocess.Popen(
        argv, env={"EVERCAN_SOCKET": SOCKET}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def bare() -> float:
    """Run an interpreter that does nothing; return the seconds it took."""
    started = time.perf_counter()
    spawn(BARE).wait()
    return time.perf_counter() - started


def start_daemon(argv: list[str]) -> tuple[subprocess.Popen[bytes], float, float]:
    """Start a daemon; return it and the seconds until it accepted and until it answered."""
    if os.path.exists(SOCKET):  # noqa: PTH110 - pathlib is not loaded here
        os.unlink(SOCKET)  # noqa: PTH108 - the same
    started = time.perf_counter()
    process = spawn(argv)
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(SOCKET)
            break
        except OSError:
            client.close()
            if process.poll() is not None:
                raise SystemExit(f"{argv} ended with {process.returncode}") from None
            time.sleep(0.0005)
    accepts = time.perf_counter() - started
    client.sendall(ACTIVATE)
    answer = client.recv(4096)
    answers = time.perf_counter() - started
    client.close()
    if b" 200 " not in answer or b"NetworkDriver" not in answer:
        raise SystemExit(f"unexpected answer: {answer!r}")
    return process, accepts, answers


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a daemon."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def drop_cached_files() -> None:
    """Remove this file system's files from the kernel's page cache."""
    os.sync()
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - pathlib is not loaded here
            if not os.path.islink(path):  # noqa: PTH114 - the same
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def start(times: int, cold: bool = False, slow: int = 0) -> dict[str, list[float]]:
    """Start the interpreter, the daemon and the plain daemon, alternately.

    Args:
        times: How often to start each.
        cold: Remove the file system's files from the page cache before each start.
        slow: How many busy processes share one processor with it.
    """
    seconds: dict[str, list[float]] = {
        "bare": [], "accepts": [], "answers": [], "plain accepts": [], "plain answers": []
    }  # fmt: skip
    processors = os.sched_getaffinity(0)
    hogs = []
    if slow:
        os.sched_setaffinity(0, {max(processors)})
        hogs = [spawn([PYTHON, "-I", "-S", "-c", "while True: pass"]) for _ in range(slow)]
    try:
        for _ in range(times):
            if cold:
                drop_cached_files()
            seconds["bare"].append(bare())
            for argv, prefix in ((DAEMON, ""), (PLAIN, "plain ")):
                if cold:
                    drop_cached_files()
                process, accepts, answers = start_daemon(argv)
                end(process)
                seconds[f"{prefix}accepts"].append(accepts)
                seconds[f"{prefix}answers"].append(answers)
    finally:
        for hog in hogs:
            end(hog)
        os.sched_setaffinity(0, processors)
    return seconds


def status(pid: int) -> dict[str, int]:
    """Read the numbers of ``/proc/PID/status``, memory in kB."""
    fields = {}
    with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123 - the same
        for line in file:
            key, _, value = line.partition(b":")
            words = value.split()
            if words and words[0].isdigit():
                fields[key.decode()] = int(words[0])
    return fields


def memory(times: int) -> dict[str, list[float]]:
    """Return the resident memory of the idle daemon and of the plain daemon, in kB."""
    sizes: dict[str, list[float]] = {"daemon": [], "plain": []}
    for _ in range(times):
        for argv, name in ((DAEMON, "daemon"), (PLAIN, "plain")):
            process, _, _ = start_daemon(argv)
            time.sleep(1)
            sizes[name].append(status(process.pid)["VmRSS"])
            end(process)
    return sizes


def cpu(times: int) -> dict[str, list[float]]:
    """Load the modules of both daemons; return the processor seconds."""
    seconds: dict[str, list[float]] = {"bare": [], "daemon": [], "plain": []}
    for _ in range(times):
        for name, argv in (
            ("bare", BARE),
            ("daemon", [*BARE[:-1], "import gc; gc.disable(); import evercan.daemon"]),
            (
                "plain",
                [PYTHON, "-c", "import runpy; runpy.run_path('/tmp/plain_daemon.py')"],
            ),
        ):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if spawn(argv).wait():
                raise SystemExit(f"{argv} failed")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            seconds[name].append(spent)
    return seconds


TASKS = {"start": start, "memory": memory, "cpu": cpu}


def main(root: str, tasks: str) -> None:
    """Change the root and run the tasks."""
    statistics.median([0])  # loads modules that must be loaded before the root changes
    subprocess.Popen(["/bin/true"], stdout=subprocess.DEVNULL).wait()
    os.chroot(root)
    os.chdir("/")
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)  # noqa: PTH103, PTH120 - see above
    for task in json.loads(tasks):
        print(json.dumps(TASKS[task.pop("task")](**task)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
