"""``vxcan.bridge``: further interfaces of the host are members of a bus.

People who forward frames to another interface with ``cangw -A -s vcan0 -d vcan9 -e`` find
that nothing passes from or to containers (can-utils#478, #483, #433).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from docker.errors import APIError

from lab.frames import Deliveries, HostMember, count_deliveries
from lab.lab_testbed import LabTestbed
from lab.plugin_process import PluginProcess
from lab.rules import Job, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALTH_INTERVAL
from tests.e2e.host_vcan import vcan
from tests.e2e.test_adopt import remove_state
from tests.e2e.wired_bus import OTHER
from tools.common.polling import wait_until

BUS, BRIDGED, ALSO = "vcan40", "vcan41", "vcan42"
"""Names that no other test uses."""


@contextmanager
def bridged_bus(testbed: Testbed, *names: str, containers: int = 2) -> Iterator[Bus]:
    """Create a network with bridged interfaces, and containers on it."""
    bus = Bus(testbed, BUS, **{"vxcan.bridge": ",".join(names)})
    try:
        bus.start(containers)
        yield bus
    finally:
        bus.remove()


def judge(testbed: Testbed, bus: Bus, *hosts: str, fd: bool = True) -> Deliveries:
    """Let containers and interfaces of the host send frames, and count what all others receive."""
    with ExitStack() as stack:
        members = bus.members(by_exec=False)
        for name in hosts:
            members.append(stack.enter_context(closing(HostMember(testbed, name))))
        return count_deliveries(members, 10, fd=fd, gap_ms=5 if fd else 20)


def jobs(testbed: Testbed, *names: str) -> list[Job]:
    """Return the rules between some interfaces of the host, each as often as it exists."""
    table = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
    return [job for job in table.elements() if {job.source, job.target} <= {*names}]


def kinds(plugin: PluginProcess, part: str = "reasons") -> list[str]:
    """Return the kinds of the reasons, or of the warnings, that ``/health`` has for the bus."""
    _, answer = plugin.ask("/health")
    return [reason["kind"] for reason in answer[part] if reason["bus"] == BUS]


def test_each_frame_appears_once_on_every_interface_and_in_every_container(
    testbed: Testbed, plugin: PluginProcess
) -> None:
    with vcan(testbed, BRIDGED, ALSO), bridged_bus(testbed, BRIDGED, ALSO) as bus:
        verdict = judge(testbed, bus, BUS, BRIDGED, ALSO)
        assert verdict.exactly_once, str(verdict)
        assert kinds(plugin) == []


def test_an_interface_that_is_absent_is_waited_for_and_may_go_and_come(
    testbed: Testbed, plugin: PluginProcess
) -> None:
    with bridged_bus(testbed, BRIDGED) as bus:
        assert kinds(plugin) == ["bridge-absent"]
        assert BRIDGED not in bus.links()
        for _ in range(2):
            with vcan(testbed, BRIDGED):
                wait_until(lambda: kinds(plugin) == [], 10, f"{BRIDGED} to be a member")
                verdict = judge(testbed, bus, BUS, BRIDGED)
                assert verdict.exactly_once, str(verdict)
            wait_until(lambda: kinds(plugin) == ["bridge-absent"], 10, f"{BRIDGED} to be missed")
        verdict = judge(testbed, bus, BUS)
        assert verdict.exactly_once, str(verdict)


def test_flushed_rules_of_a_bridged_bus_are_repaired(testbed: Testbed) -> None:
    with vcan(testbed, BRIDGED), bridged_bus(testbed, BRIDGED) as bus:
        testbed.host("cangw", "-F")
        wait_until(lambda: len(jobs(testbed, BUS, BRIDGED)) == 4, HEALTH_INTERVAL + 15, "the rules")
        verdict = judge(testbed, bus, BUS, BRIDGED)
        assert verdict.exactly_once, str(verdict)


def test_rules_between_interfaces_of_the_host_go_with_the_network_and_those_of_others_stay(
    testbed: Testbed,
) -> None:
    with vcan(testbed, BUS, BRIDGED):
        add = f"cangw -A -s {BUS} -d {BRIDGED} -e -i -l 1"
        testbed.host("sh", "-c", add)
        theirs = jobs(testbed, BUS, BRIDGED)
        try:
            with bridged_bus(testbed, BRIDGED, containers=1) as bus:
                assert len(jobs(testbed, BUS, BRIDGED)) == 4
                verdict = judge(testbed, bus, BUS, BRIDGED)
                assert verdict.exactly_once, str(verdict)
            assert jobs(testbed, BUS, BRIDGED) == theirs
        finally:
            testbed.host("sh", "-c", add.replace("-A", "-D"), check=False)


def test_rules_of_a_network_that_went_while_the_state_was_lost_are_found_by_their_mark(
    testbed: Testbed, command: Command
) -> None:
    with vcan(testbed, BUS, BRIDGED):
        bus = Bus(testbed, BUS, **{"vxcan.bridge": BRIDGED})
        try:
            remove_state(testbed)
        finally:
            bus.remove()
        assert len(jobs(testbed, BUS, BRIDGED)) == 4
        status, output = command.run("adopt", "--prune")
        assert status == 0, output
        assert f"stray rules {BUS} <-> {BRIDGED}: removed" in output
        assert jobs(testbed, BUS, BRIDGED) == []


def test_an_interface_of_another_bus_is_rejected_by_its_name(testbed: Testbed) -> None:
    with vcan(testbed, BRIDGED), bridged_bus(testbed, BRIDGED, containers=1):
        with pytest.raises(APIError, match=f"{BRIDGED} is a member of another bus"):
            Bus(testbed, ALSO, **{"vxcan.bridge": BRIDGED})
        with pytest.raises(APIError, match=f"{BRIDGED} is a member of the bus {BUS}"):
            Bus(testbed, BRIDGED)


def test_the_doctor_names_rules_of_somebody_else_and_the_option(
    testbed: Testbed, plugin: PluginProcess, command: Command
) -> None:
    bus = Bus(testbed, BUS)
    try:
        bus.start(1)
        with vcan(testbed, BRIDGED):
            for source, target in ((BUS, BRIDGED), (BRIDGED, BUS)):
                testbed.host("cangw", "-A", "-s", source, "-d", target, "-e")
            assert kinds(plugin, "warnings") == ["foreign-rules"]
            text = command.doctor().text
            assert "health.foreign-rules" in text
            assert f"vxcan.bridge={BRIDGED}" in text
        assert kinds(plugin, "warnings") == []
    finally:
        bus.remove()


def test_a_bridged_controller_is_a_member_and_stays_as_the_host_configured_it(
    lab: LabTestbed, plugin: PluginProcess
) -> None:
    up = f"ip link set {OTHER} down; ip link set {OTHER} up type can bitrate 500000"
    lab.host("sh", "-c", up)
    with bridged_bus(lab, OTHER) as bus:
        assert kinds(plugin) == []
        before = bus.links()[OTHER]["linkinfo"]
        lab.host("ip", "link", "set", OTHER, "down")
        wait_until(lambda: kinds(plugin) == ["bridge-down"], 10, "the controller to be missed")
        lab.host("sh", "-c", up)
        wait_until(lambda: kinds(plugin) == [], 10, "the controller to be back")
        after = bus.links()[OTHER]["linkinfo"]
        assert after["info_data"]["bittiming"] == before["info_data"]["bittiming"]
