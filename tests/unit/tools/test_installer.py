"""install.sh against an engine that keeps state, under the shells that machines have."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import fake_docker_program
from tests.support.small_plugin import small_plugin
from tools import release
from tools.common.checkout import ROOT

SCRIPT = ROOT / "install.sh"
VERSION = release.version()
NAME = "evercan:latest"
REGISTRY = "ghcr.io/evercan"
FROM_A_FILE = "127.0.0.1:9/evercan-upgrade"
# A shell for everyday tests: the strictest that this machine has.
SHELL = next(shell for shell in ("dash", "sh") if shutil.which(shell))
SHELLS = [
    pytest.param(["dash"], id="dash"),
    pytest.param(["busybox", "sh"], id="busybox"),
    pytest.param(["bash", "--posix"], id="bash"),
]


def documentation(number: str, architecture: str = "amd64") -> str:
    return release.released("D. Build 1.", number, architecture)


@dataclass
class Machine:
    """A machine with a fake engine, and a folder in place of / for what install.sh writes."""

    folder: Path

    def __post_init__(self) -> None:
        self.root = self.folder / "root"
        for module in ("vcan", "vxcan", "can_gw"):
            (self.root / "sys/module" / module).mkdir(parents=True)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        fake_docker_program.install(self.bin)
        self.program("modprobe", 'mkdir -p "$EVERCAN_INSTALL_ROOT/sys/module/$(echo $1 | tr - _)"')
        self.program("sudo", 'exec "$@"')
        self.state = self.folder / "docker"
        self.state.mkdir()
        self.write(
            {
                "running": True,
                "info": {
                    "ServerVersion": "26.1.5+dfsg1",
                    "Architecture": "x86_64",
                    "KernelVersion": platform.release(),
                    "Name": platform.node(),
                    "DockerRootDir": "/var/lib/docker",
                },
                "images": [],
                "networks": {"bridge": "bridge"},
                "members": [],
                "helper": {},
                "plugins": {},
                "registry": {
                    f"{REGISTRY}/evercan:{number}-{architecture}": documentation(
                        number, architecture
                    )
                    for number in (VERSION, "0.0.9")
                    for architecture in ("amd64", "arm64")
                },
                "broken": [],
                "made": 0,
            }
        )

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.state / "state.json").read_text())
        return state

    def write(self, state: dict[str, Any]) -> None:
        (self.state / "state.json").write_text(json.dumps(state))

    def change(self, **changes: Any) -> None:
        self.write(self.read() | changes)

    def calls(self) -> list[str]:
        file = self.state / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def run(
        self, *arguments: str, shell: list[str] | None = None, script: Path = SCRIPT
    ) -> subprocess.CompletedProcess[str]:
        (self.state / "calls").unlink(missing_ok=True)
        program, *options = shell or [SHELL]
        return subprocess.run(
            [str(shutil.which(program)), *options, str(script), *arguments],
            env={
                "PATH": f"{self.bin}:/usr/bin:/bin",
                "FAKE_DOCKER": str(self.state),
                "EVERCAN_INSTALL_ROOT": str(self.root),
                "TMPDIR": str(self.folder),
            },
            check=False,
            capture_output=True,
            text=True,
            start_new_session=True,  # a signal for its group does not reach the tests
        )

    def done(self, *arguments: str, **named: Any) -> str:
        done = self.run(*arguments, **named)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fails(self, *arguments: str, **named: Any) -> str:
        done = self.run(*arguments, **named)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def plugin(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read()["plugins"][NAME]
        return found

    @property
    def module_list(self) -> Path:
        return self.root / "etc/modules-load.d/evercan.conf"

    def everything(self) -> tuple[object, ...]:
        """Return what an installation changes, without what the engine counts."""
        state = self.read()
        modules = sorted(path.name for path in (self.root / "sys/module").iterdir())
        plugins = {
            name: (plugin["documentation"], plugin["enabled"], plugin["state"])
            for name, plugin in state["plugins"].items()
        }
        leftovers = sorted(path.name for path in self.folder.glob("tmp.*"))
        return (
            plugins, state["images"], state["helper"], state["networks"],
            self.module_list.exists(), modules, leftovers,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def tarballs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the release's tarballs for two architectures, and their checksums."""
    folder = tmp_path_factory.mktemp("release")
    for architecture in ("amd64", "arm64"):
        plugin = small_plugin(tmp_path_factory.mktemp(architecture), architecture)
        release.pack(folder, plugin)
    release.write_sums(folder)
    return folder


def tarball(folder: Path, architecture: str = "amd64") -> str:
    return str(folder / f"evercan-plugin-{VERSION}-{architecture}.tar.gz")


def with_old_build(
    machine: Machine, *, enabled: bool = True, source: str = f"{REGISTRY}/evercan"
) -> None:
    """Install version 0.0.9, with a network and state that only that plugin has."""
    old = {
        "id": "f" * 64,
        "enabled": enabled,
        "documentation": documentation("0.0.9"),
        "reference": f"{source}:0.0.9-amd64",
        "state": "of years",
    }
    machine.change(plugins={NAME: old}, networks={"bridge": "bridge", "powertrain": NAME})


def test_the_script_is_short_and_has_this_version() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < 200
    assert f"\nVERSION={VERSION}\n" in text


def test_a_script_that_arrives_in_part_does_nothing(machine: Machine, tmp_path: Path) -> None:
    lines = SCRIPT.read_text().splitlines()
    for end in range(0, len(lines), 7):
        part = tmp_path / "install.sh"
        part.write_text("\n".join(lines[:end]))
        machine.run(script=part)
        assert machine.calls() == []


@pytest.mark.parametrize("shell", SHELLS)
def test_one_line_installs_and_a_second_run_changes_nothing(
    machine: Machine, shell: list[str]
) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"this machine has no {shell[0]}")
    out = machine.done(shell=shell)
    assert machine.plugin()["enabled"]
    assert machine.plugin()["reference"] == f"{REGISTRY}/evercan:{VERSION}-amd64"
    assert machine.module_list.read_text() == "vcan\nvxcan\ncan-gw\n"
    assert all(line.startswith("evercan: ") for line in out.splitlines())
    before = machine.everything()
    assert f"evercan: it has evercan {VERSION}" in machine.done(shell=shell)
    assert machine.everything() == before


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tarball_installs_without_a_registry(
    machine: Machine, tarballs: Path, shell: list[str]
) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"this machine has no {shell[0]}")
    machine.change(registry={})
    out = machine.done("--from", tarball(tarballs), shell=shell)
    assert "evercan: the checksum of" in out
    assert machine.plugin()["enabled"]
    state = machine.read()
    assert (state["helper"], state["images"], list(state["plugins"])) == ({}, [], [NAME])
    assert f"it has evercan {VERSION}" in machine.done("--from", tarball(tarballs), shell=shell)


def test_the_file_beside_the_script_is_installed(machine: Machine, tarballs: Path) -> None:
    script = Path(shutil.copy(SCRIPT, tarballs))
    machine.change(registry={})
    machine.done(script=script)
    assert machine.plugin()["reference"].startswith("127.0.0.1:")


def test_the_architecture_of_the_engine_chooses_the_tag(machine: Machine) -> None:
    machine.change(info=machine.read()["info"] | {"Architecture": "aarch64"})
    machine.done("--registry", REGISTRY)
    assert machine.plugin()["reference"] == f"{REGISTRY}/evercan:{VERSION}-arm64"


@pytest.mark.parametrize("beside", [False, True])
def test_a_file_for_another_architecture_is_rejected_by_name(
    machine: Machine, tarballs: Path, tmp_path: Path, *, beside: bool
) -> None:
    before = machine.everything()
    if beside:
        script = Path(shutil.copy(SCRIPT, tmp_path))
        shutil.copy(tarball(tarballs, "arm64"), tmp_path)
        err = machine.fails(script=script)
    else:
        err = machine.fails("--from", tarball(tarballs, "arm64"))
    assert f"evercan-plugin-{VERSION}-arm64.tar.gz is for arm64; the engine is amd64" in err
    assert machine.everything() == before
    assert [call.split()[0] for call in machine.calls()] == ["info"]


def test_a_wrong_build_behind_a_tag_never_replaces_the_old_one(machine: Machine) -> None:
    with_old_build(machine)
    before = machine.everything()
    machine.change(
        registry={f"{REGISTRY}/evercan:{VERSION}-amd64": documentation(VERSION, "arm64")}
    )
    assert f"is another build: {documentation(VERSION, 'arm64')}" in machine.fails()
    assert not any("disable -f" in call for call in machine.calls())
    assert machine.everything()[0] == before[0]


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"Architecture": "armv7l"}, "no evercan for the engine's architecture armv7l"),
        ({"Architecture": "riscv64"}, "architecture riscv64"),
        ({"ServerVersion": "29.0.2"}, "29.0.2 crashes with any network plugin"),
        ({"ServerVersion": "19.03.15"}, "19.03.15 is too old"),
        ({"ServerVersion": "20.2.1"}, "20.2.1 is too old"),
    ],
)
def test_an_engine_that_cannot_run_it_is_rejected(
    machine: Machine, info: dict[str, str], text: str
) -> None:
    before = machine.everything()
    machine.change(info=machine.read()["info"] | info)
    err = machine.fails()
    assert text in err
    assert "\nremedy: " in err
    assert machine.everything() == before


@pytest.mark.parametrize("number", ["20.10.24+dfsg1", "29.0.3", "29.0.20", "30.1.0"])
def test_other_engines_are_accepted(machine: Machine, number: str) -> None:
    machine.change(info=machine.read()["info"] | {"ServerVersion": number})
    machine.done()


def test_an_engine_that_does_not_answer_has_a_remedy(machine: Machine) -> None:
    machine.change(running=False)
    assert "set DOCKER_HOST" in machine.fails()


def test_a_changed_file_is_rejected(machine: Machine, tarballs: Path, tmp_path: Path) -> None:
    shutil.copy(tarballs / "SHA256SUMS", tmp_path)
    copy = Path(shutil.copy(tarball(tarballs), tmp_path))
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert "is not the file that" in machine.fails("--from", str(copy))
    assert len(machine.calls()) == 1


def test_a_file_that_is_no_release_is_rejected(machine: Machine, tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_text("nothing")
    assert "is not a release of evercan" in machine.fails("--from", str(other))
    assert "there is no file" in machine.fails("--from", str(tmp_path / "missing"))


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("offline", [True, False])
def test_signatures_are_verified_where_cosign_is(
    machine: Machine, tarballs: Path, tmp_path: Path, *, valid: bool, offline: bool
) -> None:
    machine.program("cosign", f'echo "$*" >>"{tmp_path}/cosign"; exit {0 if valid else 1}')
    arguments = []
    if offline:
        copy = shutil.copy(tarball(tarballs), tmp_path)
        Path(f"{copy}.sigstore.json").write_text("{}")
        arguments = ["--from", str(copy)]
    if valid:
        assert "the signature of" in machine.done(*arguments)
    else:
        assert "is not valid" in machine.fails(*arguments)
        assert machine.read()["plugins"] == {}
    asked = (tmp_path / "cosign").read_text()
    assert "--certificate-identity-regexp ^https://github.com/" in asked
    assert ("verify-blob --bundle" in asked) == offline


def test_missing_modules_are_loaded(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/module/can_gw")
    assert "evercan: loading kernel module can-gw\n" in machine.done()
    assert (machine.root / "sys/module/can_gw").is_dir()


def test_a_module_that_the_kernel_lacks_ends_it_before_the_plugin(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/module/vxcan")
    machine.program("modprobe", 'echo "Module $1 not found" >&2; exit 1')
    err = machine.fails()
    assert "loading kernel module vxcan: Module vxcan not found" in err
    assert f"linux-modules-extra-{platform.release()}" in err
    assert not machine.module_list.exists()
    assert machine.read()["plugins"] == {}


def test_the_modules_of_another_host_are_left_alone(machine: Machine) -> None:
    machine.change(info=machine.read()["info"] | {"Name": "gateway"})
    assert "not checked: the kernel modules of gateway" in machine.done()
    assert not machine.module_list.exists()


def test_a_dry_run_changes_nothing(machine: Machine, tarballs: Path) -> None:
    with_old_build(machine)
    shutil.rmtree(machine.root / "sys/module/can_gw")
    before = machine.everything()
    for arguments in ([], ["--from", tarball(tarballs)], ["--uninstall", "--force"]):
        out = machine.done("--dry-run", *arguments)
        assert "evercan: would be disabling evercan:latest" in out
        assert machine.everything() == before
    state = machine.read()
    assert state["made"] == 0


def test_an_upgrade_keeps_id_and_state(machine: Machine) -> None:
    with_old_build(machine)
    machine.done()
    plugin = machine.plugin()
    assert (plugin["id"], plugin["state"], plugin["enabled"]) == ("f" * 64, "of years", True)
    assert plugin["documentation"] == documentation(VERSION)
    assert list(machine.read()["plugins"]) == [NAME]


def test_another_version_can_be_installed(machine: Machine) -> None:
    machine.done()
    machine.done("--version", "0.0.9")
    assert machine.plugin()["documentation"] == documentation("0.0.9")


@pytest.mark.parametrize("offline", [False, True])
def test_a_build_that_does_not_start_gives_way_to_the_old_one(
    machine: Machine, tarballs: Path, *, offline: bool
) -> None:
    with_old_build(machine, source=FROM_A_FILE if offline else f"{REGISTRY}/evercan")
    before = machine.everything()
    new = release.released("D. Build 2.", VERSION, "amd64") if offline else documentation(VERSION)
    machine.change(broken=[new])
    done = machine.run(*(["--from", tarball(tarballs)] if offline else []))
    assert "failed: enabling evercan:latest" in done.stderr
    assert "evercan:latest is as it was before" in done.stdout
    after = machine.everything()
    assert (after[:4], after[6]) == (before[:4], before[6])


def test_a_build_that_cannot_be_restored_is_announced(machine: Machine) -> None:
    with_old_build(machine, source=FROM_A_FILE)
    machine.change(broken=[documentation(VERSION)])
    done = machine.run()
    assert "the former build is from no registry" in done.stdout
    assert "evercan:latest is not as it was before" in done.stderr


def test_a_disabled_plugin_of_this_build_is_enabled(machine: Machine) -> None:
    machine.done()
    state = machine.read()
    state["plugins"][NAME]["enabled"] = False
    machine.write(state)
    machine.done()
    assert machine.plugin()["enabled"]


def test_uninstall_refuses_while_networks_exist(machine: Machine) -> None:
    with_old_build(machine)
    before = machine.everything()
    assert "these networks use evercan:latest: powertrain" in machine.fails("--uninstall")
    assert machine.everything() == before


def test_uninstall_leaves_nothing(machine: Machine) -> None:
    before = machine.everything()
    machine.done()
    machine.change(
        images=["evercan/can-tools:latest"], networks={"bridge": "bridge", "powertrain": NAME}
    )
    machine.done("--uninstall", "--force")
    assert machine.everything() == before
    machine.done("--uninstall")


def test_uninstall_keeps_a_network_with_members(machine: Machine) -> None:
    with_old_build(machine)
    machine.change(members=["powertrain"])
    err = machine.fails("--uninstall", "--force")
    assert "has active endpoints" in err
    assert "remedy: remove their containers" in err
    assert machine.plugin()["enabled"]


SCENARIOS = ("install", "install offline", "upgrade", "upgrade offline", "uninstall")


def _prepared(tmp_path: Path, scenario: str, tarballs: Path) -> tuple[Machine, list[str]]:
    machine = Machine(tmp_path)
    if scenario != "uninstall":
        shutil.rmtree(machine.root / "sys/module/can_gw")
        machine.program(
            "modprobe",
            'd=$EVERCAN_INSTALL_ROOT/sys/module\n[ "$1" = -r ] && exec rmdir "$d/can_gw"\n'
            'mkdir "$d/can_gw"',
        )
    if scenario.startswith("upgrade"):
        with_old_build(machine)
    if scenario == "uninstall":
        machine.done()
    arguments = ["--from", tarball(tarballs)] if "offline" in scenario else []
    return machine, ["--uninstall"] if scenario == "uninstall" else arguments


KINDS = ("before", "after", "signal")
LONG = bool(os.environ.get("EVERCAN_LONG"))


@pytest.mark.parametrize("first", range(len(KINDS)) if LONG else [0])
@pytest.mark.parametrize("scenario", SCENARIOS if LONG else ["upgrade offline"])
def test_a_failure_at_any_call_leaves_the_old_build_running(
    tmp_path: Path, tarballs: Path, scenario: str, first: int
) -> None:
    """Let each call fail in one run of its own; with EVERCAN_LONG, in each of the three ways."""
    (tmp_path / "whole").mkdir()
    machine, arguments = _prepared(tmp_path / "whole", scenario, tarballs)
    machine.done(*arguments)
    complete, number = machine.everything(), len(machine.calls())
    assert number > 4
    failed = 0
    for call in range(1, number + 1):
        fault = KINDS[(call + first) % len(KINDS)]
        folder = tmp_path / str(call)
        folder.mkdir()
        machine, arguments = _prepared(folder, scenario, tarballs)
        before = machine.everything()
        (machine.state / "fault").write_text(f"{call} {fault}")
        done = machine.run(*arguments)
        (machine.state / "fault").unlink()
        at = f"{scenario}, call {call} of {number} fails ({fault}): {done.stdout}{done.stderr}"
        if done.returncode == 0:
            assert machine.everything() == complete, at
            continue
        failed += 1
        if scenario == "uninstall":
            plugin = machine.read()["plugins"].get(NAME)
            assert plugin is None or plugin["enabled"], at
        else:
            assert machine.everything() == before, at
        machine.done(*arguments)
        assert machine.everything() == complete, at
    assert failed > 2


def test_the_checksums_are_those_of_sha256sum(tarballs: Path) -> None:
    for line in (tarballs / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tarballs / name).read_bytes()).hexdigest() == digest
