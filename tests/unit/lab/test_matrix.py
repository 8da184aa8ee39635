from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import matrix
from lab.recipe import MATRIX, named
from lab.tested_table import BEGIN, END, parse, split
from tools.common.checkout import ROOT

REPORTS = {
    "test_main_job.py": '<a><testcase name="t"/></a>',
    "test_faults.py": '<a><testcase name="t"><failure message="no"/></testcase></a>',
}


@pytest.fixture
def commands() -> list[list[str]]:
    """The command lines of pytest that were run."""
    return []


@pytest.fixture
def environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> list[dict[str, str]]:
    """Guests that need no machine, and a pytest that writes `REPORTS`; returns its environments."""
    page = tmp_path / "tested.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    seen: list[dict[str, str]] = []

    @contextmanager
    def place(name: str) -> Iterator[matrix.Place]:
        guest = named(name)
        environment = {"EVERCAN_TESTBED": "lab", "EVERCAN_LAB": name}
        yield matrix.Place(environment, guest.release, "26.1", "6.12", guest.architecture)

    def run(command: list[str], env: dict[str, str], **_: object) -> Any:
        seen.append(env)
        commands.append(command)
        [file] = [word.partition("=")[2] for word in command if word.startswith("--junitxml=")]
        for report in [REPORTS[Path(word).name] for word in command if Path(word).name in REPORTS]:
            Path(file).write_text(report)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(matrix, "PAGE", page)
    monkeypatch.setattr(matrix, "_place", place)
    monkeypatch.setattr(matrix, "_commit", lambda: "abc")
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere")
    return seen


def results() -> list[tuple[str, str, str, str]]:
    table = split(matrix.PAGE.read_text())[1]
    return [(row.release, row.architecture, row.suite, row.result) for row in parse(table)]


def test_each_suite_of_each_guest_has_a_row(environments: list[dict[str, str]]) -> None:
    assert matrix.main(["--only", "bookworm", "trixie-arm64", "--suites", "main-job"]) == 0
    assert results() == [
        ("bookworm", "amd64", "main-job", "1 passed"),
        ("trixie", "arm64", "main-job", "1 passed"),
    ]
    assert [env["EVERCAN_LAB"] for env in environments] == ["bookworm", "trixie-arm64"]
    assert all("DOCKER_HOST" not in env for env in environments)


@pytest.mark.usefixtures("environments")
def test_what_falls_short_is_in_the_table_and_in_the_status() -> None:
    assert matrix.main(["--only", "forky", "--suites", "faults", "adoption", "main-job"]) == 1
    assert results() == [
        ("forky", "amd64", "main-job", "1 passed"),
        ("forky", "amd64", "faults", "**1 failed**: `t` (no)"),
        ("forky", "amd64", "adoption", "**not run**: pytest ended with status 3"),
    ]


@pytest.mark.usefixtures("environments")
def test_a_row_says_that_thorough_tests_were_left_out(commands: list[list[str]]) -> None:
    assert matrix.main(["--only", "forky", "--suites", "main-job", "--no-thorough"]) == 0
    assert matrix.main(["--only", "bookworm", "--suites", "main-job"]) == 0
    assert results() == [
        ("bookworm", "amd64", "main-job", "1 passed"),
        ("forky", "amd64", "main-job", "1 passed (not thorough)"),
    ]
    assert ["not thorough" in command for command in commands] == [True, False]


@pytest.mark.usefixtures("environments")
def test_an_unknown_guest_is_rejected_before_anything_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert matrix.main(["--only", "forky", "potato"]) == 1
    assert "no guest 'potato'" in capsys.readouterr().err
    assert results_are_empty()


def results_are_empty() -> bool:
    return split(matrix.PAGE.read_text())[1] == ""


def test_the_suites_files_exist_and_the_workflow_has_a_job_for_each_guest() -> None:
    named_files = [file for suite in matrix.SUITES for file in matrix.files(suite)]
    assert [file for file in named_files if not (ROOT / file).is_file()] == []
    workflow = (ROOT / ".github/workflows/matrix.yml").read_text()
    assert [name for name in MATRIX if f"guest: {name}," not in workflow] == []
    assert matrix.PAGE == ROOT / "docs/tested.md"
    split(matrix.PAGE.read_text())
