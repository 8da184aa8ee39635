"""``evercan`` against a real engine, kernel and plugin, from another machine."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from xml.etree import ElementTree as ET

import can

from evercan.cli.helper import LABEL
from evercan.cli.traffic import columns
from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tools.images import CAN_TOOLS


def helpers(testbed: Testbed) -> list[str]:
    """Name the containers that the command has left on the engine."""
    found = testbed.client().containers.list(all=True, filters={"label": LABEL})
    return [str(each.name) for each in found]


def test_a_bus_that_is_whole_is_shown_and_found_well(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    names = [str(each.name) for each in trio.containers]
    status, told = command.run("status")
    assert status == 0, told
    for each in (trio.name, trio.interface, *names, *trio.host_ends()):
        assert each in told
    status, picture = command.run("graph", "--format", "svg", trio.name)
    assert status == 0
    titles = " ".join(each.text or "" for each in ET.fromstring(picture).iter())  # noqa: S314 - ours
    assert all(each in titles for each in names)
    found = command.doctor()
    assert (found.status, found.failed) == (0, [])
    assert {"host.can-gw", "host.max-hops", "plugin.record"} <= {
        each["id"] for each in found.checks if each["result"] == "ok"
    }
    assert helpers(testbed) == []


def test_dump_has_every_frame_once_with_its_sender(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    frames = 20
    attached = testbed.client().networks.get(trio.name).attrs["Containers"].values()
    ends = {f"vxcan{each['EndpointID'][:8]}": each["Name"] for each in attached}
    written = columns(ends, trio.interface)
    senders = {written[end]: name for end, name in ends.items()}
    with command.start("dump", trio.name, "--filter", "600:700") as dump:
        assert dump.stdout is not None
        # Nobody tells when candump listens at last: until then frames of another id are sent.
        beacon = testbed.host_process(
            "sh", "-c", f"while :; do cansend {trio.interface} 6FF#; sleep 0.3; done"
        )
        lines = [dump.stdout.readline()]
        beacon.terminate()
        beacon.wait()
        for number, each in enumerate(trio.containers):
            sent = f"cangen can0 -g 2 -n {frames} -I {0x600 + number:X} -L 8 -D i"
            assert each.exec_run(["sh", "-c", sent])[0] == 0
            fd = f"cangen can0 -g 2 -n {frames} -I {0x610 + number:X} -L 12 -f -D i"
            assert each.exec_run(["sh", "-c", fd])[0] == 0
        testbed.host(
            *("cangen", trio.interface, "-g", "2", "-n", str(frames), "-I", "620", "-L", "8")
        )
        testbed.host("cansend", trio.interface, "6EE#")
        while "6EE#" not in lines[-1]:
            lines.append(dump.stdout.readline())
        dump.send_signal(signal.SIGINT)
        assert dump.wait(30) == 0
    log = [each for each in lines if " 6FF#" not in each and " 6EE#" not in each]
    read = list(can.CanutilsLogReader(io.StringIO("".join(log))))
    counted = Counter(
        (senders.get(str(each.channel), each.channel), each.arbitration_id) for each in read
    )
    assert counted == {
        **{
            (str(each.name), base + number): frames
            for number, each in enumerate(trio.containers)
            for base in (0x600, 0x610)
        },
        (trio.interface, 0x620): frames,
    }
    assert [each.timestamp for each in read] == sorted(each.timestamp for each in read)
    # canplayer plays one sender's part of it.
    part = f"canplayer -t {trio.interface}={next(iter(senders))}"
    played = testbed.host("sh", "-c", part, stdin="".join(log).encode())
    assert played.returncode == 0
    assert helpers(testbed) == []


def test_nothing_stays_on_the_engine_when_the_command_is_killed(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    # On the engine's own machine root needs no container, unless an image is named.
    with command.start("dump", trio.name, "--helper-image", CAN_TOOLS) as dump:
        trio.wait(lambda: len(helpers(testbed)) == 1, "the container that leads to the host")
        dump.kill()
    trio.wait(lambda: helpers(testbed) == [], "that container to go")


def test_a_disabled_plugin_is_named_with_the_command_that_enables_it(
    command: Command, testbed: Testbed
) -> None:
    client = testbed.client()
    client.api.disable_plugin(NAME, force=True)
    try:
        found = command.doctor()
        assert found.status == 1
        assert f"docker plugin enable {NAME}" in found.text
        status, told = command.run("status")
        assert (status, told.count("\n")) == (2, 1)
        assert f"docker plugin enable {NAME}" in told
    finally:
        client.api.enable_plugin(NAME, timeout=0)


# --- watch --------------------------------------------------------------------------


class Screen:
    """What a terminal has been sent, without its escapes."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process, self._master = process, master
        self._seen = b""

    def wait(self, words: str, patience: float = 90) -> None:
        """Wait until some words are drawn anew."""
        deadline = time.monotonic() + patience
        while words not in self.text():
            assert time.monotonic() < deadline, f"no {words!r} in {self.text()[-2000:]!r}"
            assert self._process.poll() is None, self.text()[-2000:]
            if select.select([self._master], [], [], 0.5)[0]:
                self._seen += os.read(self._master, 65536)
        self._seen = b""

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b.", "", self._seen.decode(errors="replace"))

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())


@contextmanager
def watching(command: Command) -> Iterator[tuple[Screen, subprocess.Popen[bytes]]]:
    """Run ``evercan watch`` in a terminal of 80 columns and 24 lines."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        command.line("watch"),
        env={**command.environment, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Screen(process, master), process
    finally:
        process.kill()
        process.wait()
        os.close(master)


def ended(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    return lambda: process.poll() is not None


def test_watch_outlives_the_plugin_and_the_engine(
    command: Command, testbed: Testbed, bus: Bus
) -> None:
    (first,) = bus.start(1, restart="always")
    client = testbed.client()
    with watching(command) as (screen, process):
        screen.wait(str(first.name)[:20])
        client.api.disable_plugin(NAME, force=True)
        screen.wait("plugin away, retrying")
        client.api.enable_plugin(NAME, timeout=0)
        screen.wait("healthy")
        testbed.host("systemctl", "restart", "docker", timeout=180)
        screen.wait("engine away, retrying")
        testbed.wait_engine()
        screen.wait("healthy", 120)
        screen.press("q")
        bus.wait(ended(process), "watch to end")
        assert process.returncode == 0
    bus.reconnect()
    bus.wait(lambda: helpers(testbed) == [], "nothing to be left")
    bus.wait_whole(60)
