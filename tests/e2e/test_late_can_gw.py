"""The module can-gw is loaded after the engine: containers start, and get their rules then."""

from __future__ import annotations

import pytest

from lab.plugin_process import PluginProcess
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.health import reasons
from tools.common.polling import wait_until

PATIENCE = 5.0
"""Seconds from the module to a full mesh. evercan checks for it every second; under emulation
a check of the rules takes a second too."""


@pytest.mark.thorough
def test_containers_start_without_can_gw_and_get_their_rules_when_it_is_loaded(
    bus: Bus, testbed: Testbed, plugin: PluginProcess, command: Command
) -> None:
    bus.start(2, restart="always")
    since = testbed.now()
    try:
        script = "systemctl stop docker.socket docker && rmmod can_gw && systemctl start docker"
        testbed.host("sh", "-c", script, timeout=180)
        testbed.wait_engine()
        bus.reconnect()

        def are_running() -> bool:
            for container in bus.containers:
                container.reload()
            return {container.status for container in bus.containers} == {"running"}

        wait_until(are_running, 60, "the containers to run")
        wait_until(lambda: len(bus.host_ends()) == 2, 10, "their pairs")
        kinds = {kind for kind, _ in reasons(plugin)}
        assert kinds == {"can-gw-missing"}
        assert "modprobe can-gw" in testbed.journal(since)
        assert "health.can-gw-missing" in command.doctor().text
        [added] = bus.start(1)
        added.reload()
        assert added.status == "running"
    finally:
        testbed.host("modprobe", "can-gw")
    assert bus.wait_healthy(PATIENCE) < PATIENCE
    assert reasons(plugin) == []
    bus.assert_healthy()
