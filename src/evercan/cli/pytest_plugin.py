"""Fixtures for tests of CAN software in containers: ``pip install 'evercan[testing]'``.

    def test_the_gateway_answers(can_network, can_bus):
        with DockerContainer("my/gateway").with_network(can_network):
            can_bus.send(can.Message(arbitration_id=0x123, data=[1], is_extended_id=False))
            assert can_bus.recv(timeout=5).arbitration_id == 0x456

A test that needs a CAN network is skipped with the reason and the remedy if there is none; with
``--evercan-required``, or ``EVERCAN_REQUIRED=1`` in the environment, it fails. All imports are in
the fixtures: pytest loads this module in every project that has evercan installed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import can
    from testcontainers.core.network import Network

    from evercan.cli.checks.check import Check

DRIVER = "evercan:latest"
_NEEDED = ("host", "engine", "plugin")
"""Beginnings of the ids of the checks that a network needs; other networks may be unhealthy."""

_FIRST, _NUMBERS = 100, 800
"""The numbers of the buses that tests get."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that makes a missing CAN network a failure."""
    parser.addoption(
        "--evercan-required",
        action="store_true",
        default=os.environ.get("EVERCAN_REQUIRED", "") not in ("", "0"),
        help="fail tests that need a CAN network, instead of skipping them, if there is none",
    )


def reason(checks: list[Check]) -> str:
    """Return why there can be no CAN network, with the remedies; empty if there can."""
    failed = [
        check
        for check in checks
        if check.result == "fail" and check.id.partition(".")[0] in _NEEDED
    ]
    return "; ".join(
        f"{check.title}: {check.text}" + (f" (remedy: {check.remedy})" if check.remedy else "")
        for check in failed
    )


@pytest.fixture(scope="session")
def evercan_ready(request: pytest.FixtureRequest) -> None:
    """Skip, or fail, unless the checks of ``evercan doctor`` find a plugin that works."""
    from evercan.cli.access.reach import Target  # noqa: PLC0415 - see the module
    from evercan.cli.commands.doctor import examine  # noqa: PLC0415 - see the module

    if why := reason(examine(Target(plugin=DRIVER))):
        text = f"no CAN network: {why}"
        if request.config.getoption("--evercan-required"):
            pytest.fail(text, pytrace=False)
        pytest.skip(text)


@pytest.fixture
def can_interface() -> str:
    """Return the name of the bus interface on the host: a ``vcan`` that is not there yet."""
    used = {name for _, name in socket.if_nameindex()}
    start = os.getpid() % _NUMBERS  # tests in parallel begin at different numbers
    numbers = (_FIRST + (start + step) % _NUMBERS for step in range(_NUMBERS))
    return next(name for name in map("vcan{}".format, numbers) if name not in used)


@pytest.fixture
def can_options() -> dict[str, str]:
    """Return further options of the network; override this fixture to give some."""
    return {}


@pytest.fixture
def can_network(
    evercan_ready: None,  # noqa: ARG001 - it skips
    can_interface: str,
    can_options: dict[str, str],
) -> Iterator[Network]:
    """Yield a CAN network of its own; containers join it with ``with_network(can_network)``.

    Inside a container the interface is ``can0``.
    """
    from docker.types import IPAMConfig  # noqa: PLC0415 - see the module
    from testcontainers.core.network import Network  # noqa: PLC0415 - see the module

    options = {"vxcan.id": can_interface.removeprefix("vcan"), "vxcan.peer": "can", **can_options}
    network = Network(
        docker_network_kw={
            "driver": DRIVER,
            "options": options,
            "ipam": IPAMConfig(driver="null"),
        }
    )
    with network:
        yield network


@pytest.fixture
def can_bus(
    can_network: Network,  # noqa: ARG001 - it creates the interface
    can_interface: str,
) -> Iterator[can.BusABC]:
    """Yield a python-can bus on the host's interface of the network, for classic and FD frames."""
    import can  # noqa: PLC0415 - see the module

    try:
        bus = can.Bus(channel=can_interface, interface="socketcan", fd=True)
    except OSError as error:
        pytest.skip(f"{can_interface} is not on this machine but on the engine's host: {error}")
    with bus:
        yield bus
