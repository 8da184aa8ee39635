"""A serial adapter (slcan) is a bus interface; its daemon is ended and started again.

A program on the host plays the adapter at the other end of a pseudo-terminal. ``slcand``
attaches an interface to the terminal; it goes when slcand ends.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from lab.frames import HostMember, count_deliveries, parse_candump
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.health import assert_no_problems, reasons

BUS = "slcan0"

TERMINAL, WIRE, LOG = "/dev/evercan-slcan", "/run/evercan-slcan.wire", "/run/evercan-slcan.log"
"""The terminal; what the adapter receives from its wire; what it has sent to its wire."""

ADAPTER = """
import os, select, sys, time, tty
terminal, wire, log = sys.argv[1:]
adapter, slave = os.openpty()
tty.setraw(slave)
os.symlink(os.ttyname(slave), terminal)
os.close(slave)
received = os.open(wire, os.O_RDWR)
sent = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while True:
    ready, _, _ = select.select([adapter, received], [], [])
    if received in ready:
        os.write(adapter, os.read(received, 4096))
    if adapter in ready:
        try:
            os.write(sent, os.read(adapter, 4096))
        except OSError:  # nobody has the terminal open
            time.sleep(0.1)
"""


class SerialAdapter:
    """An adapter in a serial port of the host, and the daemon that makes an interface of it."""

    def __init__(self, testbed: Testbed) -> None:
        """Plug the adapter in."""
        self._testbed = testbed
        testbed.host("sh", "-c", f"modprobe slcan; rm -f {TERMINAL} {WIRE} {LOG}; mkfifo {WIRE}")
        self._adapter = testbed.host_process("python3", "-c", ADAPTER, TERMINAL, WIRE, LOG)
        self._daemon: subprocess.Popen[bytes] | None = None

    def start_daemon(self) -> None:
        """Let slcand make the interface; wait for the terminal if it does not exist yet."""
        script = f"until [ -e {TERMINAL} ]; do sleep 0.1; done; exec slcand -F {TERMINAL} {BUS}"
        self._daemon = self._testbed.host_process("sh", "-c", script)

    def end_daemon(self) -> None:
        """End slcand, and so delete the interface.

        SIGKILL would not do here: the kernel keeps the interface as long as this end of the
        pseudo-terminal is open, which a real serial port does not have.
        """
        if self._daemon is not None:
            self._testbed.host("pkill", "-TERM", "-f", f"^slcand -F {TERMINAL}", check=False)
            self._end(self._daemon)
            self._daemon = None

    def close(self) -> None:
        """Stop the daemon and unplug the adapter."""
        self.end_daemon()
        self._end(self._adapter)
        self._testbed.host("rm", "-f", TERMINAL, WIRE, LOG)

    def receive(self, *frames: str) -> None:
        """Let the adapter receive frames, in slcan's form, from its wire."""
        self._testbed.host(
            "sh", "-c", f"cat > {WIRE}", stdin="".join(frame + "\r" for frame in frames).encode()
        )

    def sent(self) -> Counter[str]:
        """Return the frames that the adapter has sent, in slcan's form."""
        lines = self._testbed.host("cat", LOG).stdout.decode().split("\r")
        return Counter(line for line in lines if line.startswith("t"))

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        with process:  # closes its pipes and waits for it
            pass


@pytest.fixture
def adapter(testbed: Testbed) -> Iterator[SerialAdapter]:
    """Yield an adapter whose daemon has been started."""
    with closing(SerialAdapter(testbed)) as created:
        created.start_daemon()
        yield created


def assert_exactly_once(testbed: Testbed, bus: Bus, adapter: SerialAdapter) -> None:
    """Assert that each frame of a member, and of the wire, arrives everywhere once."""
    with ExitStack() as stack:
        host = stack.enter_context(closing(HostMember(testbed, BUS)))
        members = [*bus.members(by_exec=False), host]
        before = adapter.sent()
        verdict = count_deliveries(members, fd=False, gap_ms=20)
        assert verdict.exactly_once, str(verdict)
        # The ids of counted frames begin with 60.
        sent = [
            times for line, times in (adapter.sent() - before).items() if line.startswith("t60")
        ]
        assert sent == [1] * verdict.sent

        starts = [len(member.received()) for member in members]
        adapter.receive("t7D022AB0", "t7D122AB0", "t7D222AB0")

        def received() -> list[list[int]]:
            return [
                sorted(frame.can_id for frame in parse_candump(member.received()[start:]))
                for member, start in zip(members, starts, strict=True)
            ]

        once = [[0x7D0, 0x7D1, 0x7D2]] * len(members)
        bus.wait(lambda: received() == once, "the frames of the wire, each once")


def test_a_serial_adapter_is_a_bus_interface_again_after_its_daemon_was_ended(
    testbed: Testbed, plugin: PluginProcess, adapter: SerialAdapter
) -> None:
    bus = Bus(testbed, BUS, **{"vxcan.kind": "physical", "vxcan.bitrate": "500000"})
    try:
        bus.start(2)
        bus.wait_healthy()
        assert_exactly_once(testbed, bus, adapter)
        adapter.end_daemon()
        bus.wait(lambda: [kind for kind, _ in reasons(plugin)] == ["bus-absent"], "the reason")
        adapter.start_daemon()
        bus.wait_healthy()
        assert_exactly_once(testbed, bus, adapter)
        assert_no_problems(plugin)
        bus.remove()
        assert BUS in bus.links()
    finally:
        bus.remove()
