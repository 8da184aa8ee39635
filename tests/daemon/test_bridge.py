"""Further interfaces of the host on a bus, over the plugin's socket."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from evercan.model.rule import Rule
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once, full_mesh, paths
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = engine_id("powertrain"), engine_id("diagnosis")
DASHBOARD, GATEWAY = engine_id("dashboard"), engine_id("gateway")


async def bridge_of(engine: Engine) -> list[dict[str, Any]]:
    (network,) = (await engine.get("status")).document["networks"]
    shown: list[dict[str, Any]] = network["bridge"]
    return shown


async def reasons(engine: Engine) -> list[str]:
    return [reason["kind"] for reason in (await engine.get("health")).document["reasons"]]


async def test_frames_reach_every_interface_and_container_exactly_once(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.make("vcan9", up=True)
    await engine.create_network(NETWORK, bridge="vcan9")
    containers = await engine.start_many(NETWORK, [DASHBOARD, GATEWAY])
    members = {"vcan0", "vcan9", *(container.host_end for container in containers)}
    for source in members:
        for fd in (False, True):
            assert kernel.deliveries(source, fd=fd) == Counter(members - {source})
    assert await bridge_of(engine) == [{"name": "vcan9", "present": True, "up": True}]
    assert await reasons(engine) == []


async def test_an_absent_interface_is_waited_for_and_never_created(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK, bridge="vcan9")
    container = await engine.start(NETWORK, DASHBOARD)
    assert await reasons(engine) == ["bridge-absent"]
    assert await bridge_of(engine) == [{"name": "vcan9", "present": False, "up": False}]
    assert "vcan9" not in kernel.snapshot().links
    kernel.make("vcan9")
    plugin.link_events.announce()
    mesh = full_mesh(["vcan0", "vcan9", container.host_end])
    await wait_until(lambda: paths(kernel.snapshot()) == mesh)
    assert await reasons(engine) == ["bridge-down"]
    kernel.set_flag("vcan9", up=True)
    assert await reasons(engine) == []
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end, bridged=["vcan9"])


async def test_removing_the_network_removes_its_rules_and_nothing_else(
    engine: Engine, kernel: SharedKernel
) -> None:
    for name in ("vcan0", "vcan9"):
        kernel.make(name, up=True)
    ends = kernel.link("vcan0").index, kernel.link("vcan9").index
    theirs = Rule(*ends, 0x05)
    kernel.add_rule(theirs)
    await engine.create_network(NETWORK, bridge="vcan9")
    assert kernel.snapshot().rules[theirs] == 1
    await engine.delete_network(NETWORK)
    assert kernel.snapshot().rules == Counter([theirs])
    assert {"vcan0", "vcan9"} <= set(kernel.snapshot().links)


async def test_the_next_process_knows_the_rules_of_the_former(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    for name in ("vcan0", "vcan9"):
        kernel.make(name, up=True)
    await engine.create_network(NETWORK, bridge="vcan9")
    await plugin.restart()
    await engine.delete_network(NETWORK)
    assert not kernel.snapshot().rules


async def test_an_interface_of_another_bus_is_rejected_and_nothing_changes(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK, bridge="vcan9")
    before = kernel.snapshot()
    with pytest.raises(EngineError, match="vcan9 is a member of another bus"):
        await engine.create_network(OTHER, id="5", bridge="vcan9")
    with pytest.raises(EngineError, match="vcan9 is a member of the bus vcan0"):
        await engine.create_network(OTHER, id="9")
    assert kernel.snapshot() == before


async def test_rules_of_somebody_else_are_a_warning_that_names_the_option(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.make("vcan9", up=True)
    await engine.create_network(NETWORK)
    kernel.add_rule(Rule(kernel.link("vcan0").index, kernel.link("vcan9").index, 0x01, 0))
    health = await engine.get("health")
    assert health.status == 200
    (warning,) = health.document["warnings"]
    assert (warning["kind"], warning["bus"]) == ("foreign-rules", "vcan0")
    assert "vxcan.bridge=vcan9" in warning["remedy"]
