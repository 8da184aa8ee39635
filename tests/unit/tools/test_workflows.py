"""The workflows consist of pinned actions, and of commands that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import publish, release
from tools.common.checkout import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
OWN = {"tools.release": release, "tools.publish": publish}
PLACES = {"$GITHUB_REF_NAME": "v1.0.0", "$REGISTRY": "r", "$tarball": "t", "$ARCHITECTURE": "amd64"}


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(workflow: Path) -> None:
    used = re.findall(r"uses: (\S+)(?: # (\S+))?$", workflow.read_text(), re.MULTILINE)
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), action


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_make_targets_of_the_workflows_exist(workflow: Path) -> None:
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in steps(workflow):
        for line in step.get("run", "").splitlines():
            if "make -o .venv" in line:
                targets = line.partition("make -o .venv")[2].split()
                assert set(targets) <= known, line


def test_commands_of_the_release_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse each call of our modules; what it would do is replaced."""
    called = []

    def record(name: str) -> Any:
        def replaced(*_: object, **__: object) -> Path:
            called.append(name)
            return ROOT / "install.sh"  # any file, for what reads the result

        return replaced

    for name in ("check", "pack", "reproduce", "write_sums", "notes"):
        monkeypatch.setattr(release, name, record(name))
    for name in ("push_plugin", "push_tools"):
        monkeypatch.setattr(publish, name, record(name))
    for step in steps(ROOT / ".github/workflows/release.yml"):
        for line in step.get("run", "").splitlines():
            found = re.search(r"-m (tools\.\w+)([^>)]*)", line)
            if found and found[1] in OWN:
                words = [PLACES.get(word, word) for word in shlex.split(found[2])]
                OWN[found[1]].main(words)
    assert set(called) == {
        *("check", "pack", "reproduce", "write_sums", "notes"),
        *("push_plugin", "push_tools"),
    }


def test_only_the_jobs_that_publish_may_write() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert workflow["permissions"] == {}
    writing = {
        name: {what for what, access in job["permissions"].items() if access == "write"}
        for name, job in workflow["jobs"].items()
    }
    assert {name: rights for name, rights in writing.items() if rights} == {
        "tools": {"packages"},
        "publish": {"attestations", "contents", "id-token", "packages"},
        "pypi": {"id-token"},
        "pages": {"id-token", "pages"},
    }
