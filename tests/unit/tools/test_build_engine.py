import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import cli
from tools import build_engine as engine
from tools import plugin
from tools.common.errors import NoEngineError


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `ip` was called with; the program itself is not run."""
    written = tmp_path / "calls"
    written.touch()
    program = tmp_path / "bin/ip"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >>{written}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return written


def test_beside_another_engine_the_private_one_has_a_bridge_of_its_own(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FOREIGN_BRIDGE", tmp_path)
    with engine._bridge() as bridge:
        assert f"--bridge={bridge}" in engine._command(tmp_path, tmp_path, bridge)
        assert bridge not in {"none", "docker0"}
        assert f"link add {bridge} type bridge" in calls.read_text()
    assert calls.read_text().endswith(f"link del {bridge}\n")


def test_alone_it_needs_none(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FOREIGN_BRIDGE", tmp_path / "absent")
    with engine._bridge() as bridge:
        assert bridge == "none"
    assert calls.read_text() == ""


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's engine is here, and we may not start one."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "LOCAL_SOCKET", tmp_path / "absent")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_error_says_what_to_do() -> None:
    with pytest.raises(NoEngineError, match="set DOCKER_HOST"), engine.build_engine():
        pass


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_plugin_is_built_on_the_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    built = plugin.Built("key", "content", 1, "amd64")

    def build(fallback: str | None = None) -> plugin.Built:
        if fallback is None:
            with engine.build_engine():
                pass
        assert fallback == "tcp://lab"
        return built

    @contextmanager
    def lab() -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(docker_host="tcp://lab")

    monkeypatch.setattr(plugin, "build", build)
    monkeypatch.setattr(cli, "lab_testbed", lab)
    assert cli.build_plugin() == built
