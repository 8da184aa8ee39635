"""Bus interfaces that are the host's own: created again only if evercan can, never deleted."""

from __future__ import annotations

import logging

import pytest

from evercan.model.observed import FD_MTU
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.scraping import scrape
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, GATEWAY = map(engine_id, ("dashboard", "gateway"))
TUNNEL = {"dev": "vxcan", "id": "0"}


async def reasons(engine: Engine) -> list[tuple[str, str]]:
    answer = await engine.get("health")
    return [(reason["kind"], reason["bus"]) for reason in answer.document["reasons"]]


async def warnings(engine: Engine) -> list[tuple[str, str]]:
    answer = await engine.get("health")
    assert answer.status == 200
    return [(warning["kind"], warning["bus"]) for warning in answer.document["warnings"]]


async def start_on_own_vcan(engine: Engine) -> Container:
    await engine.create_network(NETWORK)
    return await engine.start(NETWORK, DASHBOARD)


# --- a vxcan end -----------------------------------------------------------------------


@pytest.fixture
async def tunnel(engine: Engine, kernel: SharedKernel) -> Container:
    """A container on a bus that is one end of a pair of the host's own."""
    assert kernel.make_foreign_pair("vxcan0", "vxcan1") == 0
    await engine.create_network(NETWORK, **TUNNEL)
    return await engine.start(NETWORK, DASHBOARD)


async def test_the_end_of_a_pair_is_a_bus(
    engine: Engine, kernel: SharedKernel, tunnel: Container
) -> None:
    assert_exactly_once(kernel.snapshot(), "vxcan0", tunnel.host_end)
    assert (await reasons(engine), await warnings(engine)) == ([], [])


async def test_a_pair_that_is_absent_after_a_reboot_is_waited_for_and_never_replaced(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, tunnel: Container
) -> None:
    await plugin.reboot("boot-2")
    container = await engine.start(NETWORK, GATEWAY)
    assert await reasons(engine) == [("bus-absent", "vxcan0")]
    assert "vxcan0" not in kernel.snapshot().links
    assert kernel.make_foreign_pair("vxcan0", "vxcan1") == 0
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vxcan0", container.host_end)
    assert await reasons(engine) == []
    assert tunnel.host_end not in kernel.snapshot().links


async def test_a_pair_that_is_deleted_is_waited_for(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, tunnel: Container
) -> None:
    kernel.delete("vxcan0")
    plugin.link_events.announce()
    await wait_until(lambda: not kernel.snapshot().rules)
    for _ in range(3):
        assert await reasons(engine) == [("bus-absent", "vxcan0")]
    kernel.make_foreign_pair("vxcan0", "vxcan1")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vxcan0", tunnel.host_end)


async def test_its_network_is_removed_without_the_pair(
    engine: Engine, kernel: SharedKernel, tunnel: Container
) -> None:
    await engine.stop(tunnel)
    await engine.delete_network(NETWORK)
    assert set(kernel.snapshot().links) == {"vxcan0", "vxcan1"}


# --- a vcan ----------------------------------------------------------------------------


async def test_a_vcan_of_the_hosts_own_that_is_deleted_is_created_again_and_kept(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("vcan0", up=True)
    container = await start_on_own_vcan(engine)
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    await plugin.restart()
    # A second network finds what evercan has created again; it is still the host's.
    await engine.create_network(OTHER)
    await engine.stop(container)
    for network in (NETWORK, OTHER):
        await engine.delete_network(network)
    assert set(kernel.snapshot().links) == {"vcan0"}


# --- MTU -------------------------------------------------------------------------------


async def test_interfaces_that_evercan_creates_have_the_mtu_of_fd_on_every_kernel(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.default_mtu = 2060  # as of kernel 7
    container = await start_on_own_vcan(engine)
    links = kernel.snapshot().links
    assert {links[name].mtu for name in ("vcan0", container.host_end)} == {FD_MTU}
    assert kernel.inside(container.nsid)[container.inside].mtu == FD_MTU


@pytest.mark.parametrize("mtu", [16, 2060])
@pytest.mark.parametrize("which", ["bus", "pair"])
async def test_another_mtu_of_an_own_interface_is_drift_and_is_repaired(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    caplog: pytest.LogCaptureFixture,
    which: str,
    mtu: int,
) -> None:
    container = await start_on_own_vcan(engine)
    name = "vcan0" if which == "bus" else container.host_end
    index = kernel.link(name).index
    kernel.set_mtu(name, mtu)
    assert await reasons(engine) == [("drift", "vcan0")]
    caplog.set_level(logging.INFO)
    plugin.link_events.announce()
    await wait_until(lambda: kernel.snapshot().links[name].mtu == FD_MTU)
    await wait_until(lambda: "Health check OK" in caplog.text)
    assert (kernel.link(name).index, kernel.link(name).up) == (index, True)
    assert "has not the MTU that carries FD frames; repairing it" in caplog.text
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    assert await reasons(engine) == []
    seen = await scrape(plugin.socket)
    assert seen["evercan_drift_found_total", "vcan0", f"{which}-mtu"] == 1


async def test_the_mtu_of_interfaces_of_an_older_release_is_set_when_it_is_upgraded(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    container = await start_on_own_vcan(engine)
    await plugin.stop()
    for name in ("vcan0", container.host_end):
        kernel.set_mtu(name, 2060)
    await plugin.start()
    await engine.enable()
    links = kernel.snapshot().links
    assert {links[name].mtu for name in ("vcan0", container.host_end)} == {FD_MTU}


async def test_in_fail_fast_mode_another_mtu_is_reported_and_stays(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await plugin.stop()
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    await start_on_own_vcan(engine)
    kernel.set_mtu("vcan0", 2060)
    before = kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: kernel.calls["observe"] > before)
    assert await reasons(engine) == [("drift", "vcan0")]
    assert kernel.link("vcan0").mtu == 2060


@pytest.mark.parametrize(("mtu", "warned"), [(16, True), (72, False), (2060, False)])
async def test_a_foreign_vcan_keeps_its_mtu_and_is_a_warning_if_it_takes_no_fd(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, mtu: int, warned: bool
) -> None:
    kernel.make("vcan0", up=True, mtu=mtu)
    container = await start_on_own_vcan(engine)
    assert await warnings(engine) == ([("bus-no-fd", "vcan0")] if warned else [])
    assert kernel.link("vcan0").mtu == mtu
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)
    seen = await scrape(plugin.socket)
    assert seen.get(("evercan_warnings", "vcan0", "bus-no-fd"), 0) == warned
    assert seen[("evercan_healthy",)] == 1


# --- can-gw ----------------------------------------------------------------------------


async def test_containers_start_without_can_gw_and_get_their_rules_when_it_is_loaded(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.reconcile.retries.MODULE_INTERVAL", 0.02)
    kernel.modules.discard("can-gw")
    containers = [await start_on_own_vcan(engine), await engine.start(NETWORK, GATEWAY)]
    assert await reasons(engine) == [("can-gw-missing", "vcan0")]
    kernel.modules.add("can-gw")  # which causes no event
    await wait_until(lambda: len(kernel.snapshot().rules) == 12, timeout=2)
    assert_exactly_once(kernel.snapshot(), "vcan0", *(item.host_end for item in containers))
    assert await reasons(engine) == []


async def test_can_gw_that_is_removed_and_loaded_again_gets_its_rules(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.reconcile.retries.MODULE_INTERVAL", 0.02)
    container = await start_on_own_vcan(engine)
    kernel.flush_rules()
    kernel.modules.discard("can-gw")
    plugin.link_events.announce()
    await wait_until(lambda: kernel.calls["observe"] > 0)
    assert await reasons(engine) == [("can-gw-missing", "vcan0")]
    kernel.modules.add("can-gw")
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_in_fail_fast_mode_no_container_starts_without_can_gw(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await plugin.stop()
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    await engine.create_network(NETWORK)
    kernel.modules.discard("can-gw")
    with pytest.raises(EngineError, match="modprobe can-gw"):
        await engine.start(NETWORK, DASHBOARD)


# --- what containers do to their own end --------------------------------------------------


async def test_an_end_that_its_container_sets_down_is_a_warning_until_it_is_up(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    container = await start_on_own_vcan(engine)
    plugin.link_events.announce()
    await wait_until(lambda: plugin.declared.endpoints[DASHBOARD].phase.value == "joined")
    assert await warnings(engine) == []
    kernel.set_flag_inside(container.nsid, container.inside, up=False)
    assert await warnings(engine) == [("end-down", "vcan0")]
    document = (await engine.get("health")).document
    assert document["warnings"][0]["endpoint"] == DASHBOARD
    kernel.set_flag_inside(container.nsid, container.inside, up=True)
    assert await warnings(engine) == []


# --- a vcan with the name of a controller ---------------------------------------------


@pytest.mark.parametrize("controller", ["can1", "can7"])
async def test_a_vcan_with_a_controllers_name_is_reported_when_an_unused_one_appears(
    engine: Engine, kernel: SharedKernel, controller: str
) -> None:
    await engine.create_network(NETWORK, dev="can", id="0")
    container = await engine.start(NETWORK, DASHBOARD)
    assert await reasons(engine) == []
    kernel.plug(controller)
    assert await reasons(engine) == [("bus-impersonates", "can0")]
    (reason,) = (await engine.get("health")).document["reasons"]
    assert controller in reason["text"]
    assert "vxcan.kind=physical" in reason["remedy"]
    # It is reported, and nobody is kept from working.
    other = await engine.start(NETWORK, GATEWAY)
    assert_exactly_once(kernel.snapshot(), "can0", container.host_end, other.host_end)
    await engine.create_network(OTHER, dev="can", id=controller[3:])
    assert await reasons(engine) == [("bus-down", controller)]


@pytest.mark.parametrize("dev", ["vcan", "canary"])
async def test_a_vcan_with_another_name_is_not_reported(
    engine: Engine, kernel: SharedKernel, dev: str
) -> None:
    await engine.create_network(NETWORK, dev=dev, id="0")
    kernel.plug("can0")
    assert await reasons(engine) == []


async def test_a_vcan_that_the_host_created_under_such_a_name_is_not_reported(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.make("can0", "vcan", up=True)
    await engine.create_network(NETWORK, dev="can", id="0", kind="virtual")
    kernel.plug("can1")
    assert await reasons(engine) == []
