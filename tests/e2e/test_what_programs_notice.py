"""What happens to the programs in a container is reported with the container's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError
from prometheus_client.parser import text_string_to_metric_families

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus, NamespaceMember
from tests.e2e.command import Command
from tests.e2e.health import warnings
from tools.common.polling import wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container

BUS, NAME = "vcan73", "evercan-dashboard"


@pytest.fixture(scope="module")
def quiet_bus(testbed: Testbed) -> Iterator[Bus]:
    """Yield a bus on which only the tests of this module start containers."""
    created = Bus(testbed, BUS)
    try:
        yield created
    finally:
        created.remove()
    assert created.leftovers() == []


@pytest.fixture(scope="module")
def dashboard(testbed: Testbed, quiet_bus: Bus) -> Iterator[Container]:
    """Yield a container that publishes a port, and listens to all of its interfaces."""
    client = testbed.client()
    container = client.containers.run(
        CAN_TOOLS,
        ["candump", "-L", "any"],
        name=NAME,
        detach=True,
        network=quiet_bus.name,
        ports={"80/tcp": 8080},
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def metrics(plugin: PluginProcess) -> dict[str, float]:
    """Return how many warnings about the bus the metrics count, by kind."""
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(plugin.read("/metrics"))
        for sample in family.samples
        if sample.name == "evercan_warnings" and sample.labels["bus"] == BUS and sample.value
    }


class Bound:
    """A program in a container that is bound to its interface."""

    def __init__(self, testbed: Testbed, container: Container) -> None:
        """Start it; return when it receives frames."""
        self._container = container
        script = "candump -L can0 > /bound 2>&1"
        container.exec_run(["sh", "-c", script], detach=True)

        def is_listening() -> bool:
            testbed.host("cansend", BUS, "123#01")
            return "123#01" in self.output()

        wait_until(is_listening, 10, "the program to listen")

    def output(self) -> str:
        """Return what it has printed."""
        return str(self._container.exec_run(["cat", "/bound"]).output)


def replace_pair(testbed: Testbed, plugin: PluginProcess, bus: Bus) -> None:
    """Delete the pair of a bus's only container, and wait until evercan has replaced it."""
    [end] = bus.host_ends()
    before = bus.links()[end]["ifindex"]
    testbed.host("ip", "link", "del", end)
    wait_until(lambda: bus.links().get(end, {}).get("ifindex", before) != before, 15, "a new pair")
    wait_until(lambda: warnings(plugin, BUS) == ["pair-replaced"], 5, "the warning")


def test_a_container_is_warned_of_until_its_programs_can_use_its_interface(
    testbed: Testbed,
    plugin: PluginProcess,
    command: Command,
    quiet_bus: Bus,
    dashboard: Container,
) -> None:
    inside = NamespaceMember(testbed, dashboard, "can0")
    bound = Bound(testbed, dashboard)
    since = testbed.now()
    replace_pair(testbed, plugin, quiet_bus)
    testbed.host("cansend", BUS, "123#02")
    wait_until(lambda: "123#02" in inside.received(), 10, "a frame in the container")
    assert "123#02" not in bound.output()
    inside.send("ip link set $IF down")
    # Both, and the port that it publishes by way of the bus.
    assert warnings(plugin, BUS) == ["end-down", "pair-replaced"]
    assert metrics(plugin) == {"end-down": 1, "pair-replaced": 1}
    _, shown = command.run("status")
    doctor = command.doctor().text
    for text in (" ".join(shown.split()), doctor):
        assert f"container {NAME}" in text
        assert "the interface inside the container" in text
        assert "was replaced while its container ran" in text
    assert f"networks.ports container {NAME}: publishes port 80/tcp" in doctor
    assert f"docker network connect bridge {NAME}" in doctor

    def is_logged() -> bool:
        journal = testbed.journal(since)
        return (
            "must re-open their socket, or restart the container" in journal
            and "inside the container of endpoint" in journal
        )

    wait_until(is_logged, 10, "the log")
    assert "publishes ports (8080->80/tcp)" in testbed.journal()
    inside.send("ip link set $IF up")
    wait_until(lambda: warnings(plugin, BUS) == ["pair-replaced"], 5, "the end to be up")
    inside.send("cansend $IF 124#01")
    wait_until(lambda: warnings(plugin, BUS) == [], 10, "the new pair to be used")
    assert metrics(plugin) == {}
    replace_pair(testbed, plugin, quiet_bus)
    dashboard.restart(timeout=0)
    assert warnings(plugin, BUS) == []


def test_a_mac_address_is_rejected_and_the_error_says_where_to_put_it(
    testbed: Testbed, quiet_bus: Bus
) -> None:
    client = testbed.client()
    with pytest.raises(APIError) as rejection:
        client.containers.run(
            CAN_TOOLS,
            ["true"],
            name="evercan-mac",
            detach=True,
            network=quiet_bus.name,
            mac_address="02:42:ac:11:00:02",
        )
    client.containers.get("evercan-mac").remove(force=True)
    explanation = str(rejection.value.explanation)
    words = (
        "MacAddress",
        "a CAN interface has no MAC address",
        "networks: default: mac_address: …",
        "--network name=NETWORK,mac-address=…",
    )
    assert [word for word in words if word not in explanation] == [], explanation
