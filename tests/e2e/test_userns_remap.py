"""With userns-remap the engine keeps plugins, images and networks apart, and evercan works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tools.images import load_can_tools
from tools.install import install


def restart(testbed: Testbed, configuration: str) -> None:
    """Restart the engine with a configuration; an empty one is the default."""
    script = 'f=/etc/docker/daemon.json; [ -n "$1" ] && echo "$1" >$f || rm -f $f'
    testbed.host("sh", "-c", script, "sh", configuration)
    testbed.host("systemctl", "restart", "docker", timeout=180)
    testbed.wait_engine()


@pytest.fixture
def remapped(lab: Testbed) -> Iterator[Testbed]:
    """Yield the lab with an engine that maps the users of containers to others of the host."""
    try:
        restart(lab, '{"userns-remap": "default"}')
        yield lab
    finally:
        restart(lab, "")


@pytest.mark.thorough
def test_the_plugin_is_installed_once_more_and_serves_containers_with_mapped_users(
    remapped: Testbed,
) -> None:
    client = remapped.client()
    # The engine keeps its plugins, images and networks in a folder of the mapped root user.
    assert re.search(r"/\d+\.\d+$", client.info()["DockerRootDir"])
    install(client)
    load_can_tools(client, remapped.docker_host)
    bus = Bus(remapped, "vcan640")
    try:
        container, _ = bus.start(2)
        container.reload()
        pid = container.attrs["State"]["Pid"]
        assert remapped.host("cat", f"/proc/{pid}/uid_map").stdout.split()[1] != b"0"
        bus.assert_healthy()
    finally:
        bus.remove()
    assert bus.leftovers() == []
