"""Fixtures that share one real engine, one real kernel and the plugin for the whole session."""

from __future__ import annotations

import gc
import os
import statistics
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import docker
import pytest

from lab.lab_testbed import LabTestbed
from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed, choose, is_lab
from lab.usb_adapters import UsbAdapters, missing_modules
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.usb_bus import MODELS
from tests.e2e.wired_bus import WiredBus, plug
from tools.images import load_can_tools
from tools.install import install
from tools.plugin import build_for

# testcontainers reads this when it is imported, which tests.e2e.bus does lazily.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

_numbers = count(10)

HEALED = "healed after seconds"
"""Name of the test property that holds how long a recovery took."""

TWO_GUESTS = 10 << 30
"""Bytes of memory that a machine needs to run two guests of the lab, with 3 GiB each."""

LONGEST = ("test_installer.py", "test_power_cuts.py", "test_two_hosts.py", "test_many.py")
"""Files of few tests that take minutes; at the end, one guest would wait for the other."""

HEALTH_INTERVAL = 5.0
"""EVERCAN_HEALTH_INTERVAL in these tests, in seconds; the default is 30."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long each recovery took, with the median and the longest."""
    healed = sorted(
        (float(seconds), report.nodeid.partition("[")[2].rstrip("]"))
        for report in terminalreporter.stats.get("passed", [])
        for name, seconds in report.user_properties
        if name == HEALED
    )
    if not healed:
        return
    terminalreporter.section("seconds from fault to recovery")
    for seconds, fault in healed:
        terminalreporter.line(f"{seconds:6.1f}  {fault}")
    median = statistics.median(seconds for seconds, _ in healed)
    terminalreporter.line(
        f"{len(healed)} faults, median {median:.1f}, longest {healed[-1][0]:.1f}; the rule table "
        f"is checked every {HEALTH_INTERVAL:g} s"
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Answer ``-n auto``: two guests of the lab, each with its files; an engine has one user."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if (os.cpu_count() or 1) < 2 or memory < TWO_GUESTS or not is_lab(helper_image=load_can_tools):
        return 0
    config.option.dist = "loadfile"
    config.option.loadscopereorder = False  # the files with most tests would come first
    return 2


def configure_plugin(client: docker.DockerClient, *settings: str) -> None:
    """Change settings of the plugin; the engine allows that only while it is disabled."""
    client.api.disable_plugin(NAME, force=True)
    client.api.configure_plugin(NAME, list(settings))  # type: ignore[no-untyped-call] # no types
    client.api.enable_plugin(NAME, timeout=0)


@contextmanager
def plugin_disabled(client: docker.DockerClient, name: str = NAME) -> Iterator[None]:
    """Disable the plugin for the duration of a block."""
    client.api.disable_plugin(name, force=True)
    try:
        yield
    finally:
        client.api.enable_plugin(name, timeout=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, and allow the Docker SDK to leave its pooled connections.

    The garbage collector closes those.
    """
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


def prepare(testbed: Testbed) -> None:
    """Install this checkout's plugin and the containers' image on a testbed."""
    build_for(testbed.docker_host)
    client = testbed.client()
    install(client)
    configure_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")
    load_can_tools(client, testbed.docker_host)


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """Choose a testbed; install this checkout's plugin and the containers' image on it."""
    with choose(helper_image=load_can_tools) as chosen:
        prepare(chosen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", chosen.docker_host)
            yield chosen
    with warnings.catch_warnings():
        # The SDK's last pooled connections, as above: the tests' filter has ended by now.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def plugin(testbed: Testbed) -> PluginProcess:
    """Return the plugin's process on the testbed."""
    return PluginProcess(testbed)


@pytest.fixture(scope="session")
def command(testbed: Testbed) -> Command:
    """Return the ``evercan`` command, run on this machine against the testbed."""
    return Command(testbed)


@pytest.fixture
def lab(testbed: Testbed) -> Testbed:
    """Return a testbed whose power may be cut."""
    if not testbed.cuts_power:
        pytest.skip("this engine's host must not be rebooted; the lab runs this test")
    return testbed


def _next_bus(testbed: Testbed) -> Bus:
    return Bus(testbed, f"vcan{next(_numbers)}")


@contextmanager
def _three_containers(testbed: Testbed, restart: str) -> Iterator[Bus]:
    shared = _next_bus(testbed)
    try:
        shared.start(3, restart=restart)
        yield shared
    finally:
        shared.remove()
    assert shared.leftovers() == []


@pytest.fixture(scope="module")
def trio(testbed: Testbed) -> Iterator[Bus]:
    """Yield a bus with three containers, for tests that leave it healthy."""
    with _three_containers(testbed, "no") as shared:
        yield shared


@pytest.fixture(scope="module")
def lasting_trio(testbed: Testbed) -> Iterator[Bus]:
    """Yield a bus like ``trio`` whose containers the engine starts again when it restarts."""
    with _three_containers(testbed, "always") as shared:
        yield shared


@pytest.fixture
def bus(testbed: Testbed) -> Iterator[Bus]:
    """Yield a network on a bus of its own, and assert that nothing of it remains at the end."""
    created = _next_bus(testbed)
    try:
        yield created
    finally:
        created.remove()
    assert created.leftovers() == []


@pytest.fixture(scope="module")
def wire(testbed: Testbed) -> Iterator[LabTestbed]:
    """Yield the lab with both controllers as they are after power-on."""
    if not isinstance(testbed, LabTestbed):
        pytest.skip("this engine's host has no controllers to unplug; the lab runs this test")
    plug(testbed, 0, 1)
    yield testbed
    plug(testbed, 0, 1)


@pytest.fixture(scope="module")
def wired(wire: LabTestbed) -> Iterator[WiredBus]:
    """Yield a bus with two containers on the first controller, for tests that leave it healthy."""
    shared = WiredBus(wire)
    try:
        shared.bring_up_other()
        shared.start(2, restart="always")
        yield shared
    finally:
        shared.remove()
    assert "UP" in shared.shown()["flags"], "removing a network must not bring a controller down"


@pytest.fixture(scope="module")
def adapters(testbed: Testbed) -> Iterator[UsbAdapters]:
    """Yield adapters on one wire, all plugged in."""
    missing = missing_modules(testbed)
    if missing and not isinstance(testbed, LabTestbed):
        pytest.skip(f"the kernel of {testbed.name} lacks {', '.join(missing)}; the lab has them")
    with closing(UsbAdapters(testbed, MODELS)) as played:
        for serial in MODELS:
            played.plug(serial)
        yield played
