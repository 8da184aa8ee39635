"""examples/monitoring with a real Prometheus that scrapes the plugin while things break.

Prometheus runs on this machine and reaches the plugin's TCP address through ssh.
The files are those of the example; only the scrape interval and the delay of the
alerts are shorter. The unit tests check the delays, with ``promtool test rules``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest
import yaml

from lab.lab_testbed import LabTestbed
from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.conftest import HEALTH_INTERVAL, configure_plugin
from tests.support.dashboard import EXAMPLE, expressions
from tests.support.prometheus import Prometheus, running
from tools.common.polling import wait_until

PORT = 9480
EVERY = "2s"
PATIENCE = 90.0


@pytest.fixture(scope="module")
def published(testbed: Testbed) -> Iterator[LabTestbed]:
    """Yield the lab, whose plugin serves its metrics on TCP."""
    if not isinstance(testbed, LabTestbed):
        pytest.skip("this test unplugs a controller; the lab runs it")
    interval = f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}"
    configure_plugin(testbed.client(), f"EVERCAN_METRICS=127.0.0.1:{PORT}", interval)
    yield testbed
    configure_plugin(testbed.client(), "EVERCAN_METRICS=", interval)


@pytest.fixture(scope="module")
def prometheus(
    published: LabTestbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Yield a Prometheus with the example's configuration and a short scrape interval."""
    folder = tmp_path_factory.mktemp("prometheus")
    configuration = yaml.safe_load((EXAMPLE / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    rules = yaml.safe_load((EXAMPLE / "alerts.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    with published.forwarded(PORT) as here:
        [job] = configuration["scrape_configs"]
        assert job["static_configs"] == [{"targets": [f"127.0.0.1:{PORT}"]}]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{here}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        with running(folder / "prometheus.yml", folder) as served:
            wait_until(lambda: served.value("up") == 1, PATIENCE, "the first scrape")
            yield served


@pytest.fixture
def controller(published: LabTestbed) -> Iterator[Bus]:
    """Yield a bus on the lab's first controller, with the second one on the wire.

    Its members have a rate, because only limited members have counts of denied frames.
    """
    name = published.interface(0)
    options = {"vxcan.kind": "physical", "vxcan.bitrate": "500000", "vxcan.send-rate": "1000"}
    bus = Bus(published, name, **options)
    other = published.interface(1)
    published.host("ip", "link", "set", other, "down")
    published.host("ip", "link", "set", other, "up", "type", "can", "bitrate", "500000")
    try:
        yield bus
    finally:
        bus.remove()


def _has_values(prometheus: Prometheus, query: str) -> bool:
    return bool(prometheus.query(query))


def test_an_unplugged_controller_raises_an_alert_that_ends_when_it_is_back(
    prometheus: Prometheus, controller: Bus, published: LabTestbed
) -> None:
    bus = controller.interface
    [container] = controller.start(1)
    container.exec_run(["cangen", "can0", "-n", "20", "-g", "10", "-L", "8"])
    sent = f'evercan_frames_total{{bus="{bus}",direction="to_bus",fate="handled"}}'
    wait_until(lambda: prometheus.value(sent) == 20, PATIENCE, "20 frames in Prometheus")
    state = f'evercan_controller_state{{bus="{bus}",state="error-active"}}'
    assert prometheus.value(state) == 1
    joined = f'evercan_endpoints{{bus="{bus}",phase="joined"}}'
    assert prometheus.value(joined) == 1
    assert "EvercanControllerUnwell" not in prometheus.firing()

    # Every query of the dashboard has values soon, except those that need a fault: a rate has
    # none before the second scrape of its series.
    document = json.loads((EXAMPLE / "grafana.json").read_text())
    healthy = {
        query
        for query in expressions(document)
        if not any(part in query for part in ("evercan_problems", "evercan_warnings", ") > 0"))
    }
    for query in sorted(healthy):
        wait_until(partial(_has_values, prometheus, query), PATIENCE, f"values of {query}")

    published.unplug(0)
    try:
        wait_until(lambda: "EvercanControllerUnwell" in prometheus.firing(), PATIENCE, "the alert")
        problem = f'evercan_problems{{bus="{bus}",kind="bus-absent"}}'
        assert prometheus.value(problem) == 1
        assert prometheus.value("evercan_healthy") == 0
    finally:
        published.replug(0)
    wait_until(
        lambda: "EvercanControllerUnwell" not in prometheus.firing(), PATIENCE, "the alert to end"
    )
    wait_until(lambda: prometheus.value("evercan_healthy") == 1, PATIENCE, "health in Prometheus")


@pytest.mark.thorough
def test_repairs_are_counted_and_an_alert_reports_too_many_of_them(
    prometheus: Prometheus, bus: Bus, published: LabTestbed, plugin: PluginProcess
) -> None:
    bus.start(1)
    found = f'evercan_drift_found_total{{bus="{bus.interface}",fault="bus-down"}}'
    wait_until(lambda: prometheus.value(found) == 0, PATIENCE, "the bus in Prometheus")
    for _ in range(7):
        published.host("ip", "link", "set", bus.interface, "down")
        bus.wait(lambda: "UP" in bus.links()[bus.interface]["flags"], "the bus to be up again")
    wait_until(lambda: prometheus.value(found) == 7, PATIENCE, "seven faults in Prometheus")
    repaired = f'evercan_recoveries_total{{bus="{bus.interface}",outcome="mended"}}'
    assert prometheus.value(f"sum({repaired})") == 7
    wait_until(
        lambda: "EvercanBusKeepsBreaking" in prometheus.firing(),
        PATIENCE,
        "the alert",
    )
    assert "EvercanBusUnwell" not in prometheus.firing()
    assert plugin.ask("/health")[0] == 200


def test_a_plugin_that_does_not_answer_raises_an_alert(
    prometheus: Prometheus, published: LabTestbed, plugin: PluginProcess
) -> None:
    published.host("kill", "-STOP", str(plugin.pid()))
    try:
        wait_until(lambda: "EvercanDown" in prometheus.firing(), PATIENCE, "the alert")
    finally:
        published.host("kill", "-CONT", str(plugin.pid()))
    wait_until(lambda: "EvercanDown" not in prometheus.firing(), PATIENCE, "the alert to end")
