import subprocess
import sys
from pathlib import Path

import pytest

from lab import accelerator, detached, launch
from lab.cli import main
from lab.errors import LabError, TestbedError
from lab.machine import Machine
from lab.paths import HERE, lab_cache
from lab.recipe import Recipe
from lab.shell import checked, ends_with_stdin
from lab.testbed import choose
from tools.common.errors import MissingProgramError
from tools.common.programs import PACKAGES, find_program
from tools.foreign import PACKAGES as FOREIGN_PACKAGES


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_cache_follows_the_environment(tmp_path: Path) -> None:
    assert lab_cache() == tmp_path / "cache/evercan/lab"


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "no-such-program", "some-package")
    with pytest.raises(
        MissingProgramError, match=r"remedy: run: tools/bootstrap.sh .venv some-package"
    ):
        find_program("no-such-program")


def test_packages_txt_lists_every_package_that_the_lab_needs() -> None:
    listed = (HERE / "packages.txt").read_text().split()
    foreign = (HERE / "packages-arm64.txt").read_text().split()
    assert (listed, foreign) == (sorted(listed), sorted(foreign))
    needed = {name for program, name in PACKAGES.items() if program != "docker"}
    assert needed | set(FOREIGN_PACKAGES) <= {*listed, *foreign}


def test_a_forced_accelerator_is_the_only_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv(accelerator.VARIABLE, "kvm")
    assert accelerator.candidates("amd64") == ["kvm"]
    monkeypatch.setenv(accelerator.VARIABLE, "vroom")
    with pytest.raises(LabError, match="neither kvm nor tcg"):
        accelerator.candidates("amd64")


def test_kvm_is_not_tried_for_a_guest_of_another_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.access", lambda *_: True)
    monkeypatch.delenv(accelerator.VARIABLE, raising=False)
    assert accelerator.candidates("arm64") == ["tcg"]
    monkeypatch.setenv(accelerator.VARIABLE, "kvm")
    with pytest.raises(LabError, match="KVM does not run a guest of arm64"):
        accelerator.candidates("arm64")


@pytest.mark.parametrize(
    ("verdict", "expected"), [(None, ["kvm", "tcg"]), (True, ["kvm", "tcg"]), (False, ["tcg"])]
)
def test_kvm_is_tried_until_it_has_failed_once(
    verdict: bool | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(accelerator.VARIABLE, raising=False)
    monkeypatch.setattr("os.access", lambda *_: True)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(accelerator, "_machine", lambda _: "this machine")
    if verdict is not None:
        accelerator.remember("amd64", works=verdict)
    assert accelerator.candidates("amd64") == expected


def test_a_folder_without_a_running_process_is_no_machine(tmp_path: Path) -> None:
    assert Machine.attach(tmp_path) is None
    (tmp_path / launch.INFO_FILE).write_text(
        '{"pid": 1, "image": "/i", "accel": "tcg", "engine_port": 1, "ssh_port": 2}'
    )
    assert Machine.attach(tmp_path) is None
    (tmp_path / launch.INFO_FILE).write_text("{")
    assert Machine.attach(tmp_path) is None


def test_the_folder_of_a_machine_that_stopped_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "run"
    left.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (lab_cache() / "up-trixie").write_text(f"{left}\n")
    (lab_cache() / "up-trixie-arm64").write_text(f"{other}\n")
    assert detached.running(Recipe()) is None
    assert detached.down(Recipe()) is False
    assert (left.exists(), other.exists()) == (False, True)


def test_the_supervisor_ends_the_program_and_removes_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    supervisor = [sys.executable, "-I", "-S", str(HERE / "supervisor.py"), str(folder)]
    program = ["sh", "-c", "echo up; exec sleep 60"]
    with subprocess.Popen(
        [*supervisor, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.stdin.close()
        assert process.wait(10) == 128 + 15
    assert not folder.exists()


def test_the_supervisor_returns_the_programs_status(tmp_path: Path) -> None:
    supervisor = [sys.executable, "-I", "-S", str(HERE / "supervisor.py"), str(tmp_path)]
    with subprocess.Popen([*supervisor, "sh", "-c", "exit 7"], stdin=subprocess.PIPE) as process:
        assert process.wait(10) == 7
    assert tmp_path.exists()


def test_a_command_ends_with_its_standard_input() -> None:
    with subprocess.Popen(
        ["sh", "-c", ends_with_stdin(("sh", "-c", "echo hello; exec sleep 60"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"hello\n"
        process.stdin.close()
        assert process.wait(10) == 128 + 15


def test_a_command_that_ends_by_itself_keeps_its_status() -> None:
    with subprocess.Popen(
        ["sh", "-c", ends_with_stdin(("sh", "-c", "exit 3"))], stdin=subprocess.PIPE
    ) as process:
        assert process.wait(10) == 3


def test_the_error_of_a_failed_command_contains_its_output() -> None:
    done = subprocess.CompletedProcess(["x"], 2, stdout=b"", stderr=b"no such link\n")
    assert checked(["ip", "a b"], done, check=False) is done
    with pytest.raises(TestbedError, match=r"ip 'a b': status 2: no such link"):
        checked(["ip", "a b"], done, check=True)


def test_an_unknown_testbed_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERCAN_TESTBED", "moon")
    with pytest.raises(TestbedError, match="neither lab nor engine"), choose():
        pass


def test_an_engine_and_a_guest_of_the_lab_cannot_both_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVERCAN_TESTBED", "engine")
    monkeypatch.setenv("EVERCAN_LAB", "forky")
    with pytest.raises(TestbedError, match="EVERCAN_LAB=forky contradict"), choose():
        pass


def test_a_forced_engine_that_is_missing_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERCAN_TESTBED", "engine")
    monkeypatch.delenv("EVERCAN_LAB", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(TestbedError, match="remedy: start Docker"), choose():
        pass


def test_commands_without_a_running_lab_name_the_command_that_starts_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.delenv("EVERCAN_LAB", raising=False)
    assert main(["power-cut"]) == 1
    assert "python -m lab up\n" in capsys.readouterr().err
    assert main(["power-cut", "--release", "bookworm", "--arch", "arm64"]) == 1
    shown = capsys.readouterr().err
    assert "the lab bookworm-arm64 is not running" in shown
    assert "start it: python -m lab up --release bookworm --arch arm64\n" in shown
    assert main(["down"]) == 0
    assert main(["status"]) == 1
