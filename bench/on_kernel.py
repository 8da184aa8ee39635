"""Runs on a testbed's host: measures the daemon on a real kernel, and a reference for it.

It is one file and uses the standard library alone, so that it can be sent there:
``unshare --net --mount python3 - ROOT TASKS < on_kernel.py``. ROOT is the plugin's root file
system; the daemon runs in it, in an empty network namespace. TASKS is a JSON list of objects; it
prints one line of JSON for each task.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

INSIDE = Path("/tmp/evercan-bench")  # noqa: S108 - in the plugin's root file system
NETWORK = "ab" * 32
BUS = "vcan0"
FD_RULE = ("-X",)
HOST_END = "h{}"
PROCESS = tuple[str, ...]
CHECK_INTERVAL = 5
"""Seconds between two health checks of the idle daemon."""


class Caller(http.client.HTTPConnection):
    """A connection to the daemon."""

    def __init__(self, path: Path) -> None:
        super().__init__("evercan", timeout=60)
        # The path of a socket has at most 107 bytes; the path through an engine's folder is longer.
        os.chdir(path.parent)
        self._path = path.name

    def connect(self) -> None:
        """Connect to its socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)

    def call(self, verb: str, **fields: Any) -> float:
        """Send one call of the engine; return the seconds until it was answered."""
        started = time.perf_counter()
        self.request("POST", f"/{verb}", json.dumps(fields).encode())
        answer = self.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{verb}: {text!r}")
        return time.perf_counter() - started


class Daemon:
    """The plugin's process in its root file system, with its own socket and state file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / INSIDE.relative_to("/")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """The path of its socket on the host."""
        return self._folder / "evercan.sock"

    def start(self, interval: int = 0) -> float:
        """Start it; return the seconds until its first answer."""
        started = time.perf_counter()
        self.process = subprocess.Popen(
            ["chroot", str(self._root), "/usr/bin/python3", "-I", "-S", "-m", "evercan"],
            env={
                "PATH": os.environ["PATH"],
                "EVERCAN_SOCKET": str(INSIDE / "evercan.sock"),
                "EVERCAN_STATE_FOLDER": str(INSIDE / "state"),
                "EVERCAN_HEALTH_INTERVAL": str(interval),
                "EVERCAN_LOG_LEVEL": "warning",
            },
            stdout=sys.stderr,  # this process's own is for the results
        )
        while True:
            try:
                caller = Caller(self.path)
                caller.call("Plugin.Activate")
                caller.close()
                return time.perf_counter() - started
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - started > 120:
                    raise SystemExit("the daemon does not answer") from None
                time.sleep(0.002)

    def status(self) -> dict[str, int]:
        """Read ``/proc/PID/status`` (memory in kB), context switches and processor ticks."""
        pid = self.process.pid if self.process else 0
        fields = {}
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            words = value.split()
            if words and words[0].isdecimal():
                fields[key] = int(words[0])
        switches = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    switches += int(line.split()[1])
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {**fields, "switches": switches, "ticks": int(stat[11]) + int(stat[12])}

    def end(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def clean(self) -> None:
        """Kill it and remove its state file."""
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)


def run(*argv: str) -> None:
    """Run a program of the host."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def wipe() -> None:
    """Delete every CAN interface of this namespace."""
    for kind in ("vxcan", "vcan"):
        shown = subprocess.run(
            ["ip", "-json", "link", "show", "type", kind], check=True, capture_output=True
        )
        for link in json.loads(shown.stdout or b"[]"):
            subprocess.run(["ip", "link", "del", link["ifname"]], check=False, capture_output=True)


def endpoint(number: int) -> str:
    """Return an endpoint's id."""
    return f"{number:08x}" * 8


def names(number: int) -> dict[str, str]:
    """Return the fields that identify an endpoint."""
    return {"NetworkID": NETWORK, "EndpointID": endpoint(number)}


def joins(root: Path, members: int) -> dict[str, Any]:
    """Let members join one after another, restore all of them at once, and let them leave.

    Returns:
        Seconds of each Join with its CreateEndpoint, of each Leave with its DeleteEndpoint, of a
        start with nothing to do and of one with everything to restore; memory in kB by number of
        members; latencies of a call that needs no pass, during passes; the cost of a health
        check of an idle daemon.
    """
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start()
        caller = Caller(plugin.path)
        caller.call("NetworkDriver.CreateNetwork", NetworkID=NETWORK, Options={})
        joined, left, memory = [], [], []
        for number in range(1, members + 1):
            took = caller.call("NetworkDriver.CreateEndpoint", **names(number))
            joined.append(took + caller.call("NetworkDriver.Join", **names(number)))
            memory.append(plugin.status()["VmRSS"])
        latencies = call_latencies(plugin.path)
        plugin.end()
        settled = plugin.start()
        plugin.end()
        wipe()
        restored = plugin.start()
        rules = subprocess.run(["cangw", "-L"], check=False, capture_output=True).stdout
        plugin.end()
        plugin.start(CHECK_INTERVAL)
        idle = measure_idle(plugin)
        caller = Caller(plugin.path)
        for number in range(members, 0, -1):
            took = caller.call("NetworkDriver.Leave", **names(number))
            left.append(took + caller.call("NetworkDriver.DeleteEndpoint", **names(number)))
        return {
            "joined": joined, "left": left[::-1], "memory": memory, "latencies": latencies,
            "settled": settled, "restored": restored, "rules": rules.count(b"cangw -A"),
            "idle": idle,
        }  # fmt: skip
    finally:
        plugin.clean()
        wipe()


def measure_idle(plugin: Daemon, checks: int = 6) -> dict[str, float]:
    """Return the processor seconds and the wake-ups per health check of an idle daemon."""
    time.sleep(1)
    before = plugin.status()
    time.sleep(checks * CHECK_INTERVAL)
    after = plugin.status()
    return {
        "seconds": (after["ticks"] - before["ticks"]) / os.sysconf("SC_CLK_TCK") / checks,
        "wakeups": (after["switches"] - before["switches"]) / checks,
        "memory": after["VmRSS"],
    }


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


ECHO, IIF_TX_OK = 1, 4


def add_rules(rules: list[tuple[int, int, int]]) -> None:
    """Add classic rules (source, target, flags) over netlink in batches."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.bind((0, 0))
        for at in range(0, len(rules), 100):
            part = rules[at : at + 100]
            payloads = [
                struct.pack("=BBHHHB3xHHIHHI", 29, 1, flags, 5, 13, 1, 8, 9, source, 8, 10, target)
                for source, target, flags in part
            ]
            last = len(part) - 1
            netlink.send(b"".join(
                struct.pack(
                    "=IHHII", 16 + len(payload), 24, 0x405 if i == last else 0x401, i + 1, 0
                )
                + payload
                for i, payload in enumerate(payloads)
            ))  # fmt: skip
            answer = netlink.recv(65536)
            if struct.unpack_from("=i", answer, 16)[0]:
                raise SystemExit("the kernel rejected a rule")


def frames(
    root: Path, sizes: list[int], count: int, times: int
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Send frames from the first member, with evercan's flags of rules and those of older plugins.

    Returns:
        By number of members and by flags, one result for each repetition: rule evaluations per
        frame (handled and deleted by all rules), seconds per frame, and deliveries per frame at
        the last member.
    """
    del root
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for size in sizes:
        both = results.setdefault(str(size), {"own": [], "other": []})
        for _ in range(times):
            for flags, floods in both.items():
                make_mesh(size, echo_everywhere=flags == "other")
                floods.append(flood(f"c{size}", count))
    wipe()
    return results


def make_mesh(size: int, *, echo_everywhere: bool = False) -> None:
    """Make a bus with members h1, h2 …, whose other ends c1, c2 … stay on the host."""
    wipe()
    batch = [f"link add {BUS} type vcan", f"link set {BUS} up"]
    for number in range(1, size + 1):
        one, other = HOST_END.format(number), f"c{number}"
        batch += [
            f"link add {one} type vxcan peer name {other}",
            f"link set {one} up", f"link set {other} up",
        ]  # fmt: skip
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch).encode(), check=True)
    bus = socket.if_nametoindex(BUS)
    ends = [socket.if_nametoindex(HOST_END.format(n)) for n in range(1, size + 1)]
    add_rules([
        (source, target, IIF_TX_OK | (ECHO if echo_everywhere or target == bus else 0))
        for source in (bus, *ends) for target in (bus, *ends) if source != target
    ])  # fmt: skip


FRAME = struct.pack("=IB3x8s", 0x123, 8, b"evercan!")
SO_MEMINFO, DROPS = 55, 8


def losses(root: Path, sizes: list[int], rates: list[int]) -> dict[str, list[dict[str, float]]]:
    """Measure where frames are lost between the first member and the last.

    Returns:
        By number of members: a flood to a socket that nothing reads, a flood to a program that
        reads, and the given rates to a program that reads. See ``send_and_count``.
    """
    del root
    results = {}
    for size in sizes:
        make_mesh(size)
        results[str(size)] = [
            send_and_count(f"c{size}", 0, 3000, reading=False),
            send_and_count(f"c{size}", 0, 3000),
            *[send_and_count(f"c{size}", rate, 2 * rate) for rate in rates],
        ]
    wipe()
    return results


def send_and_count(
    listener: str, rate: int, count: int, *, reading: bool = True
) -> dict[str, float]:
    """Send frames to a process that receives with a buffer of the default size.

    Args:
        listener: The interface that it receives on.
        rate: Frames per second; 0 means as fast as possible.
        count: How many frames to send.
        reading: Whether it reads at once, or only after all frames are sent.

    Returns:
        The requested rate and the one reached, frames sent and received, and frames dropped in
        the receiving socket and in the host's backlog.
    """
    before = backlog_drops()
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as receiver,
    ):
        sender.bind(("c1",))
        receiver.bind((listener,))
        read_end, write_end = os.pipe()
        child = os.fork() if reading else 0
        if reading and child == 0:
            os.write(write_end, json.dumps(receive(receiver)).encode())
            os._exit(0)
        started = time.perf_counter()
        for number in range(count):
            if rate and number % 8 == 0:
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sender.send(FRAME)
        seconds = time.perf_counter() - started
        if reading:
            got, dropped = json.loads(os.read(read_end, 4096))
            os.waitpid(child, 0)
        else:
            got, dropped = receive(receiver)
        os.close(read_end)
        os.close(write_end)
    return {
        "requested": rate, "reached": count / seconds, "sent": count, "received": got,
        "socket": dropped, "backlog": backlog_drops() - before,
    }  # fmt: skip


def receive(receiver: socket.socket) -> tuple[int, int]:
    """Receive until nothing arrives for 2 s; return the frames received and those dropped."""
    receiver.settimeout(2)
    got = 0
    try:
        while True:
            receiver.recv(16)
            got += 1
    except TimeoutError:
        memory = receiver.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (DROPS + 1))
        return got, struct.unpack_from("=I", memory, 4 * DROPS)[0]


def backlog_drops() -> int:
    """Return how many packets the host's backlogs have dropped."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


def flood(listener: str, count: int) -> dict[str, float]:
    """Send frames without pauses; return their cost per frame."""
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as receiver,
    ):
        sender.bind(("c1",))
        receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        receiver.bind((listener,))
        receiver.settimeout(1)
        started = time.perf_counter()
        for _ in range(count):
            sender.send(FRAME)
        seconds = time.perf_counter() - started
        got = 0
        try:
            while got < 2 * count:
                receiver.recv(16)
                got += 1
        except TimeoutError:
            pass
    listed = subprocess.run(["cangw", "-L"], check=False, capture_output=True, text=True).stdout
    evaluations = 0
    for line in listed.splitlines():
        words = line.partition("#")[2].split()
        if len(words) >= 5:  # "N handled N dropped N deleted"
            evaluations += int(words[0]) + int(words[4])
    return {
        "evaluations": evaluations / count, "seconds": seconds / count, "delivered": got / count
    }  # fmt: skip


def add_pair(number: int) -> None:
    """Add a pair and bring both ends up."""
    one, other = HOST_END.format(number), f"c{number}"
    run("ip", "link", "add", one, "type", "vxcan", "peer", "name", other)
    run("ip", "link", "set", one, "up")
    run("ip", "link", "set", other, "up")


TASKS: dict[str, Callable[..., Any]] = {
    "joins": joins, "joins_by_process": joins_by_process, "frames": frames, "losses": losses,
}  # fmt: skip


def main(root: str, tasks: str) -> None:
    """Run the tasks."""
    run("mount", "--rbind", "/proc", f"{root}/proc")
    for task in json.loads(tasks):
        print(json.dumps(TASKS[task.pop("task")](Path(root), **task)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
