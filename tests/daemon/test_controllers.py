"""Networks on CAN controllers: the daemon with a fake kernel that has controllers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import orjson
import pytest

from evercan.model.controller import ControllerSettings, ControllerState
from evercan.model.declared import BusKind
from evercan.model.observed import LINK_GROUP
from evercan.model.steps import ClearTag, ConfigureBus, Failure, Step
from evercan.reconcile.state_format import VERSION
from evercan.settings import Recovery
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.fake_controllers import MCP251XFD
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, LOGGER = map(engine_id, ("dashboard", "logger"))
PHYSICAL = {"dev": "can", "id": "0", "kind": "physical", "bitrate": "500000", "restart-ms": "100"}
SLOW = ControllerSettings(bitrate=250_000)


async def reasons(engine: Engine) -> list[tuple[str, str, str]]:
    answer = await engine.get("health")
    return [
        (reason["kind"], reason["text"], reason["remedy"]) for reason in answer.document["reasons"]
    ]


def bitrate(kernel: SharedKernel, name: str = "can0") -> int:
    controller = kernel.snapshot().links[name].controller
    assert controller is not None
    return controller.timing.bitrate


async def announce_and_wait(plugin: Plugin) -> None:
    """Announce a link event and wait until the plugin has observed the kernel."""
    before = plugin.kernel.calls["observe"]
    plugin.link_events.announce()
    await wait_until(lambda: plugin.kernel.calls["observe"] > before)
    await asyncio.sleep(0.1)


async def test_a_controller_is_configured_brought_up_and_shared(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    first = await engine.start(NETWORK, DASHBOARD)
    second = await engine.start(NETWORK, LOGGER)
    link = kernel.snapshot().links["can0"]
    assert (link.up, link.group, bitrate(kernel)) == (True, 0, 500_000)
    assert_exactly_once(kernel.snapshot(), "can0", first.host_end, second.host_end)
    assert plugin.declared.networks[NETWORK].kind is BusKind.PHYSICAL
    assert await reasons(engine) == []
    taken = len(kernel.taken)
    await announce_and_wait(plugin)
    await plugin.restart()
    await announce_and_wait(plugin)
    assert len(kernel.taken) == taken  # a second plan is empty, also for the next process


async def test_a_controller_stays_up_when_its_network_is_removed(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await engine.delete_network(NETWORK)
    await announce_and_wait(plugin)
    assert kernel.snapshot().links["can0"].up
    # evercan may reconfigure a controller that it has configured.
    await engine.create_network(OTHER, **{**PHYSICAL, "bitrate": "125000"})
    assert bitrate(kernel) == 125_000


@pytest.mark.parametrize("was_used", [False, True], ids=["never used", "used before"])
async def test_a_controller_that_a_person_configured_after_its_network_was_removed_is_left_alone(
    engine: Engine, kernel: SharedKernel, was_used: bool
) -> None:
    kernel.plug("can0")
    if was_used:
        await engine.create_network(NETWORK, **PHYSICAL)
        await engine.delete_network(NETWORK)
        kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", SLOW)
    await engine.post(
        "CreateNetwork",
        NetworkID=OTHER,
        Options={"com.docker.network.generic": {f"vxcan.{key}": PHYSICAL[key] for key in PHYSICAL}},
    )
    assert bitrate(kernel) == 250_000


async def test_a_network_that_replaces_another_gets_its_own_sample_point(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await engine.delete_network(NETWORK)
    await engine.create_network(OTHER, **PHYSICAL, **{"sample-point": "0.6"})
    controller = kernel.snapshot().links["can0"].controller
    assert controller is not None
    assert (controller.timing.bitrate, controller.timing.sample_point) == (500_000, 562)


async def test_settings_are_kept_after_one_of_two_networks_that_give_them_is_removed(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await engine.create_network(OTHER, **PHYSICAL)
    await engine.delete_network(NETWORK)
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", SLOW)
    await announce_and_wait(plugin)
    assert bitrate(kernel) == 500_000
    assert await reasons(engine) == []


async def test_a_network_waits_for_an_absent_controller(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK, **PHYSICAL)
    first = await engine.start(NETWORK, DASHBOARD)
    second = await engine.start(NETWORK, LOGGER)
    assert "can0" not in kernel.snapshot().links
    assert kernel.deliveries(first.host_end) == {second.host_end: 1}
    ((kind, text, _),) = await reasons(engine)
    assert (kind, "the CAN controller can0 is absent" in text) == ("bus-absent", True)
    await plugin.reboot("boot-2")
    assert "can0" not in kernel.snapshot().links
    await engine.remove_stale_endpoints([first, second])
    first = await engine.start(NETWORK, engine_id("dashboard again"))
    kernel.plug("can0")
    await announce_and_wait(plugin)
    assert_exactly_once(kernel.snapshot(), "can0", first.host_end)
    assert bitrate(kernel) == 500_000
    assert await reasons(engine) == []


async def test_a_replugged_controller_is_configured_and_gets_its_rules(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    member = await engine.start(NETWORK, DASHBOARD)
    for _ in range(3):
        kernel.delete("can0")
        await announce_and_wait(plugin)
        kernel.plug("can0")
        await announce_and_wait(plugin)
        assert_exactly_once(kernel.snapshot(), "can0", member.host_end)
        assert bitrate(kernel) == 500_000


async def test_changed_settings_are_restored(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", SLOW)
    await announce_and_wait(plugin)
    assert bitrate(kernel) == 500_000


async def test_a_bitrate_that_the_kernel_rounds_is_set_one_time(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **{**PHYSICAL, "bitrate": "83000"})
    granted = plugin.declared.configured[kernel.link("can0").index].made
    assert granted is not None
    assert granted.bitrate == bitrate(kernel) != 83_000
    await announce_and_wait(plugin)
    await plugin.restart()
    await announce_and_wait(plugin)
    assert sum(isinstance(step, ConfigureBus) for step in kernel.taken) == 1


async def test_settings_that_evercan_did_not_make_are_left_alone(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    kernel.configure_controller("can0", SLOW)
    before = kernel.snapshot()
    with pytest.raises(EngineError, match=r"bitrate 250000 instead of 500000.*ip link set can0"):
        await engine.create_network(NETWORK, **PHYSICAL)
    await announce_and_wait(plugin)
    assert kernel.snapshot() == before
    assert plugin.declared.networks == {}


async def test_containers_start_on_a_controller_that_was_configured_before_evercan_started(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await plugin.stop()
    kernel.reboot("boot-2")
    kernel.plug("can0")
    kernel.configure_controller("can0", SLOW)
    await plugin.start()
    member = await engine.start(NETWORK, DASHBOARD)
    assert [kind for kind, _, _ in await reasons(engine)] == ["bus-settings"]
    assert kernel.deliveries("can0") == {}
    kernel.set_flag("can0", up=False)  # as the remedy says
    await announce_and_wait(plugin)
    assert await reasons(engine) == []
    assert_exactly_once(kernel.snapshot(), "can0", member.host_end)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bitrate": "3000000", "listen-only": "on"}, r"EINVAL.*5000 to 2666666 bit/s \(sja1000"),
        ({"fd": "on", "dbitrate": "2000000"}, "EOPNOTSUPP.*no CAN FD"),
    ],
)
async def test_the_error_for_settings_that_a_controller_rejects_has_its_limits(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    more: dict[str, str],
    words: str,
) -> None:
    kernel.plug("can0")
    before = kernel.snapshot()
    with pytest.raises(EngineError, match=words):
        await engine.create_network(NETWORK, **{**PHYSICAL, **more})
    await announce_and_wait(plugin)
    assert kernel.snapshot() == before
    assert plugin.declared.networks == {}


async def test_a_configured_controller_that_rejects_settings_keeps_its_own(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    await engine.delete_network(NETWORK)
    before = kernel.snapshot().links["can0"]
    with pytest.raises(EngineError, match="EINVAL"):
        await engine.create_network(OTHER, **{**PHYSICAL, "bitrate": "3000000"})
    assert kernel.snapshot().links["can0"] == before


async def test_an_fd_controller_is_configured(engine: Engine, kernel: SharedKernel) -> None:
    kernel.plug("can0", MCP251XFD)
    fd = {**PHYSICAL, "fd": "on", "dbitrate": "2000000", "dsample-point": "0.8"}
    await engine.create_network(NETWORK, **fd)
    controller = kernel.snapshot().links["can0"].controller
    assert controller is not None
    assert controller.fd
    assert (controller.timing.dbitrate, controller.timing.dsample_point) == (2_000_000, 800)


async def test_rejected_settings_are_not_tried_at_every_event(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **{**PHYSICAL, "fd": "off"})
    await plugin.stop()
    kernel.delete("can0")
    # Another card with the same name, whose clock cannot make this bitrate.
    kernel.plug("can0")
    index = kernel.snapshot().links["can0"].index
    kernel.alter(index, clock=16_000)
    await plugin.start()
    for _ in range(3):
        await announce_and_wait(plugin)
    tries = [step for step in kernel.taken if isinstance(step, ConfigureBus)]
    assert [step.index == index for step in tries] == [False, True]
    ((kind, text, _),) = await reasons(engine)
    assert (kind, "EINVAL" in text) == ("bus-settings", True)


async def test_fail_fast_rejects_a_network_whose_controller_is_absent(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(OTHER, **{**PHYSICAL, "id": "1"})
    await plugin.stop()
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    with pytest.raises(EngineError, match="can0 is absent"):
        await engine.create_network(NETWORK, **PHYSICAL)
    with pytest.raises(EngineError, match="can1 is absent"):
        await engine.start(OTHER, DASHBOARD)
    kernel.plug("can1")
    await announce_and_wait(plugin)
    assert not kernel.snapshot().links["can1"].up
    ((kind, _, remedy),) = await reasons(engine)
    assert kind == "drift"
    assert "ip link set can1 up type can bitrate 500000 restart-ms 100" in remedy
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)  # asked for now, so it is not drift
    assert kernel.snapshot().links["can0"].up


async def test_a_virtual_bus_with_the_name_of_a_controller_logs_a_warning(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await engine.create_network(NETWORK, dev="can", id="0")
    assert kernel.snapshot().links["can0"].kind == "vcan"
    assert "vxcan.kind=physical" in caplog.text
    caplog.clear()
    await engine.create_network(OTHER, dev="can", id="1", kind="virtual")
    assert caplog.text == ""


async def test_a_controller_that_is_bus_off_and_does_not_restart_is_reported(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **{**PHYSICAL, "restart-ms": "0"})
    kernel.alter(kernel.snapshot().links["can0"].index, state=ControllerState.BUS_OFF)
    await announce_and_wait(plugin)
    assert [kind for kind, _, _ in await reasons(engine)] == ["bus-off"]
    await engine.start(NETWORK, DASHBOARD)


async def test_the_group_of_a_controller_is_never_changed(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    member = await engine.start(NETWORK, DASHBOARD)
    assert kernel.link("can0").group == 0
    kernel.set_flag("can0", up=False)
    kernel.configure_controller("can0", SLOW)
    await announce_and_wait(plugin)
    assert (kernel.link("can0").group, bitrate(kernel)) == (0, 500_000)
    await plugin.restart()
    await engine.stop(member)
    await engine.delete_network(NETWORK)
    assert (kernel.link("can0").group, kernel.link("can0").up) == (0, True)


def as_version_2(state: bytes) -> bytes:
    """Rewrite a state file as releases before 0.2 wrote it."""
    document = orjson.loads(state)
    document["version"] = 2
    del document["configured"]
    for network in document["networks"]:
        network["granted"] = {
            "bitrate": 500_000,
            "sample_point": 875,
            "dbitrate": 0,
            "dsample_point": 0,
        }
    return orjson.dumps(document)


@pytest.mark.parametrize("recovery", Recovery)
async def test_a_tag_of_an_older_release_is_cleared_and_the_controller_stays_configured(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, recovery: Recovery
) -> None:
    kernel.plug("can0")
    await engine.create_network(NETWORK, **PHYSICAL)
    member = await engine.start(NETWORK, DASHBOARD)
    await plugin.stop()
    state = plugin.state_folder / "state.json"
    state.write_bytes(as_version_2(state.read_bytes()))
    kernel.set_group("can0", LINK_GROUP)
    taken = len(kernel.taken)
    plugin.recovery = recovery
    await plugin.start()
    await engine.enable()
    index = kernel.link("can0").index
    assert kernel.link("can0").group == 0
    assert kernel.taken[taken:] == [ClearTag(index, "can0")], "the bus was disturbed"
    assert set(plugin.declared.configured) == {index}
    assert orjson.loads(plugin.state_bytes)["version"] == VERSION
    assert await reasons(engine) == []
    assert_exactly_once(kernel.snapshot(), "can0", member.host_end)
    if recovery is Recovery.AUTO:
        # evercan still knows that it has configured it.
        kernel.set_flag("can0", up=False)
        kernel.configure_controller("can0", SLOW)
        await announce_and_wait(plugin)
        assert bitrate(kernel) == 500_000


async def test_a_tag_on_a_controller_without_a_network_is_cleared(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    kernel.configure_controller("can0", SLOW)
    kernel.set_group("can0", LINK_GROUP)
    await plugin.restart()
    await engine.enable()
    assert (kernel.link("can0").group, bitrate(kernel)) == (0, 250_000)


# --- names inside the container -------------------------------------------------------------------

NAMED = {"vxcan.name": "engine"}


async def test_an_altname_is_set_inside_the_container(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    member = await engine.start(NETWORK, DASHBOARD, **NAMED)
    assert kernel.inside(member.nsid)["vcanp0"].altnames == {"engine"}
    await announce_and_wait(plugin)
    kernel.delete(member.host_end)
    await announce_and_wait(plugin)
    assert kernel.inside(member.nsid)["vcanp0"].altnames == {"engine"}
    await engine.stop(member)


async def test_containers_that_start_at_once_may_have_the_same_name(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)

    async def start(name: str) -> int:
        return (await engine.start(NETWORK, engine_id(name), **NAMED)).nsid

    nsids = await asyncio.gather(*(start(f"container {number}") for number in range(5)))
    for nsid in nsids:
        assert kernel.inside(nsid)["vcanp0"].altnames == {"engine"}


async def test_an_altname_that_another_interface_keeps_is_rejected(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.libnetwork.driver._NAME_TIMEOUT", 0.2)
    await engine.create_network(NETWORK)
    await engine.create_endpoint(NETWORK, DASHBOARD, **NAMED)
    await engine.join(NETWORK, DASHBOARD)  # and the engine does not move it
    await engine.create_endpoint(NETWORK, LOGGER, **NAMED)
    with pytest.raises(EngineError, match=r"vxcan\.name='engine'.*vxcan\w{8}p has that name"):
        await engine.join(NETWORK, LOGGER)


async def test_an_altname_that_is_kept_is_the_error_also_if_the_pass_took_long(
    engine: Engine, kernel: SharedKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.libnetwork.driver._NAME_TIMEOUT", 1.0)
    monkeypatch.setattr("evercan.libnetwork.server.BOUND", 2.0)
    await engine.create_network(NETWORK)
    await engine.create_endpoint(NETWORK, DASHBOARD, **NAMED)
    await engine.join(NETWORK, DASHBOARD)  # and the engine does not move it
    await engine.create_endpoint(NETWORK, LOGGER, **NAMED)
    apply = kernel.apply

    def slow(steps: Sequence[Step]) -> list[Failure]:
        monkeypatch.setattr(kernel, "apply", apply)
        time.sleep(1.2)
        return apply(steps)

    monkeypatch.setattr(kernel, "apply", slow)
    with pytest.raises(EngineError, match=r"vxcan\w{8}p has that name"):
        await engine.join(NETWORK, LOGGER)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("can7", "the engine may give an interface inside this name: can and a number"),
        ("eth0", "eth and a number"),
        ("lo", "the host has an interface"),
        ("wlan0", "the host has an interface"),
        ("wifi", "the host has an interface"),
        ("vcan0", "the host has an interface"),
    ],
)
async def test_an_altname_that_clashes_is_rejected(
    engine: Engine, kernel: SharedKernel, name: str, words: str
) -> None:
    kernel.make("wlan0", "", is_can=False)
    assert kernel.add_altname(kernel.snapshot().links["wlan0"].index, "wifi") == 0
    await engine.create_network(NETWORK)
    await engine.create_network(OTHER, id="9", peer="can")
    before = kernel.snapshot()
    with pytest.raises(EngineError, match=words):
        await engine.create_endpoint(NETWORK, DASHBOARD, **{"vxcan.name": name})
    assert kernel.snapshot() == before
