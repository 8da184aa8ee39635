"""examples/monitoring: by Prometheus' own checks, and its dashboard by Grafana's own types.

That the queries give figures is for ``tests/e2e/test_monitoring_example.py`` to show.
"""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from evercan.model.state import State
from evercan.reconcile.inspector import Snapshot
from evercan.reporting import metrics
from evercan.reporting.durations import Durations
from evercan.reporting.status import Daemon
from evercan.settings import Settings
from tests.support.dashboard import EXAMPLE, expressions
from tests.support.prometheus import metrics_of, promtool

plugins.register_default_plugins()


def families() -> set[str]:
    """Name every metric, as it is in a query, of a daemon that has nothing to tell yet."""
    daemon = Daemon(version="1", started=0.0, settings=Settings())
    page = metrics.render(daemon, Snapshot(state=State()), Durations()).decode()
    return {
        f"{each.name}_total" if each.type == "counter" else each.name
        for each in text_string_to_metric_families(page)
    }


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", str(EXAMPLE / "prometheus.yml"))


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(EXAMPLE / "alerts_test.yml"))


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((EXAMPLE / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_each_alert_is_in_the_test_of_alerts_and_says_what_to_do() -> None:
    tested = (EXAMPLE / "alerts_test.yml").read_text()
    for rule in rules():
        assert rule["alert"] in tested
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        assert len(rule["annotations"]["description"]) > 40


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    assert metrics_of(rule["expr"]) <= families()


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXAMPLE / "grafana.json").read_text())
    return document


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path: Path) -> None:
    asked = expressions(dashboard())
    assert set().union(*map(metrics_of, asked)) <= families()
    as_rules = [{"record": f"panel:{n}", "expr": each} for n, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": as_rules}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", "--lint=none", str(file))


def test_the_dashboard_shows_every_metric() -> None:
    shown = set().union(*map(metrics_of, expressions(dashboard())))
    for_alerts_and_details = {
        "evercan_build_info",
        "evercan_controller_bitrate",
        "evercan_controller_events_total",
        "evercan_controller_queue_length",
        "evercan_networks",
    }
    assert families() - shown == for_alerts_and_details


def unknown_to_grafana(document: Any, taken: Any, path: str = "") -> list[str]:
    """List what Grafana's types have not taken over from a document as it was."""
    if isinstance(document, dict) and isinstance(taken, dict):
        return [
            fault
            for key, value in document.items()
            for fault in (
                unknown_to_grafana(value, taken[key], f"{path}/{key}")
                if key in taken
                else [f"{path}/{key}"]
            )
        ]
    if isinstance(document, list) and isinstance(taken, list) and len(document) == len(taken):
        return [
            fault
            for number, pair in enumerate(zip(document, taken, strict=True))
            for fault in unknown_to_grafana(*pair, f"{path}/{number}")
        ]
    return [] if document == taken else [path]


def taken_by_grafana(document: dict[str, Any]) -> Any:
    """Read a dashboard with the types that Grafana publishes, and write it again."""
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document)))


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    document = dashboard()
    assert unknown_to_grafana(document, taken_by_grafana(copy.deepcopy(document))) == []
    panel = next(each for each in document["panels"] if each["type"] == "timeseries")
    panel["options"]["legend"]["place"] = "bottom"
    [fault] = unknown_to_grafana(document, taken_by_grafana(copy.deepcopy(document)))
    assert fault.endswith("/options/legend/place")


def test_panels_have_their_own_place_number_and_words() -> None:
    panels = dashboard()["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or len(panel["description"]) > 20
    for one, other in itertools.combinations((each["gridPos"] for each in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
