"""/status and /health. Every answer of ``/status`` in these tests is validated by its schema."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from typing import Any

import pytest
from jsonschema import ValidationError

import evercan
from tests.support.engine import STATUS_SCHEMA, Engine, engine_id
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = engine_id("powertrain"), engine_id("diagnosis")
DASHBOARD, GATEWAY = engine_id("dashboard"), engine_id("gateway")


async def networks(engine: Engine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await engine.get("status")).document["networks"]
    return found


async def test_the_daemon_reports_its_version_and_settings(engine: Engine, plugin: Plugin) -> None:
    seen = (await engine.get("status")).document
    assert seen["version"] == evercan.__version__
    assert 0 <= seen["now"] - seen["started"] < 60
    assert abs(seen["now"] - time.time()) < 60
    assert (seen["boot"], seen["recovery"]) == ("boot-1", "auto")
    assert seen["health_interval"] == plugin.health_interval
    assert seen["networks"] == []


async def test_every_network_and_its_members_are_shown(engine: Engine) -> None:
    await engine.create_network(NETWORK, peer="can")
    container = await engine.start(NETWORK, DASHBOARD)
    (network,) = await networks(engine)
    assert (network["network"], network["bus"], network["peer_prefix"]) == (NETWORK, "vcan0", "can")
    assert (network["kind"], network["owns_bus"]) == ("virtual", True)
    assert (network["present"], network["up"], network["last_recovery"]) == (True, True, None)
    (member,) = network["endpoints"]
    assert (member["endpoint"], member["host_end"]) == (DASHBOARD, container.host_end)
    assert (member["phase"], member["present"], member["up"]) == ("joined", True, True)


async def test_networks_on_one_interface_show_their_own_members(engine: Engine) -> None:
    for network, endpoint in ((NETWORK, DASHBOARD), (OTHER, GATEWAY)):
        await engine.create_network(network)
        await engine.start(network, endpoint)
    shown = {
        network["network"]: [endpoint["endpoint"] for endpoint in network["endpoints"]]
        for network in await networks(engine)
    }
    assert shown == {NETWORK: [DASHBOARD], OTHER: [GATEWAY]}


async def test_drift_is_shown_before_a_pass_has_repaired_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    kernel.flush_rules()
    kernel.set_flag(container.host_end, up=False)
    seen = (await engine.get("status")).document
    assert (seen["healthy"], seen["health_status"]) == (False, 503)
    assert {reason["kind"] for reason in seen["reasons"]} == {"drift"}
    assert {reason["endpoint"] for reason in seen["reasons"]} == {None, DASHBOARD}
    assert "4 rules of vcan0 are missing" in str(seen["reasons"])
    assert "evercan repairs it in its next pass" in str(seen["reasons"])
    assert not seen["networks"][0]["endpoints"][0]["up"]
    assert (await engine.get("health")).status == 503
    assert not kernel.snapshot().rules, "reading a page has repaired something"
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert (await engine.get("health")).status == 200


async def test_the_last_recovery_of_a_bus_is_shown(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    await engine.start(NETWORK, DASHBOARD)
    await engine.create_network(OTHER, id="1")
    before = time.time()
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    repaired, other = await networks(engine)
    assert before <= repaired["last_recovery"]["at"] <= time.time()
    assert (
        repaired["last_recovery"]["what"] == "the bus interface vcan0 is missing; all was restored"
    )
    assert other["last_recovery"] is None


async def test_the_recovery_after_a_reboot_is_shown_as_one(engine: Engine, plugin: Plugin) -> None:
    await engine.create_network(NETWORK)
    await plugin.reboot("boot-2")
    (network,) = await networks(engine)
    assert network["last_recovery"]["what"] == "the host was rebooted; all was restored"


async def test_a_state_file_that_cannot_be_written_is_a_problem(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await engine.enable()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert not (await engine.post("CreateNetwork", NetworkID=NETWORK, Options={})).ok
    for _ in range(2):
        failing = await engine.get("health")
        assert failing.status == 503
        (reason,) = failing.document["reasons"]
        assert "No space left" in reason["text"]
    await engine.create_network(NETWORK)
    assert (await engine.get("health")).status == 200


async def test_drift_is_repaired_although_the_state_file_cannot_be_written(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await engine.create_network(NETWORK)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert not (await engine.post("CreateNetwork", NetworkID=OTHER, Options={})).ok
        kernel.delete("vcan0")
        plugin.link_events.announce()
        await wait_until(lambda: "vcan0" in kernel.snapshot().links)
        assert (await engine.get("health")).status == 503
    plugin.link_events.announce()
    for _ in range(100):
        if (await engine.get("health")).status == 200:
            break
        await asyncio.sleep(0.02)
    assert (await engine.get("health")).status == 200


async def test_the_schema_rejects_unknown_fields(engine: Engine) -> None:
    await engine.create_network(NETWORK)
    shown = (await engine.get("status")).document
    shown["networks"][0]["surprise"] = 1
    with pytest.raises(ValidationError, match="surprise"):
        STATUS_SCHEMA.validate(shown)
