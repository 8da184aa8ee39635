"""bootstrap.sh on all kinds of machines: what it calls are stand-ins that write it down."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/bootstrap.sh"

# What the script may use of the machine that the tests run on.
REAL = (
    *("cat", "chmod", "cut", "dirname", "env", "flock", "grep", "ln", "mkdir", "mktemp", "mv"),
    *("rm", "sh", "sha256sum", "tail", "touch"),
)
# `present` looks in /usr/sbin too, where the real machine's engine may be.
NO_ENGINE = (":/usr/sbin:/sbin", "")

APT_GET = """
echo "apt-get $*" >>"$CALLS"
echo "the words of apt"
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
    """A machine with nothing on its path but what a test puts there."""

    folder: Path

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.calls = self.folder / "calls"
        for name in (*REAL, "cp"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.has("apt-get", APT_GET)
        self.has("dpkg-query", DPKG_QUERY)
        self.has("python3", PYTHON)
        self.has("id", "echo 0")
        self.script = self.folder / "tools/bootstrap.sh"
        self.script.parent.mkdir()
        self.script.write_text(SCRIPT.read_text().replace(*NO_ENGINE))
        (self.folder / "requirements").mkdir()
        (self.folder / "requirements/dev.txt").write_text("")
        self.link = self.folder / ".venv"

    def has(self, name: str, body: str) -> None:
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


def test_the_programs_searched_for_in_sbin_are_left_out_of_these_tests() -> None:
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


def test_root_on_a_bare_machine_needs_no_sudo(machine: Machine) -> None:
    done = machine.run("docker.io", "python3-venv")
    assert done.returncode == 0, done.stderr
    assert machine.called() == [
        "apt-get update",
        "apt-get install -y --no-remove --no-install-recommends docker.io python3-venv",
        "pip",
    ]
    assert (machine.link / "bin/python").exists()
    assert "WARNING" not in done.stdout + done.stderr


def test_a_second_run_asks_nobody(machine: Machine) -> None:
    machine.run()
    done = machine.run("docker.io", INSTALLED="docker.io")
    assert (done.returncode, done.stderr, machine.called()) == (0, "", [])


def test_what_the_script_leaves_in_the_temporary_folder_is_nothing(machine: Machine) -> None:
    before = {each.name for each in machine.folder.glob("tmp.*")}
    machine.run("docker.io")
    assert {each.name for each in machine.folder.glob("tmp.*")} == before


def test_an_engine_of_another_package_counts_as_docker_io(machine: Machine) -> None:
    machine.has("dockerd", "")
    assert machine.run("docker.io").returncode == 0
    assert machine.called() == ["pip"]


def test_everybody_else_uses_sudo(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("sudo", SUDO)
    assert machine.run("qemu-utils").returncode == 0
    assert [each for each in machine.called() if each.startswith("sudo")] == [
        "sudo apt-get",
        "sudo env",
    ]


def test_without_sudo_the_remedy_removes_nothing_either(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    done = machine.run("qemu-utils")
    assert done.returncode == 1
    assert "apt-get install -y --no-remove --no-install-recommends qemu-utils" in done.stderr
    assert machine.called() == []


def test_a_source_out_of_reach_does_not_stop_the_installation(machine: Machine) -> None:
    done = machine.run("qemu-utils", UPDATE="100")
    assert done.returncode == 0
    assert "the words of apt" in done.stderr


def test_apts_refusal_is_shown_with_a_remedy(machine: Machine) -> None:
    done = machine.run("docker.io", INSTALL="100")
    assert done.returncode == 1
    assert "the words of apt" in done.stderr
    assert "make -o" in done.stderr
    assert not machine.link.is_symlink()


def test_another_distribution_is_told_so(machine: Machine) -> None:
    (machine.bin / "apt-get").unlink()
    done = machine.run("docker.io")
    assert done.returncode == 1
    assert "no apt-get" in done.stderr


def test_a_folder_of_somebodys_own_is_left_alone(machine: Machine) -> None:
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


def test_pips_words_are_shown_if_it_fails_and_nothing_counts_as_made(machine: Machine) -> None:
    done = machine.run(PIP="1")
    assert done.returncode == 1
    assert "is ignored" in done.stderr
    assert not machine.link.is_symlink()
    assert machine.run().returncode == 0
    assert machine.called() == ["pip"]
