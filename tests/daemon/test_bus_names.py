"""One interface is one bus, by whichever of its names its networks ask for it."""

from __future__ import annotations

import pytest

from evercan.model.controller import ControllerSettings
from evercan.model.steps import ConfigureBus
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

BY_NAME, BY_ALTNAME = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, GATEWAY = map(engine_id, ("dashboard", "gateway"))
NAMES = {BY_NAME: {"dev": "can", "id": "0"}, BY_ALTNAME: {"dev": "body", "id": "0"}}
ORDERS = pytest.mark.parametrize(
    "order", [(BY_NAME, BY_ALTNAME), (BY_ALTNAME, BY_NAME)], ids=["name first", "altname first"]
)


def plug(kernel: SharedKernel, *, up: bool = True) -> None:
    """Plug a controller in that has the altname ``body0``."""
    kernel.plug("can0")
    kernel.add_altname(kernel.link("can0").index, "body0")
    if up:
        kernel.configure_controller("can0", ControllerSettings(bitrate=500_000))


@ORDERS
async def test_members_of_both_receive_each_frame_exactly_once(
    engine: Engine, kernel: SharedKernel, order: tuple[str, str]
) -> None:
    plug(kernel)
    for network in order:
        await engine.create_network(network, **NAMES[network])
    one = await engine.start(BY_NAME, DASHBOARD)
    two = await engine.start(BY_ALTNAME, GATEWAY)
    assert_exactly_once(kernel.snapshot(), "can0", one.host_end, two.host_end)
    assert kernel.deliveries(one.host_end) == {"can0": 1, two.host_end: 1}
    networks = (await engine.get("status")).document["networks"]
    assert {network["bus"] for network in networks} == {"can0"}
    assert (await engine.get("health")).status == 200


@ORDERS
async def test_settings_that_contradict_each_other_are_rejected(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, order: tuple[str, str]
) -> None:
    plug(kernel, up=False)
    first, second = order
    await engine.create_network(first, **NAMES[first], bitrate="500000")
    with pytest.raises(EngineError, match=r"on the same bus .* has 500000"):
        await engine.create_network(second, **NAMES[second], bitrate="250000")
    assert set(plugin.declared.networks) == {first}
    configured = [step for step in kernel.taken if isinstance(step, ConfigureBus)]
    assert len(configured) == 1


@ORDERS
async def test_settings_of_one_are_those_of_both(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, order: tuple[str, str]
) -> None:
    plug(kernel, up=False)
    first, second = order
    await engine.create_network(first, **NAMES[first], bitrate="500000")
    await engine.create_network(second, **NAMES[second])
    taken = len(kernel.taken)
    for _ in range(3):
        before = kernel.calls["observe"]
        plugin.link_events.announce()
        await wait_until(lambda seen=before: kernel.calls["observe"] > seen)  # type: ignore[misc] # a default binds the loop's value
    assert kernel.taken[taken:] == []


@ORDERS
async def test_removing_one_keeps_the_bus_of_the_other(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, order: tuple[str, str]
) -> None:
    await engine.create_network(BY_NAME)
    kernel.add_altname(kernel.link("vcan0").index, "body0")
    await engine.create_network(BY_ALTNAME, **NAMES[BY_ALTNAME])
    removed, stays = order
    member = await engine.start(stays, DASHBOARD)
    await engine.delete_network(removed)
    assert_exactly_once(kernel.snapshot(), "vcan0", member.host_end)
    assert plugin.declared.networks[stays].owns_bus
    await engine.stop(member)
    await engine.delete_network(stays)
    assert not kernel.snapshot().links


@ORDERS
async def test_both_are_one_bus_after_a_reboot_in_any_order_of_names(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, order: tuple[str, str]
) -> None:
    plug(kernel)
    for network in order:
        await engine.create_network(network, **NAMES[network])
    await plugin.reboot("boot-2")
    one = await engine.start(BY_NAME, DASHBOARD)
    two = await engine.start(BY_ALTNAME, GATEWAY)
    kernel.plug("can0")
    kernel.configure_controller("can0", ControllerSettings(bitrate=500_000))
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) > 0)
    # udev gives the altname a moment later.
    kernel.add_altname(kernel.link("can0").index, "body0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 12)
    assert_exactly_once(kernel.snapshot(), "can0", one.host_end, two.host_end)


async def test_a_bus_with_an_altname_is_found_under_its_new_name_after_a_replug(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    plug(kernel)
    await engine.create_network(BY_ALTNAME, **NAMES[BY_ALTNAME])
    member = await engine.start(BY_ALTNAME, DASHBOARD)
    kernel.delete("can0")
    kernel.plug("can7")
    kernel.configure_controller("can7", ControllerSettings(bitrate=500_000))
    kernel.add_altname(kernel.link("can7").index, "body0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "can7", member.host_end)
    await engine.create_network(BY_ALTNAME, **NAMES[BY_ALTNAME])  # the engine may repeat a call


async def test_another_controller_with_the_old_name_is_not_taken_for_the_bus(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    plug(kernel)
    await engine.create_network(BY_ALTNAME, **NAMES[BY_ALTNAME])
    await engine.start(BY_ALTNAME, DASHBOARD)
    kernel.delete("can0")
    kernel.plug("can0")
    kernel.configure_controller("can0", ControllerSettings(bitrate=500_000))
    before = kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: kernel.calls["observe"] > before)
    assert not kernel.snapshot().rules
    (reason,) = (await engine.get("health")).document["reasons"]
    assert (reason["kind"], reason["bus"]) == ("bus-absent", "body0")
