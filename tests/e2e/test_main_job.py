"""Frames between containers and host: exactly once, whatever came before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.compose import Project
from lab.frames import ContainerMember, HostMember, Member, count_deliveries
from lab.plugin_process import PluginProcess
from lab.rules import mesh_problems, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus

EIGHT = Path(__file__).parent / "eight.yaml"


def test_every_frame_reaches_every_member_exactly_once(bus: Bus) -> None:
    bus.start(3)  # at the same moment
    verdict = bus.assert_whole()
    assert verdict.expected == 4 * 20 * 3  # four members send ten classic and ten FD frames each


def test_after_a_power_cut_the_bus_comes_back_by_itself(lab: Testbed, bus: Bus) -> None:
    bus.start(3, restart="always")
    bus.assert_whole()
    lab.power_cut()
    bus.reconnect()
    bus.wait_whole(120)
    bus.assert_whole()


def test_a_new_container_hears_the_ones_that_were_there_when_the_plugin_was_killed(
    bus: Bus, plugin: PluginProcess
) -> None:
    bus.start(2)
    plugin.kill()
    bus.start(1)
    bus.assert_whole()


def test_killing_the_plugin_does_not_touch_the_traffic(bus: Bus, plugin: PluginProcess) -> None:
    bus.start(2)
    before = bus.links()
    plugin.kill()
    assert {name: link["ifindex"] for name, link in bus.links().items()} == {
        name: link["ifindex"] for name, link in before.items()
    }
    bus.assert_whole()


def test_a_simulated_reboot_is_recovered_at_join_and_said_in_known_words(
    bus: Bus, plugin: PluginProcess, testbed: Testbed
) -> None:
    [container] = bus.start(1)
    since = testbed.now()
    pid = plugin.pid()
    names = [bus.interface, *bus.host_ends()]
    testbed.host(
        "sh", "-c", f"kill -KILL {pid}; for each in {' '.join(names)}; do ip link del $each; done"
    )
    bus.wait(lambda: bus.interface in bus.links(), f"{bus.interface} to come back")
    container.restart(timeout=1)
    bus.start(1)
    bus.assert_whole()
    assert f"Interface {bus.interface} missing after reboot, recreating" in testbed.journal(since)


def test_a_join_of_an_endpoint_that_is_not_on_record_recreates_it(
    bus: Bus, plugin: PluginProcess, testbed: Testbed
) -> None:
    since = testbed.now()
    ids = {"NetworkID": bus.network_id, "EndpointID": "c0ffee42" * 8}
    body = json.dumps(ids).encode()
    status, answer = plugin.ask("/NetworkDriver.Join", body)
    assert status == 200, answer
    assert answer["InterfaceName"] == {"SrcName": "vxcanc0ffee42p", "DstPrefix": "can"}
    assert "vxcanc0ffee42" in bus.links()
    journal = testbed.journal(since)
    for words in (
        "not found in memory (likely post-reboot), recreating",
        "Interface vxcanc0ffee42 missing after reboot, recreating",
        "Successfully recreated interface pair: vxcanc0ffee42 <-> vxcanc0ffee42p",
        "interfaces were recreated after reboot",
    ):
        assert words in journal
    for verb in ("Leave", "DeleteEndpoint"):
        assert plugin.ask(f"/NetworkDriver.{verb}", body) == (200, {})


def test_a_container_has_the_can_interface_and_nothing_else(bus: Bus) -> None:
    [container] = bus.start(1)
    links: Any = container.exec_run(["ls", "/sys/class/net"]).output
    routes = container.exec_run(["ip", "route", "show", "table", "all", "type", "unicast"]).output
    assert links.split() == [b"can0", b"lo"]
    assert routes == b""


def test_eight_containers_of_a_compose_file_come_up_at_once(testbed: Testbed) -> None:
    project = Project(testbed, EIGHT, "evercan-eight")
    try:
        project.up(app=8)
        project.wait_running()
        containers = project.containers()
        assert len(containers) == 8
        table = testbed.host("cangw", "-L", check=False).stdout.decode()
        ends = [
            name
            for name in testbed.host("ls", "/sys/class/net").stdout.decode().split()
            if name.startswith("vxcan")
        ]
        assert len(ends) == 8
        assert mesh_problems(parse_cangw(table), "vcan8", ends) == []
        host = HostMember(testbed, "vcan8")
        members: list[Member] = [*(ContainerMember(each, "can0") for each in containers), host]
        verdict = count_deliveries(members, 5)
        host.close()
        assert verdict.exactly_once, str(verdict)
    finally:
        project.down()


def test_removing_a_network_leaves_nothing_of_ours_and_all_of_others(
    testbed: Testbed, bus: Bus
) -> None:
    for name in ("vcan900", "vcan901"):
        testbed.host("ip", "link", "add", name, "type", "vcan")
        testbed.host("ip", "link", "set", name, "up")
    testbed.host("cangw", "-A", "-s", "vcan900", "-d", "vcan901", "-e")
    try:
        bus.start(2)
        bus.assert_whole()
        bus.remove()
        assert bus.left_behind() == []
        assert {"vcan900", "vcan901"} <= set(bus.links())
        jobs = parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())
        assert [(job.source, job.target, times) for job, times in jobs.items()] == [
            ("vcan900", "vcan901", 1)
        ]
    finally:
        for name in ("vcan900", "vcan901"):
            testbed.host("ip", "link", "del", name, check=False)


def test_a_bus_interface_that_was_there_before_is_used_and_kept(testbed: Testbed) -> None:
    testbed.host("ip", "link", "add", "vcan800", "type", "vcan")
    testbed.host("ip", "link", "set", "vcan800", "up")
    bus = Bus(testbed, "vcan800")
    try:
        bus.start(2)
        bus.assert_whole()
        bus.remove()
        assert "vcan800" in bus.links()
    finally:
        bus.remove()
        testbed.host("ip", "link", "del", "vcan800", check=False)


def test_two_networks_on_one_interface_are_one_bus(testbed: Testbed, bus: Bus) -> None:
    other = Bus(testbed, bus.interface)
    try:
        bus.start(1)
        other.start(1)
        bus.containers += other.containers  # one bus: the judge asks for all of them
        verdict = bus.judge()
        assert verdict.exactly_once, str(verdict)
        bus.containers = bus.containers[:1]
        other.remove()
        assert bus.interface in bus.links()
        bus.assert_whole()
    finally:
        other.remove()
