"""Every frame reaches every other member of a bus exactly once, in all ordinary situations."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from lab.compose import Project
from lab.frames import ContainerMember, HostMember, Member, count_deliveries
from lab.plugin_process import PluginProcess
from lab.rules import Job, mesh_problems, parse_cangw
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.host_vcan import vcan

EIGHT = Path(__file__).parent / "eight.yaml"


def test_every_frame_reaches_every_member_exactly_once(trio: Bus) -> None:
    # Its containers were started at the same time.
    verdict = trio.assert_healthy(by_exec=True)
    assert verdict.expected == 4 * 20 * 3  # four members send ten classic and ten FD frames each


def test_a_container_has_the_can_interface_and_nothing_else(trio: Bus) -> None:
    container = trio.containers[0]
    links: Any = container.exec_run(["ls", "/sys/class/net"]).output
    routes = container.exec_run(["ip", "route", "show", "table", "all", "type", "unicast"]).output
    assert links.split() == [b"can0", b"lo"]
    assert routes == b""


def test_cansend_sends_fd_frames_from_host_and_container_also_on_kernel_7(
    trio: Bus, testbed: Testbed
) -> None:
    # From kernel 7 on a new vcan or vxcan has MTU 2060, and cansend then refuses FD frames.
    links = trio.links()
    assert {links[name]["mtu"] for name in (trio.interface, *trio.host_ends())} == {72}
    sender, *listeners = trio.containers
    sent: Any = sender.exec_run(["cansend", "can0", "6A1##1C0FFEE"])
    assert (sent.exit_code, sent.output) == (0, b"")
    testbed.host("cansend", trio.interface, "6A2##1C0FFEE")
    # The digit after ## has the frame's flags; the kernel adds that of FD itself.
    frames = [re.compile(rb" 6A1##.C0FFEE\n"), re.compile(rb" 6A2##.C0FFEE\n")]

    def all_received() -> bool:
        logs = [bytes(listener.logs(stderr=False)) for listener in listeners]
        return all(len(frame.findall(log)) == 1 for frame in frames for log in logs)

    trio.wait(all_received, "each FD frame once at each of the other containers")


def test_killing_the_plugin_keeps_the_interfaces_and_new_containers_reach_the_old_ones(
    trio: Bus, plugin: PluginProcess
) -> None:
    before = trio.links()
    plugin.kill()
    assert {name: link["ifindex"] for name, link in trio.links().items()} == {
        name: link["ifindex"] for name, link in before.items()
    }
    trio.assert_healthy()
    [added] = trio.start(1)
    trio.assert_healthy()
    trio.discard(added)


def test_lost_interfaces_of_a_killed_plugin_are_recovered_at_join_and_logged(
    bus: Bus, plugin: PluginProcess, testbed: Testbed
) -> None:
    [container] = bus.start(1)
    since = testbed.now()
    pid = plugin.pid()
    names = [bus.interface, *bus.host_ends()]
    testbed.host(
        "sh", "-c", f"kill -KILL {pid}; for link in {' '.join(names)}; do ip link del $link; done"
    )
    bus.wait(lambda: bus.interface in bus.links(), f"{bus.interface} to exist again")
    container.restart(timeout=1)
    bus.start(1)
    bus.assert_healthy()
    journal = testbed.journal(since)
    assert f"Interface {bus.interface} missing, recreating" in journal
    assert "cause=deleted" in journal
    assert "after reboot" not in journal


def test_a_join_of_an_unknown_endpoint_recreates_it(
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
        "Interface vxcanc0ffee42 missing, recreating",
        "Successfully recreated interface pair: vxcanc0ffee42 <-> vxcanc0ffee42p",
        "interfaces were recreated",
        "cause=unknown-endpoint",
    ):
        assert words in journal
    for verb in ("Leave", "DeleteEndpoint"):
        assert plugin.ask(f"/NetworkDriver.{verb}", body) == (200, {})


def test_eight_containers_of_a_compose_file_start_at_once(testbed: Testbed) -> None:
    def host_ends() -> set[str]:
        names = testbed.host("ls", "/sys/class/net").stdout.decode().split()
        return {name for name in names if name.startswith("vxcan")}

    before = host_ends()
    project = Project(testbed, EIGHT, "evercan-eight")
    try:
        project.up(app=8)
        project.wait_running()
        containers = project.containers()
        assert len(containers) == 8
        table = testbed.host("cangw", "-L", check=False).stdout.decode()
        ends = sorted(host_ends() - before)
        assert len(ends) == 8
        assert mesh_problems(parse_cangw(table), "vcan8", ends) == []
        host = HostMember(testbed, "vcan8")
        members: list[Member] = [
            *(ContainerMember(container, "can0") for container in containers),
            host,
        ]
        verdict = count_deliveries(members, 5)
        host.close()
        assert verdict.exactly_once, str(verdict)
    finally:
        project.down()
    assert host_ends() == before


def test_two_networks_on_one_interface_are_one_bus_and_removing_them_leaves_what_others_made(
    testbed: Testbed, bus: Bus
) -> None:
    def jobs() -> Counter[Job]:
        return parse_cangw(testbed.host("cangw", "-L", check=False).stdout.decode())

    for name in ("vcan900", "vcan901"):
        testbed.host("ip", "link", "add", name, "type", "vcan")
        testbed.host("ip", "link", "set", name, "up")
    testbed.host("cangw", "-A", "-s", "vcan900", "-d", "vcan901", "-e")
    before = jobs()
    other = Bus(testbed, bus.interface)
    try:
        bus.start(1)
        other.start(1)
        bus.containers += other.containers  # one bus: the frames of all of them are counted
        verdict = bus.judge()
        assert verdict.exactly_once, str(verdict)
        bus.containers = bus.containers[:1]
        other.remove()
        assert bus.interface in bus.links()
        bus.assert_healthy()
        bus.remove()
        assert bus.leftovers() == []
        assert {"vcan900", "vcan901"} <= set(bus.links())
        assert jobs() == before
        assert [
            (job.source, times) for job, times in before.items() if job.target == "vcan901"
        ] == [("vcan900", 1)]
    finally:
        other.remove()
        for name in ("vcan900", "vcan901"):
            testbed.host("ip", "link", "del", name, check=False)


def test_a_bus_interface_that_existed_before_is_used_and_kept(testbed: Testbed) -> None:
    with vcan(testbed, "vcan800"):
        bus = Bus(testbed, "vcan800")
        try:
            bus.start(1)
            bus.assert_healthy()  # the host is the other member
            bus.remove()
            assert "vcan800" in bus.links()
        finally:
            bus.remove()
