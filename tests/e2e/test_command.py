"""Test ``evercan`` with a real engine, kernel and plugin, from another machine."""

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
import pytest

from evercan.cli.access.container import LABEL
from evercan.cli.views.traffic import columns
from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tools.images import CAN_TOOLS


def helpers(testbed: Testbed) -> list[str]:
    """Return the names of the helper containers on the engine."""
    found = testbed.client().containers.list(all=True, filters={"label": LABEL})
    return [str(container.name) for container in found]


def test_a_healthy_bus_is_shown_and_passes_all_checks(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    names = [str(container.name) for container in trio.containers]
    status, output = command.run("status")
    assert status == 0, output
    for name in (trio.name, trio.interface, *names, *trio.host_ends()):
        assert name in output
    status, picture = command.run("graph", "--format", "svg", trio.name)
    assert status == 0
    titles = " ".join(element.text or "" for element in ET.fromstring(picture).iter())  # noqa: S314 - drawn by the command
    assert all(name in titles for name in names)
    found = command.doctor()
    assert (found.status, found.failed) == (0, [])
    assert {"host.can-gw", "host.max-hops", "plugin.record"} <= {
        check["id"] for check in found.checks if check["result"] == "ok"
    }
    assert helpers(testbed) == []


def test_dump_prints_every_frame_once_with_its_sender(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    frames = 20
    attached = testbed.client().networks.get(trio.name).attrs["Containers"].values()
    ends = {f"vxcan{container['EndpointID'][:8]}": container["Name"] for container in attached}
    written = columns(ends, trio.interface)
    senders = {written[end]: name for end, name in ends.items()}
    with command.start("dump", trio.name, "--filter", "600:700") as dump:
        assert dump.stdout is not None
        # candump does not report when it is ready: frames of another id are sent until it is.
        beacon = testbed.host_process(
            "sh", "-c", f"while :; do cansend {trio.interface} 6FF#; sleep 0.3; done"
        )
        lines = [dump.stdout.readline()]
        beacon.terminate()
        beacon.wait()
        for number, container in enumerate(trio.containers):
            sent = f"cangen can0 -g 2 -n {frames} -I {0x600 + number:X} -L 8 -D i"
            assert container.exec_run(["sh", "-c", sent])[0] == 0
            fd = f"cangen can0 -g 2 -n {frames} -I {0x610 + number:X} -L 12 -f -D i"
            assert container.exec_run(["sh", "-c", fd])[0] == 0
        testbed.host(
            *("cangen", trio.interface, "-g", "2", "-n", str(frames), "-I", "620", "-L", "8")
        )
        testbed.host("cansend", trio.interface, "6EE#")
        while "6EE#" not in lines[-1]:
            lines.append(dump.stdout.readline())
        dump.send_signal(signal.SIGINT)
        assert dump.wait(30) == 0
    log = [line for line in lines if " 6FF#" not in line and " 6EE#" not in line]
    read = list(can.CanutilsLogReader(io.StringIO("".join(log))))
    counted = Counter(
        (senders.get(str(message.channel), message.channel), message.arbitration_id)
        for message in read
    )
    assert counted == {
        **{
            (str(container.name), base + number): frames
            for number, container in enumerate(trio.containers)
            for base in (0x600, 0x610)
        },
        (trio.interface, 0x620): frames,
    }
    assert [message.timestamp for message in read] == sorted(message.timestamp for message in read)
    # canplayer plays one sender's part of it.
    part = f"canplayer -t {trio.interface}={next(iter(senders))}"
    played = testbed.host("sh", "-c", part, stdin="".join(log).encode())
    assert played.returncode == 0
    assert helpers(testbed) == []


def test_the_helper_container_ends_when_the_command_is_killed(
    command: Command, testbed: Testbed, trio: Bus
) -> None:
    # On the engine's own machine, root gets a helper container only if an image is named.
    with command.start("dump", trio.name, "--helper-image", CAN_TOOLS) as dump:
        trio.wait(lambda: len(helpers(testbed)) == 1, "the helper container")
        dump.kill()
    trio.wait(lambda: helpers(testbed) == [], "the helper container to end")


def test_a_disabled_plugin_is_reported_with_the_command_that_enables_it(
    command: Command, testbed: Testbed
) -> None:
    client = testbed.client()
    client.api.disable_plugin(NAME, force=True)
    try:
        found = command.doctor()
        assert found.status == 1
        assert f"docker plugin enable {NAME}" in found.text
        status, output = command.run("status")
        assert (status, output.count("\n")) == (2, 1)
        assert f"docker plugin enable {NAME}" in output
    finally:
        client.api.enable_plugin(NAME, timeout=0)


# --- watch --------------------------------------------------------------------------


class Screen:
    """The text that was written to a terminal, without escape sequences."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process, self._master = process, master
        self._written = b""

    def wait(self, words: str, patience: float = 90) -> None:
        """Wait until some words are drawn."""
        deadline = time.monotonic() + patience
        while words not in self.text():
            assert time.monotonic() < deadline, f"no {words!r} in {self.text()[-2000:]!r}"
            assert self._process.poll() is None, self.text()[-2000:]
            if select.select([self._master], [], [], 0.5)[0]:
                self._written += os.read(self._master, 65536)
        self._written = b""

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b.", "", self._written.decode(errors="replace"))

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


@pytest.mark.thorough
def test_watch_continues_after_restarts_of_the_plugin_and_the_engine(
    command: Command, testbed: Testbed, bus: Bus
) -> None:
    (first,) = bus.start(1, restart="always")
    client = testbed.client()
    with watching(command) as (screen, process):
        screen.wait(str(first.name)[:20])
        client.api.disable_plugin(NAME, force=True)
        screen.wait("plugin not reachable, retrying")
        client.api.enable_plugin(NAME, timeout=0)
        screen.wait("healthy")
        testbed.host("systemctl", "restart", "docker", timeout=180)
        screen.wait("engine not reachable, retrying")
        testbed.wait_engine()
        screen.wait("healthy", 120)
        screen.press("q")
        bus.wait(ended(process), "watch to end")
        assert process.returncode == 0
    bus.reconnect()
    bus.wait(lambda: helpers(testbed) == [], "the helper container to end")
    bus.wait_healthy(60)
