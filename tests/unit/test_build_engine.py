from pathlib import Path

import pytest

from build import engine


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
