"""The wheel, as a package index has it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tools import release
from tools.common.checkout import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, as the release workflow does."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, cwd=folder)
    (built,) = folder.glob("evercan-*.whl")
    return built


def test_the_wheel_has_the_installer_the_command_and_the_fixtures(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        assert content.read("evercan/cli/install.sh") == (ROOT / "install.sh").read_bytes()
        (entry_points,) = (name for name in content.namelist() if name.endswith("entry_points.txt"))
        declared = content.read(entry_points).decode()
    assert "evercan = evercan.cli:main" in declared
    assert "evercan = evercan.cli.pytest_plugin" in declared
    assert wheel.name.startswith(f"evercan-{release.version()}-py3-none-any")


def test_the_command_of_the_wheel_finds_the_installer(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path)
    code = (
        "from evercan.cli.commands.install import SCRIPTS\n"
        "print(next(path for path in SCRIPTS if path.is_file()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    assert done.stdout.strip() == str(tmp_path / "evercan/cli/install.sh")


@pytest.mark.parametrize("name", ["cli", "link", "workbench"])
def test_an_extra_is_the_list_that_is_locked(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {
        package.partition(">")[0]
        for package in project["optional-dependencies"][name]
        if package != "evercan[cli]"  # the workbench builds on it
    }
    listed = (ROOT / f"requirements/{name}.in").read_text().splitlines()
    assert extra == {line for line in listed if line and not line.startswith("#")}


def test_the_lists_of_an_installation_have_nothing_of_the_workbench() -> None:
    names = set((ROOT / "requirements/workbench.in").read_text().splitlines())
    names -= {"", *(ROOT / "requirements/plugin.in").read_text().splitlines()}
    assert names >= {"asammdf", "cantools", "python-can"}
    for lock in ("install", "plugin"):
        locked = (ROOT / f"requirements/{lock}.txt").read_text()
        assert not [name for name in names if f"\n{name}==" in f"\n{locked}"]
