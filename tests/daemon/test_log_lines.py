"""The log: nothing while everything is healthy, and every event as a sequence of lines."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evercan.log.writer import TextFormatter, call_id
from evercan.options.network import network_options
from evercan.reconcile.inspector import Inspector
from evercan.reconcile.reconciler import Reconciler
from evercan.reconcile.state_file import StateFile
from tests.support.changes import creating, joining, run_pass
from tests.support.engine import Engine, engine_id
from tests.support.fake_kernel import FakeKernel
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, DASHBOARD, LOGGER = map(engine_id, ("powertrain", "dashboard", "logger"))
N, D = NETWORK[:12], DASHBOARD[:12]
END = f"vxcan{DASHBOARD[:8]}"


class Lines(logging.Handler):
    """Collects the lines in the format in which they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.call = call_id.get()
        self.lines.append(self.format(record))

    def contains(self, words: str) -> bool:
        """Return whether a line has these words."""
        return any(words in line for line in self.lines)

    def drain(self) -> list[str]:
        """Return the lines since the last call."""
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture
def log() -> Iterator[Lines]:
    lines = Lines()
    logger = logging.getLogger("evercan")
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(lines)


async def test_the_recovery_after_a_reboot_is_logged_in_order(
    engine: Engine, plugin: Plugin, log: Lines
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    log.drain()
    await plugin.reboot("boot-2")
    await wait_until(lambda: log.contains("evercan serves"))
    await engine.join(NETWORK, DASHBOARD)  # a legacy plugin gets no Leave and DeleteEndpoint first
    bus = f"network={N} interface=vcan0"
    pair = f"network={N} endpoint={D} interface={END}"
    joins = f"{pair} call=Join-1"
    recovers = f"{pair} cause=reboot call=Join-1"
    assert log.drain() == [
        "INFO    evercan stops; all interfaces stay as they are",
        "INFO    The host was rebooted: restoring 1 networks",
        f"INFO    Interface vcan0 missing after reboot, recreating {bus} cause=reboot",
        f"INFO    Done: create bus interface vcan0 {bus}",
        "INFO    Health check OK: 1 networks, 1 endpoints",
        "INFO    evercan serves 1 networks",
        f"INFO    Endpoint {D} not found in memory (likely post-reboot), recreating {joins}",
        f"INFO    Interface {END} missing after reboot, recreating {recovers}",
        f"INFO    Successfully recreated interface pair: {END} <-> {END}p {recovers}",
        f"INFO    Endpoint {D} interfaces were recreated after reboot {recovers}",
        f"INFO    Done: add 4 rules to vcan0 {bus} call=Join-1",
        f"INFO    Joined: {END} is a member of vcan0 {joins}",
    ]


async def test_drift_and_its_repair_are_logged_in_order(
    engine: Engine, plugin: Plugin, kernel: SharedKernel, log: Lines
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    log.drain()
    kernel.flush_rules()
    plugin.link_events.announce()
    await wait_until(lambda: log.contains("Health check OK"))
    bus = f"network={N} interface=vcan0"
    missing = f"4 rules of vcan0 are missing; repairing it {bus} fault=rules-missing"
    assert log.drain() == [
        f"WARNING Health check FAILED: {missing}",
        f"INFO    Done: add 4 rules to vcan0 {bus}",
        "INFO    Health check OK: 1 networks, 1 endpoints",
    ]


async def test_the_start_and_stop_of_a_container_are_logged_with_their_calls(
    engine: Engine, log: Lines
) -> None:
    await engine.create_network(NETWORK)
    log.drain()
    container = await engine.start(NETWORK, DASHBOARD)
    await engine.stop(container)
    await engine.delete_network(NETWORK)
    pair = f"network={N} endpoint={D} interface={END}"
    bus = f"network={N} interface=vcan0"
    assert [re.sub(r"-\d+$", "", line.removeprefix("INFO    ")) for line in log.drain()] == [
        f"Created interface pair: {END} <-> {END}p {pair} call=CreateEndpoint",
        f"Interface {END} already exists, no recreation needed {pair} call=Join",
        f"Done: add 4 rules to vcan0 {bus} call=Join",
        f"Joined: {END} is a member of vcan0 {pair} call=Join",
        f"Done: set {END} down {pair} call=Leave",
        f"Left: {END} is no longer a member {pair} call=Leave",
        f"Done: delete interface {END} {pair} call=DeleteEndpoint",
        f"Done: delete interface vcan0 {bus} call=DeleteNetwork",
        f"Network {N} of bus vcan0 was removed {bus} call=DeleteNetwork",
    ]


async def test_the_lines_of_a_pass_name_all_calls_that_share_it(engine: Engine, log: Lines) -> None:
    await engine.create_network(NETWORK)
    log.drain()
    await engine.start_many(NETWORK, [engine_id(f"ecu{n}") for n in range(5)])
    made = [line for line in log.drain() if "Created interface pair" in line]
    calls = {call for line in made for call in line.rpartition("call=")[2].split(",")}
    assert len(made) == len(calls) == 5
    assert all(call.startswith("CreateEndpoint-") for call in calls)


async def test_the_line_of_a_rejected_call_has_its_subject_cause_and_remedy(
    engine: Engine, log: Lines
) -> None:
    await engine.create_network(NETWORK)
    log.drain()
    mac = {"MacAddress": "02:42:ac:11:00:02"}
    await engine.post("CreateEndpoint", NetworkID=NETWORK, EndpointID=DASHBOARD, Interface=mac)
    [line] = log.drain()
    assert line.startswith("WARNING NetworkDriver.CreateEndpoint rejected: ")
    assert f"network={N} endpoint={D} call=CreateEndpoint-" in line
    await engine.post("Join", NetworkID=LOGGER, EndpointID=DASHBOARD)
    [line] = log.drain()
    assert "is not in evercan's state" in line
    assert "evercan adopt" in line
    assert f"network={LOGGER[:12]} endpoint={D} call=Join-" in line
    await engine.send("Join", b"no json")
    [line] = log.drain()
    assert "verb=NetworkDriver.Join call=Join-" in line


async def test_reading_the_pages_of_a_healthy_bus_logs_nothing(
    engine: Engine, plugin: Plugin, log: Lines
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    log.drain()
    for page in ("health", "status") * 10:
        assert (await engine.get(page)).status == 200
    for _ in range(5):
        plugin.link_events.announce()
        await asyncio.sleep(0.06)
    assert log.drain() == []


def test_a_thousand_checks_of_healthy_buses_log_nothing(
    tmp_path: Path, log: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = FakeKernel()
    kernel.plug("can0")
    reconciler = Reconciler(kernel, StateFile(tmp_path))
    reconciler.start()
    inspector = Inspector(kernel, reconciler)
    inspector.start()
    controller = network_options({"vxcan.dev": "can", "vxcan.bitrate": "500000"})
    for network, options in ((NETWORK, network_options({})), (LOGGER, controller)):
        for change in (
            creating(network, options=options),
            joining(engine_id(network), network),
        ):
            assert [outcome.error for outcome in run_pass(reconciler, change)] == [None]
    assert "Health check OK" in "".join(log.drain())
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "evercan"):
        for _ in range(1000):
            run_pass(reconciler)
            inspector.report_lost_frames()
            inspector.snapshot()
    assert caplog.records == []
