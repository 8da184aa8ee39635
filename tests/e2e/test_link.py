"""Two networks in one guest, as two hosts, joined by links over a Docker bridge network."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evercan.cli.commands.link_certs import certs
from lab.frames import Deliveries, HostMember, count_deliveries, parse_candump
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.links import health, wait_linked
from tests.e2e.thorough import only_quick
from tools.common.polling import wait_until
from tools.images import load_link

if TYPE_CHECKING:
    from docker.models.containers import Container

IP_NETWORK = f"evercan-link-{secrets.token_hex(4)}"
BURST = 0x600
"""The lowest CAN id of frames that are judged."""

CUT = 0x5A1
"""The CAN id of frames that are sent while the network is cut."""

CUTS = (1, 10, 600) if os.environ.get("EVERCAN_LONG") else (1, 10)
DEADLINE = 2
"""Seconds: an emulated machine stops for longer than the default of a tenth."""


@dataclass
class Site:
    """Two hosts' buses and how they are linked.

    Attributes:
        a: the bus of host a, whose link listens.
        b: the bus of host b, whose link connects.
        command: the ``evercan`` command.
        testbed: where all of it is.
    """

    a: Bus
    b: Bus
    command: Command
    testbed: Testbed

    def link(self, bus: Bus) -> Container:
        """Return the container of a bus's link."""
        return self.testbed.client().containers.get(f"evercan-link-{bus.name}")

    def add(self, bus: Bus, host: str, *arguments: str) -> None:
        """Add a link to a bus."""
        status, output = self.command.run(
            *("link", "add", bus.name, "--bus", "site", "--as", host, "--over", IP_NETWORK),
            *("--deadline", str(DEADLINE * 1000), *arguments),
        )
        assert status == 0, output

    def add_both(self, certificates: Path) -> None:
        """Add the link of each host, and wait until they know each other."""
        self.add(self.a, "a", "--listen", "127.0.0.1:7447", "--certs", f"{certificates}/a")
        connect = "evercan-link-" + self.a.name
        self.add(self.b, "b", "--connect", connect, "--certs", f"{certificates}/b")
        self.wait_linked()

    def wait_linked(self) -> None:
        """Wait until both links work and have heard each other."""
        wait_linked({bus.name: (self.command, bus.name) for bus in (self.a, self.b)})

    def counts(self, bus: Bus) -> dict[str, int]:
        """Return what a bus's link has counted of the other host's frames."""
        [host] = health(self.command, bus.name)["hosts"]
        return {result: host[result] for result in ("delivered", "late", "lost", "doubled")}

    def judge(self, count: int = 10) -> Deliveries:
        """Let every container and both bus interfaces send, and count what all others receive."""
        with ExitStack() as stack:
            hosts = [
                stack.enter_context(closing(HostMember(self.testbed, bus.interface)))
                for bus in (self.a, self.b)
            ]
            members = [*self.a.members(by_exec=False), *self.b.members(by_exec=False), *hosts]
            before = [len(member.received()) for member in members]
            judged = count_deliveries(members, count)
            for member, start in zip(members, before, strict=True):
                assert in_order(member.received()[start:]), member.name
        return judged

    def inside(self, bus: Bus, *argv: str) -> None:
        """Run a program of the host in the network namespace of a bus's link."""
        container = self.link(bus)
        pid = str(container.attrs["State"]["Pid"])
        self.testbed.host("nsenter", "--net", "--target", pid, *argv)


@contextmanager
def bad_network(site: Site, netem: str) -> Iterator[None]:
    """Let netem change what the links of both hosts send."""
    for bus in (site.a, site.b):  # a queue changes what an interface sends
        site.inside(bus, *f"tc qdisc add dev eth0 root netem {netem}".split())
    try:
        yield
    finally:
        for bus in (site.a, site.b):
            site.inside(bus, "tc", "qdisc", "del", "dev", "eth0", "root")


def frames_with(can_id: int, log: str) -> int:
    """Return how many frames of a log have an id."""
    return sum(frame.can_id == can_id for frame in parse_candump(log))


def in_order(log: str) -> bool:
    """Return whether the counted frames of each sender and kind came in the order of sending."""
    senders: dict[tuple[int, bool], list[int]] = {}
    for frame in parse_candump(log):
        if frame.can_id >= BURST:
            # cangen counts up from the first byte on; a flag is before the data of an FD frame.
            number = int.from_bytes(bytes.fromhex(frame.data[frame.fd :]), "little")
            senders.setdefault((frame.can_id, frame.fd), []).append(number)
    return all(numbers == sorted(numbers) for numbers in senders.values())


@pytest.fixture(scope="module")
def site(
    testbed: Testbed, command: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Yield two linked buses with a container each, for tests that leave them linked."""
    client = testbed.client()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DOCKER_HOST")  # the testbed's engine, which is slow to build on
        load_link(client, testbed.docker_host)
    network = client.networks.create(IP_NETWORK, driver="bridge")
    buses = [Bus(testbed, "vcan70"), Bus(testbed, "vcan71")]
    folder = tmp_path_factory.mktemp("site")
    made = Site(buses[0], buses[1], command, testbed)
    try:
        certs(folder, [f"a=evercan-link-{made.a.name}", "b"], days=2)
        for bus in buses:
            bus.start(1)
        made.add_both(folder)
        yield made
    finally:
        for bus in buses:
            command.run("link", "remove", bus.name)
            bus.remove()
        network.remove()
    for bus in buses:
        assert bus.leftovers() == []


def test_frames_reach_every_member_of_both_hosts_once_and_in_order(site: Site) -> None:
    judged = site.judge()
    assert judged.exactly_once, str(judged)
    for bus in (site.a, site.b):
        counts = site.counts(bus)
        assert counts["delivered"] >= 40
        assert (counts["late"], counts["lost"], counts["doubled"]) == (0, 0, 0)


def test_a_link_has_no_privilege_and_a_health_check(site: Site) -> None:
    container = site.link(site.a)
    assert container.attrs["HostConfig"]["CapDrop"] == ["ALL"]
    assert not container.attrs["HostConfig"]["Privileged"]

    def healthy() -> bool:
        container.reload()
        return str(container.attrs["State"]["Health"]["Status"]) == "healthy"

    wait_until(healthy, 60, "the health check")
    status, output = site.command.run("link", "status", site.a.name)
    assert status == 0
    assert "active, host a of bus site, 1 connected" in output


def test_a_killed_link_starts_again_and_the_local_bus_goes_on(site: Site) -> None:
    container = site.link(site.b)
    site.testbed.host("kill", "-9", str(container.attrs["State"]["Pid"]))
    local = site.a.judge(3)
    assert local.exactly_once, str(local)
    site.wait_linked()
    judged = site.judge(5)
    assert judged.exactly_once, str(judged)


@pytest.mark.parametrize("seconds", only_quick([1], CUTS))
def test_after_a_cut_of_the_network_no_old_frame_is_replayed(site: Site, seconds: int) -> None:
    sender = site.a.members(by_exec=False)[0]
    receiver = site.b.members(by_exec=False)[0]
    before, already = site.counts(site.b), frames_with(CUT, receiver.received())
    with bad_network(site, "loss 100%"):
        sender.send(f"cangen $IF -n 50 -I {CUT:X} -D i -L 8 -g 2")
        time.sleep(seconds)
    site.wait_linked()
    judged = site.judge(5)
    assert judged.exactly_once, str(judged)
    seen = frames_with(CUT, receiver.received()) - already
    after = site.counts(site.b)
    missed = {result: after[result] - before[result] for result in ("late", "lost")}
    assert seen + sum(missed.values()) == 50, (seen, missed)
    assert seen == 0 or seconds < DEADLINE


def test_frames_come_once_and_in_order_over_a_network_that_loses_and_reorders(site: Site) -> None:
    before = site.counts(site.b)
    with bad_network(site, "delay 20ms 10ms 25% loss 2% reorder 25% 50%"):
        judged = site.judge(20)
    assert judged.exactly_once, str(judged)
    after = site.counts(site.b)
    assert {result: after[result] - before[result] for result in ("late", "lost", "doubled")} == {
        "late": 0,
        "lost": 0,
        "doubled": 0,
    }


@pytest.mark.thorough
def test_a_clock_that_is_set_back_an_hour_makes_no_frame_old(site: Site, lab: Testbed) -> None:
    before = site.counts(site.b)
    started = time.time()
    lab.host("date", "-s", f"@{started - 3600:.0f}")
    try:
        judged = site.judge(10)
    finally:
        lab.host("date", "-s", f"@{time.time():.0f}")
    assert judged.exactly_once, str(judged)
    judged = site.judge(10)
    assert judged.exactly_once, str(judged)
    after = site.counts(site.b)
    assert (after["late"], after["lost"]) == (before["late"], before["lost"])


@pytest.mark.thorough
def test_status_marks_the_links_among_the_members(site: Site) -> None:
    _, shown = site.command.run("status", site.a.name)
    assert f"evercan-link-{site.a.name}: link of host a to b (" in shown
    _, picture = site.command.run("graph", site.b.name, "--format", "dot")
    assert "link of host b to a (" in picture


@pytest.mark.thorough
def test_a_wrong_certificate_is_refused_and_named(site: Site, tmp_path: Path) -> None:
    certs(tmp_path, ["b"], days=2)
    site.command.run("link", "remove", site.b.name)
    connect = "evercan-link-" + site.a.name
    site.add(site.b, "b", "--connect", connect, "--certs", f"{tmp_path}/b")

    def refused() -> bool:
        status, output = site.command.run("link", "status", site.b.name)
        return status == 1 and f"the certificate of tls/{connect}:7447 is refused" in output

    wait_until(refused, 60, "the refusal")
    assert site.a.judge(3).exactly_once
