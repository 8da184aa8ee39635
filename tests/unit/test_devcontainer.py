"""The development container: its files fit together, and its checks name what is missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pages import read
from tools.common.checkout import ROOT

FOLDER = ROOT / ".devcontainer"
DOCUMENT: dict[str, Any] = json.loads((FOLDER / "devcontainer.json").read_text())


def executable(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_the_files_fit_together() -> None:
    compose = yaml.safe_load((FOLDER / DOCUMENT["dockerComposeFile"]).read_text())
    service = compose["services"][DOCUMENT["service"]]
    assert f"..:{DOCUMENT['workspaceFolder']}" in service["volumes"]
    assert set(service["networks"]) == {"default", *compose["networks"]}
    assert compose["networks"]["powertrain"]["driver"] == "evercan:latest"
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert f"USER {DOCUMENT['remoteUser']}\n" in dockerfile
    for name in ("initializeCommand", "postCreateCommand", "postStartCommand"):
        assert os.access(ROOT / DOCUMENT[name], os.X_OK), name


def test_the_bus_is_that_of_the_example() -> None:
    example = yaml.safe_load((ROOT / "examples/python-can/compose.yaml").read_text())
    container = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert example["networks"] == container["networks"]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a folder that plays a host: ``bin`` is its PATH, ``modules`` has what is loaded."""
    for module in ("vcan", "vxcan", "can_gw"):
        (tmp_path / "modules" / module).mkdir(parents=True)
    executable(
        tmp_path / "bin/docker",
        'case "$1 $2" in "version --format") echo 26.1.5 ;; "plugin inspect") echo true ;; '
        "*) exit 64 ;; esac",
    )
    return tmp_path


def check_host(host: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", FOLDER / "check_host.sh", host / "modules"],
        # uname is the only other program.
        env={"PATH": f"{host}/bin:{host}/system", **environment},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


@pytest.fixture(autouse=True)
def uname(host: Path) -> None:
    (host / "system").mkdir()
    (host / "system/uname").symlink_to(str(shutil.which("uname")))


def test_a_host_that_can_make_a_bus_passes(host: Path) -> None:
    checked = check_host(host)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "evercan: this host can make a CAN bus\n"


@pytest.mark.parametrize(
    ("script", "problem", "remedy"),
    [
        (None, "the command docker is missing", "install Docker"),
        (
            "echo cannot connect >&2; exit 1",
            "does not answer: cannot connect",
            "usermod -aG docker",
        ),
        ('[ "$1" = version ] && echo 26', "has no plugin evercan:latest", "./install.sh"),
        ('[ "$1" = version ] && echo 26 || echo false', "is disabled", "docker plugin enable"),
    ],
)
def test_what_the_engine_lacks_is_named_with_its_remedy(
    host: Path, script: str | None, problem: str, remedy: str
) -> None:
    (host / "bin/docker").unlink()
    if script is not None:
        executable(host / "bin/docker", script)
    checked = check_host(host)
    assert checked.returncode == 1
    first, second = checked.stderr.splitlines()
    assert problem in first
    assert second.startswith("  -> ")
    assert remedy in second


def test_modules_that_are_not_loaded_are_named(host: Path) -> None:
    (host / "modules/can_gw").rmdir()
    (host / "modules/vxcan").rmdir()
    checked = check_host(host)
    assert checked.returncode == 1
    assert (
        "not loaded: vxcan can_gw\n  -> run: sudo modprobe -a vcan vxcan can-gw" in checked.stderr
    )


def test_modules_of_another_machine_are_not_looked_for_here(host: Path) -> None:
    (host / "modules/can_gw").rmdir()
    checked = check_host(host, DOCKER_HOST="ssh://root@gateway")
    assert checked.returncode == 0
    assert "modules are not checked here" in checked.stdout


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose programs write into the file ``calls`` what they would do."""
    checkout = tmp_path / "checkout"
    (checkout / ".devcontainer").mkdir(parents=True)
    shutil.copy(FOLDER / "post_create.sh", checkout / ".devcontainer")
    calls = tmp_path / "calls"
    executable(checkout / "tools/bootstrap.sh", f'echo "bootstrap $*" in "$PWD" >> {calls}')
    executable(tmp_path / "bin/sudo", f'echo "$*" >> {calls}')
    executable(tmp_path / "bin/id", "echo dev")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return checkout


def post_create(checkout: Path, engine: Path) -> tuple[str, list[str]]:
    """Run the script; return its errors and what was called."""
    ran = subprocess.run(
        [checkout / ".devcontainer/post_create.sh", engine],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return ran.stderr, (checkout.parent / "calls").read_text().splitlines()


@pytest.mark.parametrize("known", [True, False])
def test_a_new_container_gets_access_to_the_engine_and_python(container: Path, known: bool) -> None:
    engine = container.parent / "engine.sock"
    group = engine.parent.stat().st_gid
    executable(container.parent / "bin/getent", "echo docker:x:7:" if known else "exit 2")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(engine))
        errors, calls = post_create(container, engine)
    assert errors == ""
    name = "docker" if known else "engine"
    assert calls == [
        *([] if known else [f"groupadd --gid {group} engine"]),
        f"usermod --append --groups {name} dev",
        f"bootstrap .venv in {container}",
    ]


def test_a_container_without_an_engine_says_so_and_gets_python(container: Path) -> None:
    errors, calls = post_create(container, container / "nowhere.sock")
    assert "nowhere.sock: docker and evercan have no engine here\n  -> check" in errors
    assert calls == [f"bootstrap .venv in {container}"]


def test_the_page_names_what_the_host_must_have() -> None:
    text = read("docs/devcontainer.md")
    for module in re.findall(r"for module in ([^;]+);", (FOLDER / "check_host.sh").read_text()):
        for name in module.split():
            assert name.replace("_", "-") in text
