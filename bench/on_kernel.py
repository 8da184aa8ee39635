"""Runs on a testbed's host: the daemon on a real kernel, and the ancestors' way beside it.

Standard library alone, and one file, since it is sent there:
``unshare --net --mount python3 - ROOT TASKS < field.py``. ROOT is a root file system of the
plugin; the daemon runs in it, in a network namespace that has nothing else. TASKS is a JSON
list of objects, and one line of JSON comes back for each.
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
CHECKED_EACH = 5
"""Seconds between two health checks of the daemon that is left alone."""


class Caller(http.client.HTTPConnection):
    """A connection to the daemon."""

    def __init__(self, path: Path) -> None:
        super().__init__("evercan", timeout=60)
        # A socket's path has 107 bytes at the most, and this one leads into an engine's folder.
        os.chdir(path.parent)
        self._path = path.name

    def connect(self) -> None:
        """Dial its socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)

    def call(self, verb: str, **fields: Any) -> float:
        """Send one call of the engine; return the seconds until it was answered."""
        begun = time.perf_counter()
        self.request("POST", f"/{verb}", json.dumps(fields).encode())
        answer = self.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{verb}: {text!r}")
        return time.perf_counter() - begun


class Daemon:
    """The plugin's process in its root file system, with a socket and a record of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / INSIDE.relative_to("/")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """Say where its socket is, as the host sees it."""
        return self._folder / "evercan.sock"

    def start(self, interval: int = 0) -> float:
        """Start it; return the seconds until its first answer."""
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            ["chroot", str(self._root), "/usr/bin/python3", "-I", "-S", "-m", "evercan"],
            env={
                "PATH": os.environ["PATH"],
                "EVERCAN_SOCKET": str(INSIDE / "evercan.sock"),
                "EVERCAN_STATE_FOLDER": str(INSIDE / "state"),
                "EVERCAN_HEALTH_INTERVAL": str(interval),
                "EVERCAN_LOG_LEVEL": "warning",
            },
            stdout=sys.stderr,  # ours is for the answers
        )
        while True:
            try:
                caller = Caller(self.path)
                caller.call("Plugin.Activate")
                caller.close()
                return time.perf_counter() - begun
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - begun > 120:
                    raise SystemExit("the daemon does not answer") from None
                time.sleep(0.002)

    def status(self) -> dict[str, int]:
        """Read ``/proc/PID/status``, memory in kB, and the ticks that it has run."""
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
        """Kill it and forget its record."""
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


def of(number: int) -> dict[str, str]:
    """Return the fields that name an endpoint."""
    return {"NetworkID": NETWORK, "EndpointID": endpoint(number)}


def joins(root: Path, members: int) -> dict[str, Any]:
    """Let members join one after another and leave again; then all of them be restored at once.

    Returns:
        Seconds of each Join with its CreateEndpoint, of each Leave with its DeleteEndpoint,
        of the start with nothing to do and with everything to restore; memory in kB by number
        of members; the latencies of a call that needs no turn, while turns run; what an idle
        daemon takes for each health check.
    """
    wipe()
    plugin = Daemon(root)
    try:
        plugin.start()
        caller = Caller(plugin.path)
        caller.call("NetworkDriver.CreateNetwork", NetworkID=NETWORK, Options={})
        joined, left, memory = [], [], []
        for number in range(1, members + 1):
            took = caller.call("NetworkDriver.CreateEndpoint", **of(number))
            joined.append(took + caller.call("NetworkDriver.Join", **of(number)))
            memory.append(plugin.status()["VmRSS"])
        latencies = blocked(plugin.path)
        plugin.end()
        whole = plugin.start()
        plugin.end()
        wipe()
        restored = plugin.start()
        rules = subprocess.run(["cangw", "-L"], check=False, capture_output=True).stdout
        plugin.end()
        plugin.start(CHECKED_EACH)
        idle = rest(plugin)
        caller = Caller(plugin.path)
        for number in range(members, 0, -1):
            took = caller.call("NetworkDriver.Leave", **of(number))
            left.append(took + caller.call("NetworkDriver.DeleteEndpoint", **of(number)))
        return {
            "joined": joined, "left": left[::-1], "memory": memory, "latencies": latencies,
            "whole": whole, "restored": restored, "rules": rules.count(b"cangw -A"),
            "idle": idle,
        }  # fmt: skip
    finally:
        plugin.clean()
        wipe()


def rest(plugin: Daemon, checks: int = 6) -> dict[str, float]:
    """Leave a daemon alone; return the processor's seconds and the wake-ups of a health check."""
    time.sleep(1)
    before = plugin.status()
    time.sleep(checks * CHECKED_EACH)
    after = plugin.status()
    return {
        "seconds": (after["ticks"] - before["ticks"]) / os.sysconf("SC_CLK_TCK") / checks,
        "wakeups": (after["switches"] - before["switches"]) / checks,
        "memory": after["VmRSS"],
    }


def blocked(path: Path, turns: int = 8) -> dict[str, list[float]]:
    """Call something that needs no turn, again and again: at rest, and while turns run."""
    over = threading.Event()

    def turn() -> None:
        caller = Caller(path)
        for _ in range(turns):
            caller.call("adopt", Networks=[])
        over.set()

    caller = Caller(path)

    def knock() -> float:
        time.sleep(0.002)
        return caller.call("NetworkDriver.EndpointOperInfo", **of(1))

    rest = [knock() for _ in range(200)]
    thread = threading.Thread(target=turn)
    thread.start()
    busy = []
    while not over.is_set():
        busy.append(knock())
    thread.join()
    return {"rest": rest, "busy": busy}


def ancestors(root: Path, at: list[int], sample: int = 120) -> dict[str, dict[str, float]]:
    """Lay a member's links and rules by one process each, as the n-th member of a bus.

    Args:
        root: not used: this is the host's own programs.
        at: the numbers of members to measure at, ascending.
        sample: so many rules are laid and timed at the most; the rest is reckoned from them.

    Returns:
        By number of members, the seconds for the last one.
    """
    del root
    wipe()
    run("ip", "link", "add", BUS, "type", "vcan")
    run("ip", "link", "set", BUS, "up")
    seen: dict[str, dict[str, float]] = {}
    there = 0
    for number in at:
        while there < number - 1:
            there += 1
            pair(there)
        begun = time.perf_counter()
        there += 1
        pair(there)
        links = time.perf_counter() - begun
        ends = [BUS, *(HOST_END.format(each) for each in range(1, there))]
        own = HOST_END.format(there)
        rules = [
            ("cangw", "-A", "-s", source, "-d", target, "-e", *kind)
            for other in ends
            for source, target in ((own, other), (other, own))
            for kind in ((), FD_RULE)
        ]
        begun = time.perf_counter()
        for rule in rules[:sample]:
            run(*rule)
        each = (time.perf_counter() - begun) / len(rules[:sample])
        seen[str(number)] = {
            "seconds": links + each * len(rules), "rules": len(rules), "link": links, "rule": each
        }  # fmt: skip
    wipe()
    return seen


ECHO, IIF_TX_OK = 1, 4


def lay(rules: list[tuple[int, int, int]]) -> None:
    """Lay classic rules, each (source, target, flags), over netlink in batches."""
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
                struct.pack("=IHHII", 16 + len(each), 24, 0x405 if n == last else 0x401, n + 1, 0)
                + each
                for n, each in enumerate(payloads)
            ))  # fmt: skip
            answer = netlink.recv(65536)
            if struct.unpack_from("=i", answer, 16)[0]:
                raise SystemExit("the kernel refused a rule")


def frames(
    root: Path, sizes: list[int], count: int, times: int
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Send frames from the first member, with the rules' flags of ours and of the ancestors.

    Returns:
        By number of members and by whose flags, as often as asked: rule evaluations a frame
        (handled and deleted by all rules), seconds a frame, and deliveries a frame at the last
        member.
    """
    del root
    seen: dict[str, dict[str, list[dict[str, float]]]] = {}
    for size in sizes:
        both = seen.setdefault(str(size), {"ours": [], "ancestors": []})
        for _ in range(times):
            for whose, floods in both.items():
                mesh(size, echo_everywhere=whose == "ancestors")
                floods.append(flood(f"c{size}", count))
    wipe()
    return seen


def mesh(size: int, *, echo_everywhere: bool = False) -> None:
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
    lay([
        (source, target, IIF_TX_OK | (ECHO if echo_everywhere or target == bus else 0))
        for source in (bus, *ends) for target in (bus, *ends) if source != target
    ])  # fmt: skip


FRAME = struct.pack("=IB3x8s", 0x123, 8, b"evercan!")
SO_MEMINFO, DROPS = 55, 8


def losses(root: Path, sizes: list[int], rates: list[int]) -> dict[str, list[dict[str, float]]]:
    """Look for where frames get lost between the first member and the last.

    Returns:
        By number of members: what a socket holds that nobody reads; then a flood, and the rates
        asked for, with a program that reads. See ``torrent``.
    """
    del root
    seen = {}
    for size in sizes:
        mesh(size)
        seen[str(size)] = [
            torrent(f"c{size}", 0, 3000, reading=False),
            torrent(f"c{size}", 0, 3000),
            *[torrent(f"c{size}", rate, 2 * rate) for rate in rates],
        ]
    wipe()
    return seen


def torrent(listener: str, rate: int, count: int, *, reading: bool = True) -> dict[str, float]:
    """Send frames to a process that receives with the buffer that every program gets.

    Args:
        listener: the interface that it listens on.
        rate: frames a second; 0 is as fast as may be.
        count: how many.
        reading: it reads at once; else when all are sent.

    Returns:
        The rate asked for and that reached, frames sent and received, and what was dropped in
        the receiving socket and in the host's backlog.
    """
    before = backlog_drops()
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as heard,
    ):
        sender.bind(("c1",))
        heard.bind((listener,))
        ears, tell = os.pipe()
        child = os.fork() if reading else 0
        if reading and child == 0:
            os.write(tell, json.dumps(listen(heard)).encode())
            os._exit(0)
        begun = time.perf_counter()
        for number in range(count):
            if rate and number % 8 == 0:
                time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            sender.send(FRAME)
        seconds = time.perf_counter() - begun
        if reading:
            got, dropped = json.loads(os.read(ears, 4096))
            os.waitpid(child, 0)
        else:
            got, dropped = listen(heard)
        os.close(ears)
        os.close(tell)
    return {
        "asked": rate, "reached": count / seconds, "sent": count, "received": got,
        "socket": dropped, "backlog": backlog_drops() - before,
    }  # fmt: skip


def listen(heard: socket.socket) -> tuple[int, int]:
    """Receive until two seconds are silent; return the frames, and those that had no room."""
    heard.settimeout(2)
    got = 0
    try:
        while True:
            heard.recv(16)
            got += 1
    except TimeoutError:
        memory = heard.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (DROPS + 1))
        return got, struct.unpack_from("=I", memory, 4 * DROPS)[0]


def backlog_drops() -> int:
    """Return how many packets the host's backlogs had no room for, ever."""
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


def flood(listener: str, count: int) -> dict[str, float]:
    """Send frames at once after each other and count what they cost."""
    with (
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender,
        socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as heard,
    ):
        sender.bind(("c1",))
        heard.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        heard.bind((listener,))
        heard.settimeout(1)
        begun = time.perf_counter()
        for _ in range(count):
            sender.send(FRAME)
        seconds = time.perf_counter() - begun
        got = 0
        try:
            while got < 2 * count:
                heard.recv(16)
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


def pair(number: int) -> None:
    """Make a pair and set both ends up."""
    one, other = HOST_END.format(number), f"c{number}"
    run("ip", "link", "add", one, "type", "vxcan", "peer", "name", other)
    run("ip", "link", "set", one, "up")
    run("ip", "link", "set", other, "up")


TASKS: dict[str, Callable[..., Any]] = {
    "joins": joins, "ancestors": ancestors, "frames": frames, "losses": losses,
}  # fmt: skip


def main(root: str, tasks: str) -> None:
    """Do what is asked."""
    run("mount", "--rbind", "/proc", f"{root}/proc")
    for each in json.loads(tasks):
        print(json.dumps(TASKS[each.pop("task")](Path(root), **each)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
