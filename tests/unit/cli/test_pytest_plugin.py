"""The fixtures of evercan[testing], in a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import evercan
from evercan.cli.checks.check import Check, Result
from evercan.cli.pytest_plugin import reason

EXAMPLE = """
def test_bus(can_network, can_bus):
    raise AssertionError("there is no network")

def test_other():
    pass
"""


def run(folder: Path, *arguments: str, **variables: str) -> str:
    """Run the example where no engine answers; return pytest's output."""
    (folder / "test_example.py").write_text(EXAMPLE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rs", "-p", "evercan.cli.pytest_plugin"),
            *("-p", "no:cacheprovider", "--rootdir", str(folder), str(folder), *arguments),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(evercan.__file__).parents[1]),
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "COLUMNS": "300",
            **variables,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_without_an_engine_tests_of_a_bus_are_skipped_with_the_reason(tmp_path: Path) -> None:
    out = run(tmp_path)
    assert "1 passed, 1 skipped" in out
    assert re.search(r"SKIPPED .* no CAN network: .*Docker engine", out)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(["--evercan-required"], {}), ([], {"EVERCAN_REQUIRED": "1"})],
)
def test_where_a_bus_is_required_they_fail_with_the_reason(
    tmp_path: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    out = run(tmp_path, *arguments, **variables)
    assert "1 passed, 1 error" in out
    assert "no CAN network: " in out
    assert "there is no network" not in out


def test_the_reason_has_the_remedy_of_each_check_that_a_network_needs() -> None:
    checks = [
        Check("host.vxcan", "kernel module vxcan", Result.FAIL, "not loaded", "modprobe vxcan"),
        Check("host.vcan", "kernel module vcan", Result.OK, "loaded"),
        Check("plugin.version", "plugin's version", Result.WARN, "old", "evercan install"),
        Check("health.bus-down", "other", Result.FAIL, "down"),
        Check("plugin.enabled", "plugin", Result.FAIL, "evercan:latest is disabled"),
    ]
    assert reason(checks) == (
        "kernel module vxcan: not loaded (remedy: modprobe vxcan); "
        "plugin: evercan:latest is disabled"
    )
    assert reason(checks[1:4]) == ""
