"""The page about links lists what the link has, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evercan.link.members import Members
from evercan.link.names import LinkId
from evercan.link.report import ACTIVE, Report, Sent
from evercan.link.settings import read_settings
from tests.support.pages import code, table
from tools.common.checkout import ROOT

PAGE = "docs/hosts.md"
SOURCE = (ROOT / "src/evercan/link/settings.py").read_text()
EXAMPLES = sorted((ROOT / "examples/hosts").glob("?.yaml"))
SWARM = ROOT / "examples/hosts/swarm.yaml"


def report() -> Report:
    """Return the state of a link that has heard another host."""
    members = Members(LinkId("b", 1, 1), 1)
    members.joined(LinkId("a", 1, 2))
    assert members.stream("a", 2)
    return Report("powertrain", members, ACTIVE, Sent())


def test_every_setting_is_listed() -> None:
    listed = [code(row[0])[0] for row in table(PAGE, "Settings")]
    assert sorted(listed) == sorted(set(re.findall(r'"(LINK_[A-Z_]+)"', SOURCE)))


def test_every_metric_is_listed() -> None:
    listed = [code(row[0])[0] for row in table(PAGE, "Watch it")]
    served = re.findall(r"^# HELP (\S+)", report().metrics(), re.MULTILINE)
    assert listed == served


def test_metrics_have_the_text_format_of_prometheus() -> None:
    for line in report().metrics().splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \S+ .+|\w+\{(\w+="[^"]*",?)+\} [0-9.]+', line), line
    assert 'from="a",result="lost"} 0' in report().metrics()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_settings_of_an_example_are_accepted(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = yaml.safe_load(example.read_text())["services"]["link"]
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    settings = read_settings(link["environment"])
    assert settings.host == example.stem
    assert link["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", ["hub", "link"])
def test_the_settings_of_a_service_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = yaml.safe_load(SWARM.read_text())["services"][name]
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    node = {**service["environment"], "LINK_HOST": "node-1"}
    settings = read_settings(node)
    assert bool(settings.listen) != bool(settings.connect)
    assert {secret["target"] for secret in service["secrets"]} == {
        f"{settings.certificates}/{file}" for file in ("ca.pem", "link.pem", "link.key")
    }
    assert service["cap_drop"] == ["ALL"]
