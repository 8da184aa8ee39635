"""Check examples/monitoring with promtool, and its dashboard with Grafana's published types.

``tests/e2e/test_monitoring_example.py`` shows that the queries return figures.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
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
    """Return the name of every metric, as a query has it, of a daemon without networks."""
    daemon = Daemon(version="1", started=0.0, settings=Settings())
    page = metrics.render(daemon, Snapshot(state=State()), Durations()).decode()
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(page)
    }


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    promtool("check", "config", str(EXAMPLE / "prometheus.yml"))


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(EXAMPLE / "alerts_test.yml"))


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((EXAMPLE / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_every_alert_is_tested_and_describes_what_to_do() -> None:
    tested = (EXAMPLE / "alerts_test.yml").read_text()
    for rule in rules():
        assert rule["alert"] in tested
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        assert len(rule["annotations"]["description"]) > 40


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_alerts_use_metrics_that_exist(rule: dict[str, Any]) -> None:
    assert metrics_of(rule["expr"]) <= families()


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXAMPLE / "grafana.json").read_text())
    return document


def test_the_dashboard_uses_metrics_that_exist(tmp_path: Path) -> None:
    queries = expressions(dashboard())
    assert set().union(*map(metrics_of, queries)) <= families()
    as_rules = [
        {"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": as_rules}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", "--lint=none", str(file))


def test_the_dashboard_shows_every_metric() -> None:
    shown = set().union(*map(metrics_of, expressions(dashboard())))
    for_alerts_and_details = {
        "evercan_build_info",
        "evercan_bus_dropped_frames_total",
        "evercan_controller_bitrate",
        "evercan_controller_events_total",
        "evercan_controller_queue_length",
        "evercan_fault_frames",
        "evercan_faults",
        "evercan_networks",
    }
    assert families() - shown == for_alerts_and_details


def changed_by_grafana(document: Any, written: Any, path: str = "") -> list[str]:
    """List the paths at which Grafana's types wrote something else than they read."""
    if isinstance(document, dict) and isinstance(written, dict):
        return [
            changed
            for key, value in document.items()
            for changed in (
                changed_by_grafana(value, written[key], f"{path}/{key}")
                if key in written
                else [f"{path}/{key}"]
            )
        ]
    if isinstance(document, list) and isinstance(written, list) and len(document) == len(written):
        return [
            changed
            for number, pair in enumerate(zip(document, written, strict=True))
            for changed in changed_by_grafana(*pair, f"{path}/{number}")
        ]
    return [] if document == written else [path]


def written_by_grafana(document: dict[str, Any]) -> Any:
    """Read a dashboard with the types that Grafana publishes, and write it again."""
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document)))


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    document = dashboard()
    assert changed_by_grafana(document, written_by_grafana(copy.deepcopy(document))) == []
    panel = next(panel for panel in document["panels"] if panel["type"] == "timeseries")
    panel["options"]["legend"]["place"] = "bottom"
    [changed] = changed_by_grafana(document, written_by_grafana(copy.deepcopy(document)))
    assert changed.endswith("/options/legend/place")


def test_panels_have_a_place_a_number_and_a_description() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or len(panel["description"]) > 20
    for one, other in itertools.combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def panels(*types: str) -> list[dict[str, Any]]:
    """Return the dashboard's panels of some types."""
    return [panel for panel in dashboard()["panels"] if panel["type"] in types]


@pytest.mark.parametrize("panel", panels("timeseries", "state-timeline"), ids=lambda p: p["title"])
def test_legends_of_graphs_name_the_host(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert "by (instance" in target["expr"]
        assert target["legendFormat"].startswith("{{instance}} ")


def test_frames_lost_count_dropped_frames_only() -> None:
    lost = [panel for panel in dashboard()["panels"] if panel["title"].startswith("Frames lost")]
    assert len(lost) == 2
    for panel in lost:
        [target] = panel["targets"]
        assert 'fate="dropped"' in target["expr"]


def test_drift_and_repairs_are_wide_bars() -> None:
    bars = [
        panel
        for panel in panels("timeseries")
        if panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    ]
    shown = [metrics_of(target["expr"]) for panel in bars for target in panel["targets"]]
    assert shown == [{"evercan_drift_found_total"}, {"evercan_recoveries_total"}]
    # Grafana would draw one bar for every pixel, and count a change in several of them.
    assert all(panel["maxDataPoints"] <= 100 for panel in bars)


def test_titles_and_descriptions_are_plain_words() -> None:
    unclear = re.compile(
        r"\b(unwell|amiss|dormant|mend(s|ing)?|on record|whole|told|fault)\b", re.IGNORECASE
    )
    for panel in dashboard()["panels"]:
        words = f"{panel['title']}. {panel.get('description', '')}"
        assert not unclear.search(words)
        assert panel["type"] == "row" or panel["description"].endswith(".")
