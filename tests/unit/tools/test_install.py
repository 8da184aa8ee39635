"""The installation on an engine, in each state of the plugin there."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError, NotFound

from tools import install
from tools.common.architecture import of_machine
from tools.common.errors import BuildError
from tools.install import NAME


class Engine(docker.DockerClient):
    """An engine that keeps plugins and rejects what a real one rejects."""

    def __init__(self) -> None:
        self.installed: dict[str, dict[str, Any]] = {}
        self.api = self  # type: ignore[assignment] # one fake for both layers of the SDK
        self.timeout = 60
        self.calls: list[str] = []
        self.enable_error: Exception | None = None

    def info(self) -> dict[str, Any]:
        return {
            "Architecture": "x86_64",
            "Plugins": {
                "Network": [name for name, plugin in self.installed.items() if plugin["Enabled"]]
            },
        }

    def inspect_plugin(self, name: str) -> dict[str, Any]:
        if name not in self.installed:
            raise NotFound("no such plugin")
        return dict(self.installed[name])

    def disable_plugin(self, name: str, *, force: bool) -> None:
        assert force
        if not self.installed[name]["Enabled"]:
            raise APIError("plugin is already disabled")
        self.calls.append("disable")
        self.installed[name]["Enabled"] = False

    def enable_plugin(self, name: str, timeout: int) -> None:
        assert timeout == 0
        if self.enable_error:
            raise self.enable_error
        if self.installed[name]["Enabled"]:
            raise APIError("plugin is already enabled")
        self.calls.append("enable")
        self.installed[name]["Enabled"] = True

    def replace_files(self, name: str, documentation: str) -> None:
        if self.installed[name]["Enabled"]:
            raise APIError("plugin must be disabled before upgrading")
        self.calls.append("upgrade")
        # The reference is that of the temporary registry; the name stays.
        self.installed[name] |= {
            "Config": {"Documentation": documentation},
            "PluginReference": f"127.0.0.1:{40000 + len(self.calls)}/evercan-upgrade:latest",
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
def errors() -> list[BaseException]:
    """Errors of the next upgrades, before the engine replaces anything."""
    return []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, errors: list[BaseException]) -> Engine:
    def create(client: Engine, folder: Path, name: str) -> None:
        client.calls.append("create")
        client.installed[name] = {
            "Enabled": False,
            "Config": {"Documentation": read(folder)},
            "PluginReference": name,
        }

    def upgrade(client: Engine, folder: Path, name: str) -> None:
        if errors:
            raise errors.pop()
        client.replace_files(name, read(folder))

    def read(folder: Path) -> str:
        return str(json.loads((folder / "config.json").read_text())["documentation"])

    monkeypatch.setattr(install, "create", create)
    monkeypatch.setattr(install, "upgrade", upgrade)
    return Engine()


def test_a_first_installation_creates_and_enables(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    assert engine.calls == ["create", "enable"]


def test_a_plugin_for_another_architecture_is_not_installed(
    engine: Engine, plugin_dir: Path
) -> None:
    program = plugin_dir / "rootfs/usr/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00")
    with pytest.raises(BuildError, match=r"is built for arm64, and the engine is of amd64\nremedy"):
        install.install(engine, plugin_dir)
    assert engine.calls == []
    program.write_bytes(Path(sys.executable).read_bytes()[:20])
    assert install.architecture_of(program) == of_machine(platform.machine())


def test_a_second_installation_does_nothing(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    engine.calls.clear()
    install.install(engine, plugin_dir)
    assert engine.calls == []


def test_repeated_upgrades_find_the_plugin_by_its_name(
    engine: Engine, plugin_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install.install(engine, plugin_dir)
    for number in (2, 3):
        engine.calls.clear()
        built(plugin_dir, number)
        install.install(engine, plugin_dir)
        assert engine.calls == ["disable", "upgrade", "enable"]
        assert "upgraded in place" in capsys.readouterr().err
        assert engine.installed[NAME]["Config"]["Documentation"] == documentation(number)
        assert engine.installed[NAME]["PluginReference"].startswith("127.0.0.1:")
        install.install(engine, plugin_dir)
        assert engine.calls == ["disable", "upgrade", "enable"]


def test_a_disabled_plugin_is_enabled(engine: Engine, plugin_dir: Path) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.calls.clear()
    install.install(engine, plugin_dir)
    assert engine.calls == ["enable"]


def test_a_disabled_plugin_of_another_build_is_upgraded_and_enabled(
    engine: Engine, plugin_dir: Path
) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.calls.clear()
    built(plugin_dir, 2)
    install.install(engine, plugin_dir)
    assert engine.calls == ["upgrade", "enable"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BuildError("the layer is bad", "none"), BuildError),
        (APIError("no room left"), BuildError),
        (requests.ConnectionError("reset"), BuildError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_or_interrupted_upgrade_enables_the_plugin_again(
    engine: Engine,
    plugin_dir: Path,
    errors: list[BaseException],
    error: BaseException,
    raised: type[BaseException],
) -> None:
    install.install(engine, plugin_dir)
    built(plugin_dir, 2)
    errors.append(error)
    engine.calls.clear()
    with pytest.raises(raised):
        install.install(engine, plugin_dir)
    assert engine.calls == ["disable", "enable"]
    install.install(engine, plugin_dir)
    assert engine.installed[NAME]["Config"]["Documentation"] == documentation(2)
    assert engine.timeout == 60


def test_a_disabled_plugin_stays_disabled_if_the_upgrade_fails(
    engine: Engine, plugin_dir: Path, errors: list[BaseException]
) -> None:
    install.install(engine, plugin_dir)
    engine.disable_plugin(NAME, force=True)
    engine.calls.clear()
    built(plugin_dir, 2)
    errors.append(APIError("no room left"))
    with pytest.raises(BuildError, match="no room left"):
        install.install(engine, plugin_dir)
    assert engine.calls == []


def test_a_plugin_that_cannot_be_enabled_again_is_reported_with_a_hint(
    engine: Engine,
    plugin_dir: Path,
    errors: list[BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install.install(engine, plugin_dir)
    built(plugin_dir, 2)
    errors.append(requests.ConnectionError("reset"))
    engine.enable_error = requests.ConnectionError("refused")
    with pytest.raises(BuildError, match=f"docker plugin enable {NAME}"):
        install.install(engine, plugin_dir)
    assert f"cannot enable {NAME} again (refused); while it is disabled" in capsys.readouterr().err


def test_a_plugin_that_does_not_start_is_reported_with_a_hint(
    engine: Engine, plugin_dir: Path
) -> None:
    engine.enable_error = APIError("dial unix: no such file")
    with pytest.raises(BuildError, match=f"docker plugin enable {NAME}"):
        install.install(engine, plugin_dir)
