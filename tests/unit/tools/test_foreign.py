"""Programs of another architecture: an emulator is registered, or the error says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import foreign
from tools.common.errors import BuildError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An amd64 machine with binfmt_misc, where arch-test says whether the kernel has the rule."""
    binfmt, rules, programs = tmp_path / "binfmt", tmp_path / "rules", tmp_path / "bin"
    for folder in (binfmt, rules, programs):
        folder.mkdir()
    (binfmt / "register").touch()
    (programs / "arch-test").write_text(f"#!/bin/sh\ngrep -q qemu-$1 {binfmt}/register\n")
    (programs / "arch-test").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(foreign, "_BINFMT", binfmt)
    monkeypatch.setattr(foreign, "_RULES", rules)
    return tmp_path


def test_a_machine_runs_programs_of_its_own_architecture(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine))
    foreign.require("amd64")


def test_an_installed_emulator_is_registered_once(machine: Path) -> None:
    (machine / "rules/qemu-aarch64.conf").write_text("a rule for qemu-arm64")
    foreign.require("arm64")
    assert (machine / "binfmt/register").read_text() == "a rule for qemu-arm64"
    (machine / "rules/qemu-aarch64.conf").unlink()
    foreign.require("arm64")


@pytest.mark.usefixtures("machine")
def test_without_an_emulator_the_error_says_what_to_install() -> None:
    with pytest.raises(BuildError, match=r"cannot run arm64 programs.*\n.*qemu-user-static"):
        foreign.require("arm64")


def test_a_kernel_that_takes_no_emulator_is_reported(machine: Path) -> None:
    (machine / "rules/qemu-aarch64.conf").write_text("a rule that the kernel ignores")
    with pytest.raises(BuildError, match="its kernel takes no emulator"):
        foreign.require("arm64")
