"""What an engine's host must have, on a host whose programs the test chooses."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest.mock import create_autospec

import docker
import docker.errors
import pytest

from lab import engine_testbed
from lab.engine_testbed import EngineTestbed
from lab.errors import TestbedError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the host's PATH, with all programs that are needed."""
    for name in engine_testbed.PROGRAMS:
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (tmp_path / "sh").symlink_to(str(shutil.which("sh")))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def testbed() -> EngineTestbed:
    return EngineTestbed("unix:///nowhere", helper=None)


@pytest.mark.usefixtures("programs")
def test_a_host_with_every_program_is_accepted(testbed: EngineTestbed) -> None:
    engine_testbed._require_programs(testbed)
    engine_testbed._require_modules(testbed, "6.12")


def test_missing_programs_are_named_with_their_packages(
    programs: Path, testbed: EngineTestbed
) -> None:
    for name in ("cangw", "candump", "pgrep"):
        (programs / name).unlink()
    with pytest.raises(TestbedError, match="lacks candump cangw pgrep") as caught:
        engine_testbed._require_programs(testbed)
    assert "apt-get install can-utils procps" in caught.value.remedy


def test_missing_modules_are_named(programs: Path, testbed: EngineTestbed) -> None:
    (programs / "modprobe").write_text('#!/bin/sh\n[ "$1" != can-gw ]\n')
    with pytest.raises(TestbedError, match=r"the kernel 6\.12 of .* lacks can-gw"):
        engine_testbed._require_modules(testbed, "6.12")


@pytest.mark.usefixtures("programs")
def test_a_missing_program_is_a_failed_command(testbed: EngineTestbed) -> None:
    assert testbed.host("docker", "compose", "version", check=False).returncode == 127
    with pytest.raises(TestbedError, match="docker compose version: status 127"):
        testbed.host("docker", "compose", "version")


def test_the_helper_image_is_loaded_before_it_is_run() -> None:
    """Running a missing image would pull it, and the registry's image may be another one."""
    client = create_autospec(docker.DockerClient, instance=True)

    def no_image(_: docker.DockerClient) -> str:
        raise TestbedError("cannot build the image", "none")

    with pytest.raises(TestbedError, match="cannot build"):
        engine_testbed._start_helper(client, no_image)
    client.containers.run.assert_not_called()


def test_without_an_image_there_is_no_access_to_the_host() -> None:
    client = create_autospec(docker.DockerClient, instance=True)
    with pytest.raises(TestbedError, match="there is no image"):
        engine_testbed._start_helper(client, None)
