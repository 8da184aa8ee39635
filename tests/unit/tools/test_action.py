"""tools/action.sh on runners with and without CAN modules; the programs that it calls only log."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.common.checkout import ROOT


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A checkout of the action with programs that log their arguments in ``calls``."""
    (tmp_path / "action/tools").mkdir(parents=True)
    (tmp_path / "action/lab").mkdir()
    (tmp_path / "action/lab/packages.txt").write_text("qemu-utils\n")
    shutil.copy(ROOT / "tools/action.sh", tmp_path / "action/tools")
    log = f'echo "$(basename "$0") $*" >>{tmp_path}/calls\n'
    (tmp_path / "action/install.sh").write_text("#!/bin/sh\n" + log)
    (tmp_path / "bin").mkdir()
    python = log + (
        'case "$*" in\n'
        '"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;\n'
        '"-m lab up") echo booting; echo export DOCKER_HOST=tcp://127.0.0.1:4444 ;;\n'
        "esac\n"
    )
    for name, script in (
        ("modprobe", log + f"[ -e {tmp_path}/modules ]"),
        ("apt-get", log),
        ("id", "echo 1000"),
        ("sudo", 'exec "$@"'),
        ("python3", python),
    ):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return tmp_path


def run(runner: Path, **variables: str) -> tuple[list[str], str]:
    subprocess.run(
        ["sh", runner / "action/tools/action.sh"],
        env={
            "PATH": f"{runner}/bin:/usr/bin:/bin",
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_ENV": str(runner / "env"),
            **variables,
        },
        check=True,
        capture_output=True,
    )
    return (runner / "calls").read_text().splitlines(), (runner / "output").read_text()


def test_a_runner_with_modules_gets_the_plugin(runner: Path) -> None:
    (runner / "modules").touch()
    calls, output = run(runner, VERSION="1.2.3", REGISTRY="")
    assert calls == ["modprobe -a vcan vxcan can-gw"] * 2 + ["install.sh --version 1.2.3"]
    assert output == "docker-host=unix:///var/run/docker.sock\nlab=false\n"
    assert not (runner / "env").exists()


def test_a_runner_without_modules_gets_the_lab(runner: Path) -> None:
    calls, output = run(runner)
    assert any(call.startswith("apt-get install") and "modules-extra" in call for call in calls)
    assert "python -m tools.install --host tcp://127.0.0.1:4444" in calls
    assert output == "docker-host=tcp://127.0.0.1:4444\nlab=true\n"
    assert (runner / "env").read_text() == "DOCKER_HOST=tcp://127.0.0.1:4444\n"


def test_the_action_declares_the_outputs_that_the_script_writes(runner: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (runner / "modules").touch()
    _, output = run(runner)
    assert set(action["outputs"]) == {line.partition("=")[0] for line in output.splitlines()}
    (step,) = action["runs"]["steps"]
    assert "tools/action.sh" in step["run"]
