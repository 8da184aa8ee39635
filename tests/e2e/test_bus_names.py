"""Networks get the bus that their options name, and say so if they share it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.types import IPAMConfig

from lab.compose import Project
from lab.frames import ContainerMember, HostMember, count_deliveries
from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.host_vcan import vcan

if TYPE_CHECKING:
    from docker.models.networks import Network


@contextmanager
def network(testbed: Testbed, **options: str) -> Iterator[Network]:
    """Create a network for the duration of a block."""
    created = testbed.client().networks.create(
        f"evercan-{time.monotonic_ns()}",
        driver=NAME,
        options=options,
        ipam=IPAMConfig(driver="null"),
    )
    try:
        yield created
    finally:
        created.remove()


def buses(plugin: PluginProcess) -> dict[str, str]:
    """Return the bus of each network that the plugin knows."""
    _, status = plugin.ask("/status")
    return {network["network"]: network["bus"] for network in status["networks"]}


def test_a_compose_file_with_a_word_as_id_has_a_bus_of_that_name(testbed: Testbed) -> None:
    project = Project(testbed, Path(__file__).parent / "words.yaml", "evercan-words")
    try:
        project.up()
        project.wait_running()
        [container] = project.containers()
        with closing(HostMember(testbed, "can_main")) as host:
            verdict = count_deliveries([ContainerMember(container, "can0"), host], 5)
        assert verdict.exactly_once, str(verdict)
    finally:
        project.down()
    assert "can_main" not in testbed.host("ls", "/sys/class/net").stdout.decode().split()


def test_a_network_with_the_id_auto_has_the_lowest_free_number_and_keeps_it(
    testbed: Testbed, plugin: PluginProcess
) -> None:
    options = {"vxcan.dev": "chosen", "vxcan.id": "auto"}
    with (
        vcan(testbed, "chosen1"),
        network(testbed, **options) as first,
        network(testbed, **options) as second,
    ):
        expected = {first.id: "chosen0", second.id: "chosen2"}
        assert buses(plugin).items() >= expected.items()
        plugin.kill()
        with network(testbed, **options) as third:
            assert buses(plugin).items() >= {**expected, third.id: "chosen3"}.items()
    assert "chosen" not in testbed.host("ls", "/sys/class/net").stdout.decode()


@pytest.mark.thorough
def test_networks_without_an_id_are_said_to_share_their_bus(
    testbed: Testbed, command: Command
) -> None:
    since = testbed.now()
    with network(testbed) as first, network(testbed) as second:
        shares = f"shares vcan0 with network {second.name}"
        for arguments in (("status",), ("graph", "--format", "mermaid"), ("doctor",)):
            _, output = command.run(*arguments)
            assert shares in " ".join(output.split()), output
        line = f"Network {str(second.id)[:12]} shares vcan0 with {str(first.id)[:12]}, because it"
        assert line in testbed.journal(since)


def test_an_interface_that_two_networks_name_differently_is_one_bus(testbed: Testbed) -> None:
    with vcan(testbed, "vcan50"):
        testbed.host("ip", "link", "property", "add", "dev", "vcan50", "altname", "body_main")
        bus = Bus(testbed, "vcan50")
        other = Bus(testbed, "vcan50", **{"vxcan.dev": "body_", "vxcan.id": "main"})
        try:
            bus.start(1)
            other.start(1)
            bus.containers += other.containers  # one bus: the frames of all are counted
            verdict = bus.judge()
            assert verdict.exactly_once, str(verdict)
            bus.containers = bus.containers[:1]
            other.remove()
            bus.assert_healthy(3)
        finally:
            other.remove()
            bus.remove()
