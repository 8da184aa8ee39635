"""Controllers that are bus-off: restarted by the kernel, by evercan, or by a person."""

from __future__ import annotations

import asyncio
import logging

import pytest

from evercan.model.controller import FD, Controller, ControllerState
from evercan.model.steps import ConfigureBus, RestartBus
from evercan.settings import Recovery
from tests.daemon.test_controllers import announce_and_wait, bitrate, reasons
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.fake_controllers import GS_USB, SJA1000
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.scraping import scrape
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, DASHBOARD = engine_id("powertrain"), engine_id("dashboard")
PLAIN = {"dev": "can", "id": "0", "kind": "physical", "bitrate": "500000"}
RESTARTING = {**PLAIN, "restart-ms": "100"}


def state(kernel: SharedKernel) -> ControllerState | None:
    controller = kernel.snapshot().links["can0"].controller
    assert controller is not None
    return controller.state


def restarts(kernel: SharedKernel) -> int:
    return sum(isinstance(step, RestartBus) for step in kernel.taken)


def go_bus_off(kernel: SharedKernel, plugin: Plugin) -> None:
    kernel.alter(kernel.snapshot().links["can0"].index, state=ControllerState.BUS_OFF)
    plugin.link_events.announce()


async def test_a_restart_delay_is_accepted_for_a_driver_that_cannot_restart(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0", GS_USB)
    await engine.create_network(NETWORK, **RESTARTING)
    controller = kernel.link("can0").controller
    assert controller is not None
    assert (kernel.link("can0").up, bitrate(kernel), controller.restart_ms) == (True, 500_000, 0)
    assert await reasons(engine) == []
    await announce_and_wait(plugin)
    await plugin.restart()
    await announce_and_wait(plugin)
    # A second plan is empty, also for the next process.
    assert sum(isinstance(step, ConfigureBus) for step in kernel.taken) == 1


async def test_another_setting_that_is_rejected_is_still_reported(
    engine: Engine, kernel: SharedKernel
) -> None:
    without_fd = Controller(
        **{
            field: getattr(GS_USB, field)
            for field in ("state", "txqueuelen", "mtu", "clock", "limits")
        },
        supported=(GS_USB.supported or 0) & ~FD,
    )
    kernel.plug("can0", without_fd)
    with pytest.raises(EngineError, match=r"EOPNOTSUPP.*no CAN FD"):
        await engine.create_network(NETWORK, **{**RESTARTING, "fd": "on", "dbitrate": "2000000"})
    assert not kernel.link("can0").up


@pytest.mark.parametrize("recovery", Recovery)
async def test_a_controller_whose_driver_cannot_restart_is_restarted_after_the_delay(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    recovery: Recovery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    plugin.recovery = recovery
    await plugin.restart()
    await engine.enable()
    kernel.plug("can0", GS_USB)
    await engine.create_network(NETWORK, **{**PLAIN, "restart-ms": "400"})
    member = await engine.start(NETWORK, DASHBOARD)
    loop = asyncio.get_running_loop()
    since = loop.time()
    go_bus_off(kernel, plugin)
    await wait_until(lambda: state(kernel) is ControllerState.ERROR_ACTIVE)
    assert loop.time() - since >= 0.4
    assert (restarts(kernel), await reasons(engine)) == (1, [])
    assert "The driver of can0 does not support a restart from bus-off" in caplog.text
    assert "restart can0, which is bus-off" in caplog.text
    assert_exactly_once(kernel.snapshot(), "can0", member.host_end)
    metrics = await scrape(engine.path)
    assert metrics["evercan_recoveries_total", "can0", "bus-off", "mended"] == 1


async def test_a_controller_that_the_kernel_restarts_is_left_to_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0", SJA1000)
    await engine.create_network(NETWORK, **RESTARTING)
    index = kernel.link("can0").index
    go_bus_off(kernel, plugin)
    await asyncio.sleep(0.4)
    kernel.alter(index, state=ControllerState.ERROR_ACTIVE)
    plugin.link_events.announce()
    await asyncio.sleep(1.2)
    assert restarts(kernel) == 0


async def test_a_restart_delay_that_a_driver_takes_and_ignores_is_kept_by_evercan(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0", SJA1000)
    await engine.create_network(NETWORK, **RESTARTING)
    go_bus_off(kernel, plugin)
    await wait_until(lambda: state(kernel) is ControllerState.ERROR_ACTIVE)
    assert restarts(kernel) == 1


async def test_without_a_restart_delay_the_remedy_works_with_every_driver(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0", GS_USB)
    await engine.create_network(NETWORK, **PLAIN)
    go_bus_off(kernel, plugin)
    await announce_and_wait(plugin)
    ((kind, text, remedy),) = await reasons(engine)
    assert (kind, "can0 is bus-off" in text) == ("bus-off", True)
    assert "ip link set can0 down; ip link set can0 up" in remedy
    kernel.set_flag("can0", up=False)
    kernel.set_flag("can0", up=True)
    await announce_and_wait(plugin)
    assert (await reasons(engine), restarts(kernel)) == ([], 0)


async def test_a_controller_that_goes_bus_off_again_and_again_is_restarted_slowly_and_reported(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0", GS_USB)
    await engine.create_network(NETWORK, **{**PLAIN, "restart-ms": "1"})
    for count in range(1, 9):
        go_bus_off(kernel, plugin)
        await wait_until(lambda: restarts(kernel) == count)  # noqa: B023 - it is awaited here
    go_bus_off(kernel, plugin)
    await asyncio.sleep(0.8)
    assert restarts(kernel) == 8
    ((kind, text, remedy),) = await reasons(engine)
    assert kind == "repairs-limited"
    assert "its controller goes bus-off again and again" in text
    assert "check the wires" in remedy
    await engine.start(NETWORK, DASHBOARD)
