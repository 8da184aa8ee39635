"""The development container's checks, and its compose file, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lab.compose import Project
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tools.common.checkout import ROOT
from tools.images import CAN_TOOLS

if TYPE_CHECKING:
    from docker.models.containers import Container

FOLDER = ROOT / ".devcontainer"
CHECK_BUS = ("sh", "-c", (FOLDER / "check_bus.sh").read_text())


def inside(container: Container, *command: str) -> tuple[int | None, str]:
    """Run a program in a container; return its status and its output."""
    status, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    return status, output.decode()


def test_the_hosts_check_passes_on_a_host_with_the_plugin(testbed: Testbed) -> None:
    script = (FOLDER / "check_host.sh").read_bytes()
    checked = testbed.host("sh", "-s", stdin=script, check=False)
    assert checked.returncode == 0, checked.stderr.decode()
    assert checked.stdout.decode() == "evercan: this host can make a CAN bus\n"


@pytest.fixture
def workspace(testbed: Testbed, tmp_path: Path) -> Iterator[Container]:
    """Yield the container of the compose file, from a small image and without the checkout."""
    document = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    service = document["services"]["workspace"]
    del service["build"]
    service["image"] = CAN_TOOLS
    service["volumes"] = [volume for volume in service["volumes"] if not volume.startswith("..")]
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(document))
    project = Project(testbed, file, document["name"])
    assert project.by_compose, "the lab has Debian's docker-compose"
    try:
        project.up()
        yield project.container("workspace")
    finally:
        project.down()


def test_the_container_has_a_bus_and_an_ip_network(workspace: Container) -> None:
    checked = inside(workspace, *CHECK_BUS)
    assert checked == (0, "evercan: can0 is ready; try: candump can0\n")
    _, links = inside(workspace, "ls", "/sys/class/net")
    assert set(links.split()) == {"can0", "eth0", "lo"}
    # The socket of the engine, through which docker and evercan work.
    assert inside(workspace, "test", "-S", "/var/run/docker.sock") == (0, "")


def test_a_container_without_its_bus_is_told_what_to_do(bus: Bus) -> None:
    bus.start(1)
    [container] = bus.containers
    assert inside(container, *CHECK_BUS)[0] == 0
    bus.disconnect(container)
    status, output = inside(container, *CHECK_BUS)
    assert status == 1
    assert (
        "can0 is not ready (its carrier is missing)\n  -> on the host, run: evercan doctor"
        in output
    )
