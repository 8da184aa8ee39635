"""``evercan adopt`` restores the engine's networks to a plugin that lost its state."""

from __future__ import annotations

import pytest

from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALTH_INTERVAL, configure_plugin, plugin_disabled
from tools.install import install

OLD_NAME = "wsovalle/vxcan:latest"
"""The plugin's name in compose files that were written for an older plugin."""


def remove_state(testbed: Testbed, name: str = NAME, *, and_link: str | None = None) -> None:
    """Remove the state of a plugin that stays installed, and an interface while it is disabled."""
    client = testbed.client()
    root = client.info()["DockerRootDir"]
    with plugin_disabled(client, name):
        testbed.host("sh", "-c", f"rm {root}/plugins/*/propagated-mount/state*.json")
        if and_link is not None:
            testbed.host("ip", "link", "del", and_link)


def host_end(testbed: Testbed, bus: Bus, container: str) -> str:
    """Return the host end of a container's interface pair."""
    attached = testbed.client().networks.get(bus.name).attrs["Containers"].values()
    return next(
        f"vxcan{endpoint['EndpointID'][:8]}"
        for endpoint in attached
        if endpoint["Name"] == container
    )


def test_adopt_restores_networks_after_the_plugin_was_removed_and_under_another_name(
    bus: Bus, testbed: Testbed, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.start(2)
    ends = bus.host_ends()
    client = testbed.client()
    # An engine accepts a build only once, so the plugin cannot have two names at a time.
    client.api.remove_plugin(NAME, force=True)
    try:
        install(client, name=OLD_NAME)
        adopt_under_the_old_name(testbed, command, monkeypatch)
    finally:
        client.api.remove_plugin(OLD_NAME, force=True)
        install(client)
        configure_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")

    testbed.host("cangw", "-F")
    diagnosis = command.doctor()
    assert "plugin.record" in {check["id"] for check in diagnosis.failed}
    assert all("evercan adopt" in check["remedy"] for check in diagnosis.failed), diagnosis.text
    status, output = command.run("adopt")
    assert status == 0, output
    names = (bus.name, *ends, *(str(container.name) for container in bus.containers))
    assert [name for name in names if name not in output] == [], output
    bus.wait_healthy()
    bus.start(1)
    bus.assert_healthy()
    assert bus.host_ends() != ends
    assert command.run("adopt")[0] == 0
    assert command.doctor().failed == []


def adopt_under_the_old_name(
    testbed: Testbed, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that networks created with the plugin's old name are adopted."""
    with monkeypatch.context() as patch:
        patch.setattr("tests.e2e.bus.NAME", OLD_NAME)
        bus = Bus(testbed, "vcan600")
    try:
        bus.start(2)
        remove_state(testbed, OLD_NAME)
        status, output = command.run("adopt", "--driver", OLD_NAME)
        assert status == 0, output
        bus.start(1)
        bus.assert_healthy()
    finally:
        bus.remove()
    assert bus.leftovers() == []


@pytest.mark.thorough
def test_adopt_names_a_container_without_its_pair_and_restarting_it_restores_the_pair(
    bus: Bus, testbed: Testbed, command: Command
) -> None:
    first, _ = bus.start(2)
    remove_state(testbed, and_link=host_end(testbed, bus, str(first.name)))
    status, output = command.run("adopt")
    assert status == 1, output
    assert f"docker restart {first.name}" in output
    first.restart(timeout=1)
    bus.wait_healthy()
    bus.assert_healthy()
    assert command.run("adopt")[0] == 0
