"""Virtual buses with a bitrate: the wire, what leads into it, and everything that befalls them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from evercan.model.names import wire_names
from evercan.model.steps import MakeWire
from evercan.model.wire import Wire, WireEntry, WireSeen, parts_of
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.fake_wires import WIRE_MODULES
from tests.support.http import exchange, request
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "body"))
GATEWAY, LOGGER = map(engine_id, ("gateway", "logger"))
SLOW = {"kind": "virtual", "bitrate": "500000"}
WIRE, METER = wire_names("vcan0")
SPEED = Wire(500_000)


async def start_two(engine: Engine, **limits: str) -> tuple[Container, Container]:
    """Start two containers on a bus of 500 kbit/s, the first with limits."""
    await engine.create_network(NETWORK, **SLOW)
    return await engine.start(NETWORK, GATEWAY, **limits), await engine.start(NETWORK, LOGGER)


def assert_slow(kernel: SharedKernel, *ends: str) -> None:
    """Assert that frames of all ends, and of programs of the host, pass through the wire."""
    observed = kernel.snapshot()
    index, meter = (observed.links[name].index for name in (WIRE, METER))
    assert observed.wires == {index: WireSeen(SPEED, parts_of(SPEED))}
    led = {observed.links[end].index: WireEntry(index, meter, local=False) for end in ends}
    led[observed.links["vcan0"].index] = WireEntry(index, meter, local=True)
    assert observed.wire_entries == led
    assert_exactly_once(observed, "vcan0", *ends)


def assert_fast(kernel: SharedKernel) -> None:
    """Assert that nothing of a wire is left."""
    observed = kernel.snapshot()
    assert not {WIRE, METER} & observed.links.keys()
    assert kernel.wires.entries(observed.links.values()) == {}


async def test_all_members_and_the_host_share_one_wire(
    engine: Engine, kernel: SharedKernel
) -> None:
    first, second = await start_two(engine)
    assert_slow(kernel, first.host_end, second.host_end)


async def test_a_bus_without_a_bitrate_has_no_wire(engine: Engine, kernel: SharedKernel) -> None:
    await engine.create_network(NETWORK, kind="virtual")
    await engine.start(NETWORK, GATEWAY)
    assert_fast(kernel)


async def test_frames_of_a_member_with_limits_are_filtered_before_they_wait(
    engine: Engine, kernel: SharedKernel
) -> None:
    limited, free = await start_two(engine, **{"vxcan.send": "123"})
    assert_slow(kernel, f"{limited.host_end}f", free.host_end)


async def test_a_member_is_led_into_the_wire_before_rules_forward_its_frames(
    engine: Engine, kernel: SharedKernel
) -> None:
    await start_two(engine)
    kinds = [type(step).__name__ for step in kernel.taken]
    first = len(kinds) - kinds[::-1].index("MakePair")
    assert kinds.index("SetWireEntry", first) < kinds.index("AddRules", first)


async def test_calls_of_containers_dump_nothing(engine: Engine, kernel: SharedKernel) -> None:
    first, second = await start_two(engine)
    await wait_until(lambda: kernel.calls["observe"] > 0)
    before = kernel.calls["observe"]
    await engine.stop(first)
    await engine.start(NETWORK, GATEWAY)
    assert kernel.calls["observe"] == before
    assert second.host_end in kernel.snapshot().links


async def test_a_stopped_container_leaves_the_wire_as_it_is(
    engine: Engine, kernel: SharedKernel
) -> None:
    first, second = await start_two(engine)
    await engine.stop(first)
    assert_slow(kernel, second.host_end)


async def test_the_wire_goes_with_the_last_network_that_asks_for_it(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK, **SLOW)
    await engine.create_network(OTHER)
    container = await engine.start(OTHER, LOGGER)
    assert_slow(kernel, container.host_end)
    await engine.delete_network(NETWORK)
    assert_fast(kernel)
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_a_vcan_of_the_host_is_left_as_it_was(engine: Engine, kernel: SharedKernel) -> None:
    kernel.make("vcan0", up=True)
    await engine.create_network(NETWORK, **SLOW)
    assert_slow(kernel)
    await engine.delete_network(NETWORK)
    assert_fast(kernel)
    assert set(kernel.snapshot().links) == {"vcan0"}


async def test_networks_of_one_bus_agree_on_the_bitrate(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK, **SLOW)
    with pytest.raises(EngineError, match=r"vxcan\.bitrate.*250000.*has 500000"):
        await engine.create_network(OTHER, kind="virtual", bitrate="250000")
    await engine.create_network(OTHER, **SLOW)
    assert_slow(kernel)


@pytest.mark.parametrize("module", WIRE_MODULES)
async def test_a_kernel_without_a_module_rejects_the_network(
    engine: Engine, kernel: SharedKernel, module: str
) -> None:
    kernel.modules.discard(module)
    with pytest.raises(EngineError, match=rf"no {module}.*modprobe {module}"):
        await engine.create_network(NETWORK, **SLOW)
    assert kernel.snapshot().links == {}


def delete_wire(kernel: SharedKernel, _: Container) -> None:
    kernel.delete(WIRE)


def delete_meter(kernel: SharedKernel, _: Container) -> None:
    kernel.delete(METER)


def remove_queue(kernel: SharedKernel, _: Container) -> None:
    kernel.wires.flush(kernel.link(WIRE).index)


def set_wire_down(kernel: SharedKernel, _: Container) -> None:
    kernel.set_flag(WIRE, up=False)


def flush_entry(kernel: SharedKernel, container: Container) -> None:
    kernel.flush_filters(container.host_end)


def flush_entry_of_host(kernel: SharedKernel, _: Container) -> None:
    kernel.flush_filters("vcan0")


def delete_bus(kernel: SharedKernel, _: Container) -> None:
    kernel.delete("vcan0")


DAMAGES = (
    *(delete_wire, delete_meter, remove_queue, set_wire_down),
    *(flush_entry, flush_entry_of_host, delete_bus),
)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_somebody_removes_is_restored(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, damage: Any
) -> None:
    first, second = await start_two(engine)
    damage(kernel, first)
    await plugin.restart()
    await engine.enable()
    assert_slow(kernel, first.host_end, second.host_end)
    assert (await engine.get("health")).status == 200


@pytest.mark.parametrize("damage", [delete_wire, remove_queue, flush_entry, flush_entry_of_host])
async def test_drift_of_wires_is_reported_and_left_with_fail_fast(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, damage: Any
) -> None:
    await plugin.stop()
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    await engine.enable()
    first, _ = await start_two(engine)
    damage(kernel, first)
    before = kernel.snapshot()
    answer = (await engine.get("health")).document
    texts = [reason["text"] for reason in answer["reasons"]]
    assert texts
    assert all("the wire of vcan0" in text for text in texts), texts
    assert kernel.snapshot() == before


async def test_a_reboot_restores_the_wire(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await start_two(engine)
    await plugin.reboot("boot-2")
    await engine.enable()
    joined = await engine.join(NETWORK, GATEWAY)
    again = engine.move_inside(NETWORK, GATEWAY, joined)
    assert_slow(kernel, again.host_end)


async def test_an_interface_of_somebody_else_with_the_name_of_the_wire_is_left_alone(
    engine: Engine, kernel: SharedKernel
) -> None:
    kernel.make(WIRE, "dummy", is_can=False)
    with pytest.raises(EngineError, match=rf"interface {WIRE} is not evercan's"):
        await engine.create_network(NETWORK, **SLOW)
    assert set(kernel.snapshot().links) == {WIRE}


async def adopt(engine: Engine, *networks: dict[str, Any], prune: tuple[str, ...] = ()) -> None:
    """Send what ``evercan adopt`` sends."""
    body = orjson.dumps({"Networks": networks, "Prune": prune})
    answer = await exchange(engine.path, request("adopt", body))
    assert answer is not None
    assert answer.ok


async def test_adoption_takes_the_bitrate_from_the_engines_list(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    first, second = await start_two(engine)
    before = kernel.snapshot()
    await plugin.stop()
    for file in plugin.state_folder.iterdir():
        file.unlink()
    await plugin.start()
    taken = len(kernel.taken)
    await adopt(
        engine,
        {
            "NetworkID": NETWORK,
            "Options": {f"vxcan.{name}": value for name, value in SLOW.items()},
            "Endpoints": [{"EndpointID": one.endpoint} for one in (first, second)],
        },
    )
    assert kernel.taken[taken:] == [], "what was there was changed"
    assert kernel.snapshot() == before
    assert plugin.declared.wire_of("vcan0") == SPEED


async def test_an_idle_wire_of_a_lost_state_is_pruned(engine: Engine, kernel: SharedKernel) -> None:
    kernel.apply([MakeWire("vcan0", WIRE, METER, SPEED)])
    await adopt(engine)
    assert {WIRE, METER} <= kernel.snapshot().links.keys()
    await adopt(engine, prune=(WIRE, METER))
    assert kernel.snapshot().links == {}
