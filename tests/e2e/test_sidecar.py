"""A container that shares the network of another one (``--network container:NAME``)."""

from __future__ import annotations

from contextlib import closing

from lab.frames import HostMember, count_deliveries
from lab.testbed import Testbed
from tests.e2e.bus import Bus, NamespaceMember
from tools.images import CAN_TOOLS


def test_a_sidecar_shares_the_interface_which_goes_with_its_owner_alone(
    bus: Bus, testbed: Testbed
) -> None:
    owner, _ = bus.start(2)
    sidecar = testbed.client().containers.run(
        CAN_TOOLS,
        ["candump", "-L", "any"],
        detach=True,
        network_mode=f"container:{owner.id}",
        stop_signal="SIGKILL",
    )
    try:
        with closing(HostMember(testbed, bus.interface)) as host:
            members = [*bus.members(by_exec=False), NamespaceMember(testbed, sidecar, "can0"), host]
            verdict = count_deliveries(members)
        assert verdict.exactly_once, str(verdict)
        ends = bus.host_ends()
        assert len(ends) == 2
        sidecar.restart(timeout=0)
        assert bus.host_ends() == ends
        bus.assert_healthy()
        bus.discard(owner)
        bus.wait_healthy()
        sidecar.reload()
        assert sidecar.status == "running"
        assert b"can0" not in sidecar.exec_run(["ls", "/sys/class/net"]).output
    finally:
        sidecar.remove(force=True)
