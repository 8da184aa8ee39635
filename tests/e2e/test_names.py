"""``vxcan.name`` gives an interface in a container a name that no index changes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tools.common.polling import attempts, wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container


@pytest.fixture(scope="module")
def two(testbed: Testbed) -> Iterator[tuple[Bus, Bus]]:
    """Yield two buses whose networks use the same prefix for interfaces."""
    buses = [Bus(testbed, f"vcan{number}") for number in (71, 72)]
    try:
        yield buses[0], buses[1]
    finally:
        for bus in buses:
            bus.remove()
    for bus in buses:
        assert bus.leftovers() == []


def create(testbed: Testbed, names: dict[str, str], remove: list[str]) -> Container:
    """Create a container on networks, given their ``vxcan.name`` by network."""
    api = testbed.client().api
    endpoints = {
        network: api.create_endpoint_config(driver_opt={"vxcan.name": name})
        for network, name in names.items()
    }
    created = api.create_container(
        CAN_TOOLS,
        ["sleep", "600"],
        # The engine takes a dictionary; the stubs ask for something else.
        networking_config=api.create_networking_config(endpoints),  # type: ignore[arg-type]
        host_config=api.create_host_config(init=True),
    )
    remove.append(created["Id"])
    return testbed.client().containers.get(created["Id"])


def start(testbed: Testbed, names: dict[str, str], remove: list[str]) -> Container:
    """Create a container on networks and start it; the arguments are those of ``create``."""
    container = create(testbed, names, remove)
    container.start()
    return container


def start_when_free(container: Container) -> None:
    """Start a container, and again while the error reports that another one has its name.

    A start takes an emulated engine seconds, in which its interface has the name on the host.
    """
    for left in attempts(120, 1):
        try:
            container.start()
        except APIError as error:
            if not left or "start the container again when" not in str(error):
                raise
        else:
            return


@pytest.fixture
def started(testbed: Testbed) -> Iterator[list[str]]:
    """Yield a list of container ids; remove the containers at the end."""
    ids: list[str] = []
    yield ids

    def remove(container: str) -> None:
        with suppress(APIError):
            testbed.client().api.remove_container(container, force=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, ids))


def output_of(container: Container, *argv: str) -> bytes:
    """Run a command in a container and return its output."""
    output = container.exec_run(list(argv)).output
    assert isinstance(output, bytes)
    return output


def received(testbed: Testbed, container: Container, name: str, bus: Bus) -> str:
    """Return the frame of a bus that a candump in a container receives by a name."""
    script = f"timeout 30 candump -n 1 -L {name} > /received-{name}"
    container.exec_run(["sh", "-c", script], detach=True)
    output = b""

    def arrived() -> bool:
        nonlocal output
        testbed.host("cansend", bus.interface, f"0{bus.interface[-2:]}#01")
        output = output_of(container, "cat", f"/received-{name}")
        return b"#" in output

    wait_until(arrived, 20, f"a frame of {bus.interface} at {name}")
    return output.decode()


def test_a_container_on_two_buses_distinguishes_them_by_name(
    testbed: Testbed, two: tuple[Bus, Bus], started: list[str]
) -> None:
    one, other = two
    names = {one.name: "powertrain", other.name: "body"}
    container = start(testbed, names, started)
    assert " 071#01" in received(testbed, container, "powertrain", one)
    assert " 072#01" in received(testbed, container, "body", other)
    shown = output_of(container, "ip", "link", "show", "powertrain")
    assert b"altname powertrain" in shown
    # A pair that is repaired has its name again.
    (end,) = one.host_ends()
    testbed.host("ip", "link", "del", end)
    wait_until(
        lambda: b"altname powertrain" in output_of(container, "ip", "link"),
        15,
        "the pair and its name",
    )
    received(testbed, container, "body", other)


def test_containers_that_start_at_once_have_the_same_name(
    testbed: Testbed, two: tuple[Bus, Bus], started: list[str]
) -> None:
    names = {two[0].name: "engine"}
    containers = [create(testbed, names, started) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(start_when_free, containers))
        for container in containers:
            assert b"altname engine" in output_of(container, "ip", "link")
        # They may also stop and start at the same time.
        list(pool.map(lambda container: container.kill(), containers))
        list(pool.map(start_when_free, containers))
    for container in containers:
        assert b"altname engine" in output_of(container, "ip", "link")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("can3", "the engine may give an interface inside this name"),
        ("docker0", "the host has an interface of that name"),
        ("much-too-long-name", "has at most 15"),
    ],
)
def test_a_name_that_is_already_used_is_rejected(
    testbed: Testbed, two: tuple[Bus, Bus], started: list[str], name: str, words: str
) -> None:
    with pytest.raises(APIError, match=words):
        start(testbed, {two[0].name: name}, started)
    assert [link for link in two[0].links() if link.startswith("vxcan")] == []
