"""A real engine, a real kernel and the plugin on them, once a session."""

from __future__ import annotations

import gc
import os
import statistics
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import docker
import pytest

from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed, choose
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tools.images import load_can_tools
from tools.install import install
from tools.plugin import build

# testcontainers reads these when it is imported, which tests.e2e.bus does lazily.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

_numbers = count(10)

HEALED = "healed after seconds"
"""Name of the property in which a test records how long healing took."""

HEALTH_INTERVAL = 5.0
"""EVERCAN_HEALTH_INTERVAL in these tests, seconds; the default is 30."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each fault took to heal, and the median and the worst of them."""
    healed = sorted(
        (float(seconds), report.nodeid.partition("[")[2].rstrip("]"))
        for report in terminalreporter.stats.get("passed", [])
        for name, seconds in report.user_properties
        if name == HEALED
    )
    if not healed:
        return
    terminalreporter.section("from fault to healed, seconds")
    for seconds, fault in healed:
        terminalreporter.line(f"{seconds:6.1f}  {fault}")
    median = statistics.median(seconds for seconds, _ in healed)
    terminalreporter.line(
        f"{len(healed)} faults, median {median:.1f}, worst {healed[-1][0]:.1f}; the rule table is "
        f"compared every {HEALTH_INTERVAL:g}"
    )


def set_up_plugin(client: docker.DockerClient, *settings: str) -> None:
    """Change the plugin's settings, which the engine allows only while it is disabled."""
    client.api.disable_plugin(NAME, force=True)
    client.api.configure_plugin(NAME, list(settings))  # type: ignore[no-untyped-call] # no types
    client.api.enable_plugin(NAME, timeout=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the Docker SDK leave its pooled connections to the garbage collector, as it does."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """Choose a testbed, and put this checkout's plugin and the containers' image there."""
    with choose(helper_image=load_can_tools) as chosen:
        build(fallback=chosen.docker_host)
        client = chosen.client()
        install(client)
        set_up_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")
        load_can_tools(client, chosen.docker_host)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", chosen.docker_host)
            yield chosen
    with warnings.catch_warnings():
        # The SDK's last pooled connections, as above: no test's filter covers this moment.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def plugin(testbed: Testbed) -> PluginProcess:
    """The plugin's process on the testbed."""
    return PluginProcess(testbed)


@pytest.fixture(scope="session")
def command(testbed: Testbed) -> Command:
    """``evercan``, run on this machine."""
    return Command(testbed)


@pytest.fixture
def lab(testbed: Testbed) -> Testbed:
    """A testbed whose power may be cut."""
    if not testbed.cuts_power:
        pytest.skip("this engine's host is not ours to reboot; the lab runs this test")
    return testbed


@pytest.fixture(scope="module")
def trio(testbed: Testbed) -> Iterator[Bus]:
    """A bus with three containers, for tests that leave it whole."""
    shared = Bus(testbed, f"vcan{next(_numbers)}")
    try:
        shared.start(3)
        yield shared
    finally:
        shared.remove()
    assert shared.left_behind() == []


@pytest.fixture
def bus(testbed: Testbed) -> Iterator[Bus]:
    """A network on a bus of its own; nothing of it may be left at the end."""
    under_test = Bus(testbed, f"vcan{next(_numbers)}")
    try:
        yield under_test
    finally:
        under_test.remove()
    assert under_test.left_behind() == []
