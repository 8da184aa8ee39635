"""Names for people inside containers: whatever index the engine chose, ``candump powertrain``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tools.common.polling import wait_until
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container


@pytest.fixture
def two(testbed: Testbed) -> Iterator[tuple[Bus, Bus]]:
    """Two buses whose networks call interfaces alike."""
    buses = [Bus(testbed, f"vcan{number}") for number in (71, 72)]
    try:
        yield buses[0], buses[1]
    finally:
        for each in buses:
            each.remove()
    for each in buses:
        assert each.left_behind() == []


def start(testbed: Testbed, names: dict[str, str], remove: list[str]) -> Container:
    """Start a container on networks, by ``vxcan.name``."""
    api = testbed.client().api
    places = {
        network: api.create_endpoint_config(driver_opt={"vxcan.name": name})
        for network, name in names.items()
    }
    made = api.create_container(
        CAN_TOOLS,
        ["sleep", "600"],
        # A dictionary, as the engine takes it; the stubs have it otherwise.
        networking_config=api.create_networking_config(places),  # type: ignore[arg-type]
        host_config=api.create_host_config(init=True),
    )
    remove.append(made["Id"])
    api.start(made["Id"])
    return testbed.client().containers.get(made["Id"])


@pytest.fixture
def started(testbed: Testbed) -> Iterator[list[str]]:
    """Ids of containers that are removed at the end."""
    ids: list[str] = []
    yield ids
    for each in ids:
        with suppress(APIError):
            testbed.client().api.remove_container(each, force=True)


def said(container: Container, *argv: str) -> bytes:
    """Return what a command says in a container."""
    output = container.exec_run(list(argv)).output
    assert isinstance(output, bytes)
    return output


def heard(testbed: Testbed, container: Container, name: str, bus: Bus) -> str:
    """Return the frame that a candump of a name in a container hears from a bus."""
    script = f"timeout 30 candump -n 1 -L {name} > /heard-{name}"
    container.exec_run(["sh", "-c", script], detach=True)
    output = b""

    def arrived() -> bool:
        nonlocal output
        testbed.host("cansend", bus.interface, f"0{bus.interface[-2:]}#01")
        output = said(container, "cat", f"/heard-{name}")
        return b"#" in output

    wait_until(arrived, 20, f"{name} to hear {bus.interface}")
    return output.decode()


def test_a_container_on_two_buses_tells_them_apart_by_name(
    testbed: Testbed, two: tuple[Bus, Bus], started: list[str]
) -> None:
    one, other = two
    names = {one.name: "powertrain", other.name: "body"}
    container = start(testbed, names, started)
    assert " 071#01" in heard(testbed, container, "powertrain", one)
    assert " 072#01" in heard(testbed, container, "body", other)
    shown = said(container, "ip", "link", "show", "powertrain")
    assert b"altname powertrain" in shown
    # A pair that is put back has its name again.
    (end,) = one.host_ends()
    testbed.host("ip", "link", "del", end)
    wait_until(
        lambda: b"altname powertrain" in said(container, "ip", "link"),
        15,
        "the pair and its name",
    )
    heard(testbed, container, "body", other)


def test_containers_that_start_at_once_have_the_same_name(
    testbed: Testbed, bus: Bus, started: list[str]
) -> None:
    # Two: under emulation an engine takes seconds from a Join to taking the interface,
    # and the last of many would wait for longer than a call may take.
    with ThreadPoolExecutor(2) as pool:
        containers = list(
            pool.map(lambda _: start(testbed, {bus.name: "engine"}, started), range(2))
        )
    for each in containers:
        assert b"altname engine" in said(each, "ip", "link")
    # They may also stop and start in each other's way.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: each.restart(timeout=0), containers))
    for each in containers:
        assert b"altname engine" in said(each, "ip", "link")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("can3", "the engine may call an interface in the container so"),
        ("docker0", "the host has an interface of that name"),
        ("much-too-long-name", "has at most 15"),
    ],
)
def test_a_name_that_clashes_is_refused(
    testbed: Testbed, bus: Bus, started: list[str], name: str, words: str
) -> None:
    with pytest.raises(APIError, match=words):
        start(testbed, {bus.name: name}, started)
    assert [each for each in bus.links() if each.startswith("vxcan")] == []
