"""Installing onto an engine, whatever has become of the plugin there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError, NotFound

from tools import install
from tools.common.errors import BuildError
from tools.install import NAME


class Engine(docker.DockerClient):
    """An engine that keeps plugins, and refuses what a real one refuses."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.api = self  # type: ignore[assignment] # one stand-in for both of the SDK's layers
        self.timeout = 60
        self.done: list[str] = []
        self.enabling: Exception | None = None

    def info(self) -> dict[str, Any]:
        return {"Plugins": {"Network": [n for n, p in self.there.items() if p["Enabled"]]}}

    def inspect_plugin(self, name: str) -> dict[str, Any]:
        if name not in self.there:
            raise NotFound("no such plugin")
        return dict(self.there[name])

    def disable_plugin(self, name: str, *, force: bool) -> None:
        assert force
        if not self.there[name]["Enabled"]:
            raise APIError("plugin is already disabled")
        self.done.append("disable")
        self.there[name]["Enabled"] = False

    def enable_plugin(self, name: str, timeout: int) -> None:
        assert timeout == 0
        if self.enabling:
            raise self.enabling
        if self.there[name]["Enabled"]:
            raise APIError("plugin is already enabled")
        self.done.append("enable")
        self.there[name]["Enabled"] = True

    def exchange(self, name: str, documentation: str) -> None:
        if self.there[name]["Enabled"]:
            raise APIError("plugin must be disabled before upgrading")
        self.done.append("upgrade")
        # The reference is that of the throw-away registry; the name stays.
        self.there[name] |= {
            "Config": {"Documentation": documentation},
            "PluginReference": f"127.0.0.1:{40000 + len(self.done)}/evercan:latest",
        }


def documentation(number: int) -> str:
    return f"D. Build {number}."


@pytest.fixture
def plugin_dir(tmp_path: Path) -> Path:
    built(tmp_path, 1)
    return tmp_path


def built(folder: Path, number: int) -> None:
    (folder / "config.json").write_text(f'{{"documentation": "{documentation(number)}"}}')


@pytest.fixture
def faults() -> list[BaseException]:
    """What the next upgrades fail with, before the engine exchanges anything."""
    return []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, faults: list[BaseException]) -> Engine:
    def create(client: Engine, folder: Path, name: str) -> None:
        client.done.append("create")
        client.there[name] = {
            "Enabled": False,
            "Config": {"Documentation": read(folder)},
            "PluginReference": name,
        }

    def upgrade(client: Engine, folder: Path, name: str) -> None:
        if faults:
            raise faults.pop()
        client.exchange(name, read(folder))

    def read(folder: Path) -> str:
        return str(json.loads((folder / "config.json").read_text())["documentation"])

    monkeypatch.setattr(install, "create", create)
    monkeypatch.setattr(install, "upgrade", upgrade)
    return Engine()


def test_a_first_installation_creates_and_enables(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    assert engine.done == ["create", "enable"]


def test_a_second_installation_does_nothing(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    engine.done.clear()
    install.install(engine, plugin_dir)
    assert engine.done == []


def test_upgrades_in_a_row_go_by_the_name_and_not_by_the_reference(
    engine: Engine, plugin_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install.install(engine, plugin_dir)
    for number in (2, 3):
        engine.done.clear()
        built(plugin_dir, number)
        install.install(engine, plugin_dir)
        assert engine.done == ["disable", "upgrade", "enable"]
        assert "upgraded in place" in capsys.readouterr().err
        assert engine.there[NAME]["Config"]["Documentation"] == documentation(number)
        assert engine.there[NAME]["PluginReference"].startswith("127.0.0.1:")
        install.install(engine, plugin_dir)
        assert engine.done == ["disable", "upgrade", "enable"]


def test_a_disabled_plugin_is_enabled(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.done.clear()
    install.install(engine, plugin_dir)
    assert engine.done == ["enable"]


def test_a_disabled_plugin_of_another_build_is_upgraded_and_enabled(
    engine: Engine, plugin_dir: Path
) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.done.clear()
    built(plugin_dir, 2)
    install.install(engine, plugin_dir)
    assert engine.done == ["upgrade", "enable"]


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (BuildError("the layer is bad", "none"), BuildError),
        (APIError("no room left"), BuildError),
        (requests.ConnectionError("reset"), BuildError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_upgrade_that_fails_or_is_interrupted_puts_the_plugin_back_into_service(
    engine: Engine,
    plugin_dir: Path,
    faults: list[BaseException],
    fault: BaseException,
    seen: type[BaseException],
) -> None:
    install.install(engine, plugin_dir)
    built(plugin_dir, 2)
    faults.append(fault)
    engine.done.clear()
    with pytest.raises(seen):
        install.install(engine, plugin_dir)
    assert engine.done == ["disable", "enable"]
    install.install(engine, plugin_dir)
    assert engine.there[NAME]["Config"]["Documentation"] == documentation(2)
    assert engine.timeout == 60


def test_a_plugin_that_was_disabled_stays_so_if_the_upgrade_fails(
    engine: Engine, plugin_dir: Path, faults: list[BaseException]
) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.done.clear()
    built(plugin_dir, 2)
    faults.append(APIError("no room left"))
    with pytest.raises(BuildError, match="no room left"):
        install.install(engine, plugin_dir)
    assert engine.done == []


def test_what_cannot_be_put_back_leaves_a_hint(
    engine: Engine,
    plugin_dir: Path,
    faults: list[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install.install(engine, plugin_dir)
    built(plugin_dir, 2)
    faults.append(requests.ConnectionError("reset"))
    engine.enabling = requests.ConnectionError("refused")
    with pytest.raises(BuildError, match=f"docker plugin enable {NAME}"):
        install.install(engine, plugin_dir)
    assert f"cannot enable {NAME} again (refused); while it is disabled" in capsys.readouterr().err


def test_a_build_that_does_not_start_leaves_the_hint_too(engine: Engine, plugin_dir: Path) -> None:
    engine.enabling = APIError("dial unix: no such file")
    with pytest.raises(BuildError, match=f"docker plugin enable {NAME}"):
        install.install(engine, plugin_dir)
