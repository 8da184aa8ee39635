"""The lab's two CAN controllers, and a Docker network on the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

from lab.frames import Deliveries, HostMember, count_deliveries
from lab.lab_testbed import LabTestbed
from lab.qmp import QmpError
from tests.e2e.bus import Bus
from tools.common.polling import wait_until

BUS, OTHER = "can0", "can1"
OPTIONS = {"vxcan.kind": "physical", "vxcan.bitrate": "500000", "vxcan.restart-ms": "100"}


class WiredBus(Bus):
    """A network on the first controller, with the second one listening on the wire."""

    def __init__(self, testbed: LabTestbed) -> None:
        self.lab = testbed
        super().__init__(testbed, BUS, **OPTIONS)

    def bring_up_other(self) -> None:
        """Bring up the second controller, as a node that is not evercan's."""
        script = f"ip link set {OTHER} down; ip link set {OTHER} up type can bitrate 500000"
        self.lab.host("sh", "-c", script)

    def judge(self, count: int = 10, *, by_exec: bool = False) -> Deliveries:
        """Let containers, the host and the other node send classic frames, and count."""
        with ExitStack() as stack:
            members = self.members(by_exec=by_exec)
            for interface in (BUS, OTHER):
                member = HostMember(self.lab, interface)
                members.append(stack.enter_context(closing(member)))
            return count_deliveries(members, count, fd=False, gap_ms=20)

    def shown(self, interface: str = BUS) -> dict[str, Any]:
        """Return an interface as ``ip -details`` shows it."""
        return self.links()[interface]

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Let the first container send all the time, beside the frames that are counted."""
        sender = self.containers[0]
        script = "echo $$ > /sender; exec cangen can0 -I 123 -L 8 -g 50 -x"
        sender.exec_run(["sh", "-c", script], detach=True)
        try:
            yield
        finally:
            sender.exec_run(["sh", "-c", "kill $(cat /sender)"])

    @contextmanager
    def slow_wire(self) -> Iterator[None]:
        """Hold the bus at about 60 frames/s, so that a flood fills its queue on any machine.

        An emulated controller sends as fast as its processor permits: how full its queue
        becomes depends on the machine otherwise.
        """
        limits = ["tbf", "rate", "8kbit", "burst", "72", "limit", "160"]
        self.lab.host("tc", "qdisc", "add", "dev", BUS, "root", *limits)
        try:
            yield
        finally:
            self.lab.host("tc", "qdisc", "del", "dev", BUS, "root")

    def wait_for_frames(self) -> float:
        """Wait until the other node receives the containers' traffic; return the seconds."""
        with closing(HostMember(self.lab, OTHER)) as other:
            return wait_until(lambda: " 123#" in other.received(), 30, f"traffic on {OTHER}")


def plug(lab: LabTestbed, *controllers: int) -> None:
    """Take all controllers out and put some in again, in this order."""
    for controller in (0, 1):
        with suppress(QmpError):
            lab.unplug(controller)
    for controller in controllers:
        lab.replug(controller)
