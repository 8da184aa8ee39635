"""A plugin that lost its record, or took another's place, gets the engine's networks back."""

from __future__ import annotations

import pytest

from lab.plugin_process import NAME
from lab.testbed import Testbed
from tests.e2e.bus import Bus
from tests.e2e.command import Command
from tests.e2e.conftest import HEALTH_INTERVAL, set_up_plugin
from tools.install import install

OLD_NAME = "wsovalle/vxcan:latest"
"""What compose files for an older plugin call theirs."""


def lose_the_record(testbed: Testbed) -> None:
    """Remove the plugin from under its networks, and create it again."""
    client = testbed.client()
    client.api.remove_plugin(NAME, force=True)
    install(client)
    set_up_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")


def test_a_plugin_removed_and_created_again_gets_everything_back(
    bus: Bus, testbed: Testbed, command: Command
) -> None:
    bus.start(2)
    ends = bus.host_ends()
    lose_the_record(testbed)
    testbed.host("cangw", "-F")
    diagnosis = command.doctor()
    assert "plugin.record" in {each["id"] for each in diagnosis.failed}
    assert all("evercan adopt" in each["remedy"] for each in diagnosis.failed), diagnosis.text
    status, told = command.run("adopt")
    assert status == 0, told
    for each in (bus.name, *ends, *(str(each.name) for each in bus.containers)):
        assert each in told
    bus.wait_whole()
    bus.start(1)
    bus.assert_whole()
    assert bus.host_ends() != ends
    assert command.run("adopt")[0] == 0
    assert command.doctor().failed == []


def test_a_container_that_lost_its_pair_meanwhile_is_named_and_a_restart_brings_it_back(
    bus: Bus, testbed: Testbed, command: Command
) -> None:
    first, _ = bus.start(2)
    client = testbed.client()
    client.api.remove_plugin(NAME, force=True)
    testbed.host("ip", "link", "del", _host_end(testbed, bus, str(first.name)))
    install(client)
    set_up_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")
    status, told = command.run("adopt")
    assert status == 1, told
    assert f"docker restart {first.name}" in told
    first.restart(timeout=1)
    bus.wait_whole()
    bus.assert_whole()
    assert command.run("adopt")[0] == 0


def _host_end(testbed: Testbed, bus: Bus, container: str) -> str:
    attached = testbed.client().networks.get(bus.name).attrs["Containers"].values()
    return next(f"vxcan{each['EndpointID'][:8]}" for each in attached if each["Name"] == container)


def test_networks_made_under_another_drivers_name_are_taken_over(
    testbed: Testbed, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = testbed.client()
    # An engine does not take the same build twice, under whatever names.
    client.api.remove_plugin(NAME, force=True)
    try:
        install(client, name=OLD_NAME)
        monkeypatch.setattr("tests.e2e.bus.NAME", OLD_NAME)
        bus = Bus(testbed, "vcan600")
        try:
            bus.start(2)
            client.api.remove_plugin(OLD_NAME, force=True)
            install(client, name=OLD_NAME)
            status, told = command.run("adopt", "--driver", OLD_NAME)
            assert status == 0, told
            bus.start(1)
            bus.assert_whole()
        finally:
            bus.remove()
        assert bus.left_behind() == []
    finally:
        client.api.remove_plugin(OLD_NAME, force=True)
        install(client)
        set_up_plugin(client, f"EVERCAN_HEALTH_INTERVAL={HEALTH_INTERVAL:g}")
