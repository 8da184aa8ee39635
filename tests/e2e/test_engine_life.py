"""The plugin and the engine come and go; running containers notice nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from docker.errors import APIError

from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import set_up_plugin
from tools.install import install
from tools.plugin import PLUGIN


def test_a_container_that_ends_while_the_plugin_is_away_leaves_nothing(
    bus: Bus, testbed: Testbed
) -> None:
    first, *_ = bus.start(3)
    client = testbed.client()
    client.api.disable_plugin(NAME, force=True)
    try:
        bus.discard(first)  # its Leave and DeleteEndpoint reach nobody
    finally:
        client.api.enable_plugin(NAME, timeout=0)
    bus.wait_whole(30)
    bus.assert_whole()


def test_traffic_goes_on_while_the_plugin_is_disabled(bus: Bus, testbed: Testbed) -> None:
    bus.start(2)
    client = testbed.client()
    client.api.disable_plugin(NAME, force=True)
    try:
        bus.assert_whole()
    finally:
        client.api.enable_plugin(NAME, timeout=0)
    bus.assert_whole()


def test_an_upgrade_in_place_keeps_the_record_and_the_traffic(
    bus: Bus, testbed: Testbed, plugin: PluginProcess, tmp_path: Path
) -> None:
    bus.start(2)
    next_build = tmp_path / "plugin"
    shutil.copytree(PLUGIN, next_build, symlinks=True)
    config = json.loads((next_build / "config.json").read_text())
    config["documentation"] += " The next build."
    (next_build / "config.json").write_text(json.dumps(config))
    before = plugin.pid()
    install(testbed.client(), next_build)
    assert plugin.pid() != before
    bus.start(1)
    bus.assert_whole()


@pytest.mark.parametrize("signal", ["restart", "kill"])
def test_an_engine_that_restarts_brings_its_containers_back(
    bus: Bus, testbed: Testbed, plugin: PluginProcess, signal: str
) -> None:
    bus.start(2, restart="always")
    bus.assert_whole()
    if signal == "restart":
        testbed.host("systemctl", "restart", "docker", timeout=180)
    else:
        # systemd starts it again by itself.
        testbed.host("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "docker")
        testbed.host("sh", "-c", "sleep 3; systemctl start docker", timeout=180)
    testbed.wait_engine()
    bus.reconnect()
    bus.wait(lambda: plugin.pid() is not None, "the plugin to run")
    bus.wait_whole(90)
    bus.assert_whole()


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign"])
def test_a_damaged_record_is_set_aside_and_the_last_good_copy_used(
    bus: Bus, testbed: Testbed, plugin: PluginProcess, command: Command, damage: str
) -> None:
    bus.start(1)  # several writes, so there is a former copy
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
    assert [each["id"] for each in diagnosis.failed] == ["plugin.record"]
    assert "cannot be understood" in diagnosis.text
    plugin.kill()
    journal = testbed.journal(since)
    assert "is damaged" in journal
    assert "set aside as state.json.damaged-" in journal
    assert "restored from the last good copy" in journal
    bus.start(1)
    bus.assert_whole()
    diagnosis = command.doctor()
    assert (diagnosis.status, diagnosis.failed) == (0, [])
    assert "a damaged one was set aside: state.json.damaged-" in diagnosis.text
    testbed.host("sh", "-c", f"rm {path}.damaged-*")


def test_under_live_restore_traffic_goes_on_while_the_engine_restarts(
    bus: Bus, lab: Testbed
) -> None:
    lab.host(
        "sh",
        "-c",
        "echo '{\"live-restore\": true}' > /etc/docker/daemon.json && systemctl reload docker",
    )
    try:
        bus.start(2)
        before = {name: link["ifindex"] for name, link in bus.links().items()}
        lab.host("systemctl", "restart", "docker", timeout=180)
        lab.wait_engine()
        bus.reconnect()
        assert {each.status for each in bus.containers} == {"running"}
        assert {name: link["ifindex"] for name, link in bus.links().items()} == before
        bus.assert_whole()
        bus.start(1)
        bus.assert_whole()
    finally:
        lab.host("sh", "-c", "rm -f /etc/docker/daemon.json; systemctl reload docker")


def test_fail_fast_mends_nothing_and_says_what_is_broken(
    bus: Bus, testbed: Testbed, plugin: PluginProcess
) -> None:
    bus.start(2)
    set_up_plugin(testbed.client(), "EVERCAN_RECOVERY=fail-fast")
    try:
        bus.assert_whole()
        testbed.host("ip", "link", "del", bus.interface)
        bus.wait(lambda: plugin.ask("/health")[0] == 503, "health to say so")
        reasons = plugin.ask("/health")[1]["reasons"]
        assert bus.interface in {reason["bus"] for reason in reasons}
        assert bus.interface not in bus.links()
        with pytest.raises(APIError, match=bus.interface):
            bus.start(1)
        assert bus.interface not in bus.links()
    finally:
        set_up_plugin(testbed.client(), "EVERCAN_RECOVERY=auto")
    bus.wait_whole()
    bus.assert_whole()
