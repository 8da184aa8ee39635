import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import cli
from lab.recipe import Recipe
from tools import build_engine, foreign, plugin
from tools.common.errors import BuildError, NoEngineError


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each call of `ip`, which is not really run."""
    written = tmp_path / "calls"
    written.touch()
    program = tmp_path / "bin/ip"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >>{written}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return written


def test_beside_another_engine_the_private_one_has_its_own_bridge(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_engine, "FOREIGN_BRIDGE", tmp_path)
    with build_engine._bridge() as bridge:
        assert f"--bridge={bridge}" in build_engine._command(tmp_path, tmp_path, bridge)
        assert bridge not in {"none", "docker0"}
        assert f"link add {bridge} type bridge" in calls.read_text()
    assert calls.read_text().endswith(f"link del {bridge}\n")


def test_without_another_engine_there_is_no_bridge(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_engine, "FOREIGN_BRIDGE", tmp_path / "absent")
    with build_engine._bridge() as bridge:
        assert bridge == "none"
    assert calls.read_text() == ""


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no engine, and none may be started."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(build_engine, "LOCAL_SOCKET", tmp_path / "absent")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_error_has_a_remedy() -> None:
    with pytest.raises(NoEngineError, match="set DOCKER_HOST"), build_engine.build_engine():
        pass


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_plugin_is_built_on_the_labs_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = plugin.Built("key", "content", 1, "amd64")

    def build(fallback: str | None = None, *, architecture: str | None) -> plugin.Built:
        assert architecture == "amd64"
        if fallback is None:
            with build_engine.build_engine():
                pass
        assert fallback == "tcp://lab"
        return built

    @contextmanager
    def lab(guest: Recipe) -> Iterator[SimpleNamespace]:
        assert guest.architecture == "amd64"
        yield SimpleNamespace(docker_host="tcp://lab")

    monkeypatch.setattr(plugin, "build", build)
    monkeypatch.setattr(cli, "lab_testbed", lab)
    assert cli.build_plugin("amd64") == built


@pytest.mark.usefixtures("no_engine")
def test_an_engine_elsewhere_does_not_build_for_another_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = SimpleNamespace(info=lambda: {"Architecture": "x86_64"})
    monkeypatch.setattr(build_engine, "connect", lambda *_: client)
    assert build_engine.engine_architecture("tcp://lab") == "amd64"
    with build_engine.build_engine("tcp://lab") as engine:
        assert (engine.architecture, engine.foreign) == ("amd64", False)
    with (
        pytest.raises(BuildError, match=r"tcp://lab is of amd64.*to be built for arm64"),
        build_engine.build_engine("tcp://lab", "arm64"),
    ):
        pass


@pytest.mark.usefixtures("no_engine")
def test_an_engine_of_this_machine_builds_for_what_the_machine_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = SimpleNamespace(info=lambda: {"Architecture": "x86_64"})
    required: list[str] = []
    monkeypatch.setattr(build_engine, "connect", lambda *_: client)
    monkeypatch.setattr(foreign, "require", required.append)
    with build_engine.build_engine(f"unix://{tmp_path}/docker.sock", "arm64") as engine:
        assert (engine.architecture, engine.foreign) == ("arm64", True)
    assert required == ["arm64"]
