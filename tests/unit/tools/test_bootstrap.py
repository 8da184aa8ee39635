"""bootstrap.sh on different machines; the programs that it calls only log their arguments."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.browser import PROGRAMS
from tools.common.checkout import ROOT

SCRIPT = ROOT / "tools/bootstrap.sh"

# Programs of the test's machine that the script may use.
REAL = (
    *("cat", "chmod", "cut", "dirname", "env", "flock", "grep", "ln", "mkdir", "mktemp", "mv"),
    *("rm", "sh", "sha256sum", "tail", "touch"),
)
# `present` searches /usr/sbin too, where the machine's real engine may be.
NO_ENGINE = (":/usr/sbin:/sbin", "")

APT_GET = """
echo "apt-get $*" >>"$CALLS"
echo "output of apt"
case "$1" in update) exit "${UPDATE:-0}" ;; *) exit "${INSTALL:-0}" ;; esac
"""
DPKG_QUERY = """
for last; do :; done
case " $INSTALLED " in *" $last "*) echo "install ok installed" ;; *) exit 1 ;; esac
"""
SUDO = """
echo "sudo $1" >>"$CALLS"
exec "$@"
"""
PYTHON = """
case "$*" in
-VV) echo "Python 3 of the test" ;;
"-m venv "*)
    [ -z "${NO_VENV:-}" ] || { echo "ensurepip is not available"; exit 1; }
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip "*)
    echo "pip" >>"$CALLS"
    echo "WARNING: Location 'x' is ignored" >&2
    exit "${PIP:-0}" ;;
esac
"""


@dataclass
class Machine:
    """A machine with only those programs on its PATH that a test adds."""

    folder: Path

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.calls = self.folder / "calls"
        for name in (*REAL, "cp"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.add_program("apt-get", APT_GET)
        self.add_program("dpkg-query", DPKG_QUERY)
        self.add_program("python3", PYTHON)
        self.add_program("id", "echo 0")
        self.script = self.folder / "tools/bootstrap.sh"
        self.script.parent.mkdir()
        self.script.write_text(SCRIPT.read_text().replace(*NO_ENGINE))
        (self.folder / "requirements").mkdir()
        (self.folder / "requirements/dev.txt").write_text("")
        self.link = self.folder / ".venv"

    def add_program(self, name: str, body: str) -> None:
        program = self.bin / name
        program.write_text(f"#!{shutil.which('sh')}\n{body}")
        program.chmod(0o755)

    def run(self, *packages: str, **variables: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        return subprocess.run(
            ["sh", self.script, self.link, *packages],
            env={
                "PATH": str(self.bin),
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "CALLS": str(self.calls),
                "INSTALLED": "",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_script_contains_the_search_in_sbin_that_the_tests_remove() -> None:
    assert NO_ENGINE[0] in SCRIPT.read_text()


def test_the_command_in_the_environment_runs_the_source_beside_the_link(
    machine: Machine, tmp_path: Path
) -> None:
    assert machine.run().returncode == 0
    other = tmp_path / "other checkout"
    for root in (machine.folder, other):
        package = root / "src/evercan/cli"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"def main(): print({root.name!r})")
        (package.parent / "__init__.py").touch()
    (other / ".venv").symlink_to(machine.link.readlink())
    for link, root in (
        (machine.link, machine.folder),
        (other / ".venv", other),
        (machine.link.readlink(), machine.folder),
    ):
        called = [sys.executable, str(link / "bin/evercan")]
        done = subprocess.run(called, capture_output=True, text=True, check=True)
        assert done.stdout == f"{root.name}\n"


def test_two_checkouts_may_write_the_command_at_the_same_time(machine: Machine) -> None:
    machine.run()
    chmod = machine.bin / "chmod"
    chmod.unlink()
    real = shutil.which("chmod")
    # The other one is complete when this one is about to make its own command executable.
    machine.add_program("chmod", f'[ -n "${{OTHER:-}}" ] || OTHER=1 sh "$0.other"\n{real} "$@"')
    (machine.bin / "chmod.other").write_text(f"exec sh {machine.script} {machine.link}\n")
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (machine.link / "bin").iterdir()} == {"python", "evercan"}


def test_root_needs_no_sudo(machine: Machine) -> None:
    done = machine.run("docker.io", "python3-venv")
    assert done.returncode == 0, done.stderr
    assert machine.called() == [
        "apt-get update",
        "apt-get install -y --no-remove --no-install-recommends docker.io python3-venv",
        "pip",
    ]
    assert (machine.link / "bin/python").exists()
    assert "WARNING" not in done.stdout + done.stderr


def test_a_second_run_calls_nothing(machine: Machine) -> None:
    machine.run()
    done = machine.run("docker.io", INSTALLED="docker.io")
    assert (done.returncode, done.stderr, machine.called()) == (0, "", [])


def test_the_script_leaves_no_temporary_files(machine: Machine) -> None:
    before = {path.name for path in machine.folder.glob("tmp.*")}
    machine.run("docker.io")
    assert {path.name for path in machine.folder.glob("tmp.*")} == before


def test_an_engine_of_another_package_counts_as_docker_io(machine: Machine) -> None:
    machine.add_program("dockerd", "")
    assert machine.run("docker.io").returncode == 0
    assert machine.called() == ["pip"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_any_browser_that_tests_can_use_counts_as_chromium(machine: Machine, program: str) -> None:
    machine.add_program(program, "")
    assert machine.run("chromium").returncode == 0
    assert machine.called() == ["pip"]


def test_other_users_use_sudo(machine: Machine) -> None:
    machine.add_program("id", "echo 1000")
    machine.add_program("sudo", SUDO)
    assert machine.run("qemu-utils").returncode == 0
    assert [call for call in machine.called() if call.startswith("sudo")] == [
        "sudo apt-get",
        "sudo env",
    ]


def test_without_sudo_the_remedy_removes_no_packages(machine: Machine) -> None:
    machine.add_program("id", "echo 1000")
    done = machine.run("qemu-utils")
    assert done.returncode == 1
    assert "apt-get install -y --no-remove --no-install-recommends qemu-utils" in done.stderr
    assert machine.called() == []


def test_an_unreachable_apt_source_does_not_stop_the_installation(machine: Machine) -> None:
    done = machine.run("qemu-utils", UPDATE="100")
    assert done.returncode == 0
    assert "output of apt" in done.stderr


def test_a_failure_of_apt_is_shown_with_a_remedy(machine: Machine) -> None:
    done = machine.run("docker.io", INSTALL="100")
    assert done.returncode == 1
    assert "output of apt" in done.stderr
    assert "make -o" in done.stderr
    assert not machine.link.is_symlink()


def test_on_another_distribution_the_message_names_apt_get(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    done = machine.run("docker.io")
    assert done.returncode == 1
    assert "no apt-get" in done.stderr


def test_a_folder_in_place_of_the_link_is_not_touched(machine: Machine) -> None:
    machine.link.mkdir()
    done = machine.run("docker.io")
    assert done.returncode == 1
    assert "rm -r" in done.stderr
    assert "make -o" in done.stderr
    assert list(machine.link.iterdir()) == []
    assert machine.called() == []


def test_a_link_to_an_older_environment_is_replaced(machine: Machine) -> None:
    older = machine.folder / "older"
    older.mkdir()
    machine.link.symlink_to(older)
    assert machine.run().returncode == 0
    assert machine.link.resolve() != older
    assert list(older.iterdir()) == []


def test_an_interpreter_without_venv_names_the_package(machine: Machine) -> None:
    done = machine.run(NO_VENV="1")
    assert done.returncode == 1
    assert "ensurepip" in done.stderr
    assert "python3-venv" in done.stderr
    assert machine.run().returncode == 0


def test_a_failure_of_pip_is_shown_and_the_environment_is_incomplete(machine: Machine) -> None:
    done = machine.run(PIP="1")
    assert done.returncode == 1
    assert "is ignored" in done.stderr
    assert not machine.link.is_symlink()
    assert machine.run().returncode == 0
    assert machine.called() == ["pip"]


def test_an_installation_gets_an_environment_with_its_own_list(machine: Machine) -> None:
    (machine.folder / "requirements/install.txt").write_text("docker==7.2.0 \\\n    --hash=x\n")
    done = machine.run(REQUIREMENTS="install")
    assert "1 packages of requirements/install.txt (about a minute)" in done.stderr
    small = machine.link.readlink()
    machine.run()
    assert machine.link.readlink() != small


def test_an_environment_for_development_is_good_for_an_installation(machine: Machine) -> None:
    (machine.folder / "requirements/install.txt").write_text("docker==7.2.0\n")
    machine.run()
    full = machine.link.readlink()
    machine.run(REQUIREMENTS="install")
    assert machine.link.readlink() == full
