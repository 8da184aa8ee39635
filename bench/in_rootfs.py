"""Runs inside a root file system of the plugin: starts processes, looks at them, prints JSON.

Standard library alone, and one file, since it is also sent to a testbed's host:
``unshare --mount python3 - ROOT TASKS < cage.py``. It makes ROOT its own root, so that a
start is one ``exec`` and nothing around it.

TASKS is a JSON list of objects: ``{"task": "start", …}``; one line of JSON comes back for each.
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
OURS = [PYTHON, "-I", "-S", "-m", "evercan"]
PLAIN = [PYTHON, "/tmp/plain.py"]  # noqa: S108 - inside the root file system
SOCKET = "/run/docker/plugins/evercan.sock"
ACTIVATE = b"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def spawn(argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a process with an empty environment and its output thrown away."""
    return subprocess.Popen(
        argv, env={"EVERCAN_SOCKET": SOCKET}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def bare() -> float:
    """Start an interpreter that does nothing; return the seconds that it took."""
    begun = time.perf_counter()
    spawn(BARE).wait()
    return time.perf_counter() - begun


def daemon(argv: list[str]) -> tuple[subprocess.Popen[bytes], float, float]:
    """Start a daemon; return it and the seconds until it accepted and until it answered."""
    if os.path.exists(SOCKET):  # noqa: PTH110 - pathlib is not loaded here
        os.unlink(SOCKET)  # noqa: PTH108 - the same
    begun = time.perf_counter()
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
    accepts = time.perf_counter() - begun
    client.sendall(ACTIVATE)
    answer = client.recv(4096)
    answers = time.perf_counter() - begun
    client.close()
    if b" 200 " not in answer or b"NetworkDriver" not in answer:
        raise SystemExit(f"a wrong answer: {answer!r}")
    return process, accepts, answers


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a daemon."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def forget_files() -> None:
    """Let the kernel forget what it has cached of this file system's files."""
    os.sync()
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - pathlib is not loaded here
            if not os.path.islink(path):  # noqa: PTH114 - the same
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def start(times: int, cold: bool = False, slow: int = 0) -> dict[str, list[float]]:
    """Start the three in turn, again and again.

    Args:
        times: of each.
        cold: forget the file system's files before each.
        slow: this many busy processes share the one processor with it.
    """
    seen: dict[str, list[float]] = {
        "bare": [], "accepts": [], "answers": [], "plain accepts": [], "plain answers": []
    }  # fmt: skip
    everywhere = os.sched_getaffinity(0)
    hogs = []
    if slow:
        os.sched_setaffinity(0, {max(everywhere)})
        hogs = [spawn([PYTHON, "-I", "-S", "-c", "while True: pass"]) for _ in range(slow)]
    try:
        for _ in range(times):
            if cold:
                forget_files()
            seen["bare"].append(bare())
            for argv, prefix in ((OURS, ""), (PLAIN, "plain ")):
                if cold:
                    forget_files()
                process, accepts, answers = daemon(argv)
                end(process)
                seen[f"{prefix}accepts"].append(accepts)
                seen[f"{prefix}answers"].append(answers)
    finally:
        for each in hogs:
            end(each)
        os.sched_setaffinity(0, everywhere)
    return seen


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
    """Start the daemon, let it idle, and return its resident memory and the plain one's, in kB."""
    seen: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(times):
        for argv, name in ((OURS, "ours"), (PLAIN, "plain")):
            process, _, _ = daemon(argv)
            time.sleep(1)
            seen[name].append(status(process.pid)["VmRSS"])
            end(process)
    return seen


def cpu(times: int) -> dict[str, list[float]]:
    """Load the daemon's modules, and the plain one's; return the processor's seconds of each."""
    seen: dict[str, list[float]] = {"bare": [], "ours": [], "plain": []}
    for _ in range(times):
        for name, argv in (
            ("bare", BARE),
            ("ours", [*BARE[:-1], "import gc; gc.disable(); import evercan.daemon"]),
            ("plain", [PYTHON, "-c", "import runpy; runpy.run_path('/tmp/plain.py')"]),
        ):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if spawn(argv).wait():
                raise SystemExit(f"{argv} failed")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            seen[name].append(spent)
    return seen


TASKS = {"start": start, "memory": memory, "cpu": cpu}


def main(root: str, tasks: str) -> None:
    """Change the root and do what is asked."""
    statistics.median([0])  # whatever loads late must be loaded before the root changes
    subprocess.Popen(["/bin/true"], stdout=subprocess.DEVNULL).wait()
    os.chroot(root)
    os.chdir("/")
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)  # noqa: PTH103, PTH120 - see above
    for each in json.loads(tasks):
        print(json.dumps(TASKS[each.pop("task")](**each)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
