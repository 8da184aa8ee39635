"""The plugin and the engine stop, restart and are upgraded; running containers keep their bus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import APIError

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import plugin_disabled
from tests.e2e.thorough import only_quick
from tools.install import install
from tools.plugin import PLUGIN


def test_traffic_continues_and_a_removed_container_leaves_nothing_while_the_plugin_is_disabled(
    lasting_trio: Bus, testbed: Testbed
) -> None:
    [added] = lasting_trio.start(1)
    with plugin_disabled(testbed.client()):
        lasting_trio.assert_healthy()
        lasting_trio.discard(added)  # the engine's Leave and DeleteEndpoint do not reach the plugin
    lasting_trio.wait_healthy(30)
    lasting_trio.assert_healthy()


@pytest.mark.thorough
def test_an_upgrade_in_place_keeps_the_networks_and_the_traffic(
    lasting_trio: Bus, testbed: Testbed, plugin: PluginProcess, tmp_path: Path
) -> None:
    next_build = tmp_path / "plugin"
    shutil.copytree(PLUGIN, next_build, symlinks=True)
    config = json.loads((next_build / "config.json").read_text())
    config["documentation"] += " The next build."
    (next_build / "config.json").write_text(json.dumps(config))
    before = plugin.pid()
    install(testbed.client(), next_build)
    assert plugin.pid() != before
    [added] = lasting_trio.start(1)
    lasting_trio.assert_healthy()
    lasting_trio.discard(added)


@pytest.mark.parametrize("way", only_quick(["kill"], ["restart", "kill"]))
def test_containers_are_back_on_their_bus_after_an_engine_restart(
    lasting_trio: Bus, testbed: Testbed, plugin: PluginProcess, way: str
) -> None:
    if way == "restart":
        testbed.host("systemctl", "restart", "docker", timeout=180)
    else:
        # systemd starts it again by itself.
        testbed.host("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "docker")
        testbed.host("sh", "-c", "sleep 3; systemctl start docker", timeout=180)
    testbed.wait_engine()
    lasting_trio.reconnect()
    lasting_trio.wait(lambda: plugin.pid() is not None, "the plugin to run")
    lasting_trio.wait_healthy(90)
    lasting_trio.assert_healthy()


@pytest.mark.thorough
def test_under_live_restore_traffic_continues_while_the_engine_restarts(
    lasting_trio: Bus, bus: Bus, lab: Testbed
) -> None:
    lab.host(
        "sh",
        "-c",
        "echo '{\"live-restore\": true}' > /etc/docker/daemon.json && systemctl reload docker",
    )
    try:
        before = {name: link["ifindex"] for name, link in lasting_trio.links().items()}
        lab.host("systemctl", "restart", "docker", timeout=180)
        lab.wait_engine()
        lasting_trio.reconnect()
        assert {container.status for container in lasting_trio.containers} == {"running"}
        assert {name: link["ifindex"] for name, link in lasting_trio.links().items()} == before
        lasting_trio.assert_healthy()
        [added] = lasting_trio.start(1)
        lasting_trio.assert_healthy()
        lasting_trio.discard(added)
        # The engine numbers the names inside from the beginning again.
        with pytest.raises(APIError, match="file exists"):
            bus.connect(lasting_trio.containers[0], "second")
        lasting_trio.assert_healthy()
        assert bus.host_ends() == []
    finally:
        lab.host("sh", "-c", "rm -f /etc/docker/daemon.json; systemctl reload docker")


@pytest.fixture(scope="module")
def growing_bus(testbed: Testbed) -> Iterator[Bus]:
    """Yield a bus whose last change was the start of a container, so that a former copy exists."""
    growing = Bus(testbed, "vcan601")
    try:
        growing.start(1)
        yield growing
    finally:
        growing.remove()
    assert growing.leftovers() == []


@pytest.mark.parametrize("damage", only_quick(["truncated"], ["truncated", "empty", "foreign"]))
def test_a_damaged_state_file_is_set_aside_and_the_last_good_copy_is_used(
    growing_bus: Bus, testbed: Testbed, plugin: PluginProcess, command: Command, damage: str
) -> None:
    root = testbed.client().info()["DockerRootDir"]
    file = testbed.host("sh", "-c", f"ls {root}/plugins/*/propagated-mount/state.json")
    path = file.stdout.decode().strip()
    script = {
        "truncated": f"truncate -s 40 {path}",
        "empty": f": > {path}",
        "foreign": f"echo '{{}}' > {path}",
    }[damage]
    since = testbed.now()
    testbed.host("sh", "-c", script)
    diagnosis = command.doctor()
    assert [check["id"] for check in diagnosis.failed] == ["plugin.record"]
    assert "cannot be understood" in diagnosis.text
    plugin.kill()
    journal = testbed.journal(since)
    assert "is damaged" in journal
    assert "set aside as state.json.damaged-" in journal
    assert "restored from the last good copy" in journal
    growing_bus.start(1)
    growing_bus.assert_healthy()
    diagnosis = command.doctor()
    assert (diagnosis.status, diagnosis.failed) == (0, [])
    assert "a damaged one was set aside: state.json.damaged-" in diagnosis.text
    testbed.host("sh", "-c", f"rm {path}.damaged-*")
