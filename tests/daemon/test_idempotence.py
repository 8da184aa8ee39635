"""Every call may be repeated, made concurrently, out of order, or for unknown ids."""

from __future__ import annotations

import asyncio

import pytest

from evercan.model.observed import Observed
from tests.support.engine import Engine, engine_id
from tests.support.invariants import assert_exactly_once
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

NETWORK, DASHBOARD, GATEWAY = map(engine_id, ("powertrain", "dashboard", "gateway"))
UNKNOWN = engine_id("unknown")

# The calls in the order in which the engine makes them.
CALLS = (
    ("CreateNetwork", {"NetworkID": NETWORK}),
    ("CreateEndpoint", {"NetworkID": NETWORK, "EndpointID": DASHBOARD}),
    ("Join", {"NetworkID": NETWORK, "EndpointID": DASHBOARD}),
    ("EndpointOperInfo", {"NetworkID": NETWORK, "EndpointID": DASHBOARD}),
    ("Leave", {"NetworkID": NETWORK, "EndpointID": DASHBOARD}),
    ("DeleteEndpoint", {"NetworkID": NETWORK, "EndpointID": DASHBOARD}),
    ("DeleteNetwork", {"NetworkID": NETWORK}),
)


def call_numbers() -> list[object]:
    return [pytest.param(number, id=CALLS[number][0]) for number in range(len(CALLS))]


@pytest.mark.parametrize("number", call_numbers())
async def test_a_repeated_call_gets_the_same_answer_and_changes_nothing(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, number: int
) -> None:
    for verb, fields in CALLS[:number]:
        await engine.call(verb, **fields)
    verb, fields = CALLS[number]
    first = await engine.call(verb, **fields)
    before: tuple[Observed, bytes] = (kernel.snapshot(), plugin.state_bytes)
    taken = len(kernel.taken)
    assert await engine.call(verb, **fields) == first
    assert (kernel.snapshot(), plugin.state_bytes) == before
    assert len(kernel.taken) == taken


@pytest.mark.parametrize("number", call_numbers())
async def test_eight_concurrent_calls_have_the_effect_of_one(
    engine: Engine, kernel: SharedKernel, number: int
) -> None:
    for verb, fields in CALLS[:number]:
        await engine.call(verb, **fields)
    verb, fields = CALLS[number]
    answers = await asyncio.gather(*(engine.call(verb, **fields) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    made = [str(step) for step in kernel.taken]
    assert len(made) == len(set(made))


@pytest.mark.parametrize("number", call_numbers())
async def test_a_call_that_is_repeated_after_a_restart_has_the_effect_of_one(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, number: int
) -> None:
    for verb, fields in CALLS[: number + 1]:
        first = await engine.call(verb, **fields)
        if verb == "Join":
            engine.move_inside(NETWORK, DASHBOARD, first)
    await plugin.restart()
    verb, fields = CALLS[number]
    assert await engine.call(verb, **fields) == first
    joined = verb in ("Join", "EndpointOperInfo")
    assert kernel.live_rules() == (4 if joined else 0)


@pytest.mark.parametrize("verb", ["Leave", "DeleteEndpoint", "EndpointOperInfo"])
@pytest.mark.parametrize("network", [NETWORK, UNKNOWN], ids=["known network", "unknown network"])
async def test_an_unknown_endpoint_is_not_an_error(
    engine: Engine, plugin: Plugin, verb: str, network: str
) -> None:
    await engine.create_network(NETWORK)
    before = plugin.state_bytes
    assert (await engine.post(verb, NetworkID=network, EndpointID=UNKNOWN)).ok
    assert plugin.state_bytes == before


async def test_deleting_an_unknown_network_is_not_an_error(engine: Engine) -> None:
    assert (await engine.post("DeleteNetwork", NetworkID=UNKNOWN)).ok


@pytest.mark.parametrize("verb", ["CreateEndpoint", "Join"])
async def test_an_unknown_network_is_rejected_with_a_remedy(engine: Engine, verb: str) -> None:
    answer = await engine.post(verb, NetworkID=UNKNOWN, EndpointID=DASHBOARD)
    assert not answer.ok
    assert UNKNOWN in answer.err
    assert "docker network create" in answer.err


async def test_creating_a_network_again_with_other_options_is_rejected(
    engine: Engine, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    before = plugin.state_bytes
    answer = await engine.post(
        "CreateNetwork",
        NetworkID=NETWORK,
        Options={"com.docker.network.generic": {"vxcan.id": "9"}},
    )
    assert answer.status == 400
    assert "vcan0" in answer.err
    assert "vcan9" in answer.err
    assert plugin.state_bytes == before


async def test_an_endpoint_of_one_network_is_rejected_on_another(
    engine: Engine, plugin: Plugin
) -> None:
    other = engine_id("diagnosis")
    await engine.create_network(NETWORK)
    await engine.create_network(other)
    await engine.create_endpoint(NETWORK, DASHBOARD)
    await engine.join(NETWORK, DASHBOARD)
    before = plugin.state_bytes
    for verb in ("CreateEndpoint", "Join"):
        answer = await engine.post(verb, NetworkID=other, EndpointID=DASHBOARD)
        assert answer.status == 400
        assert NETWORK in answer.err
    assert plugin.state_bytes == before


async def test_endpoints_with_the_same_first_digits_get_different_interfaces(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    one = await engine.start(NETWORK, "c0ffee00" + DASHBOARD[8:])
    two = await engine.start(NETWORK, "c0ffee00" + GATEWAY[8:])
    assert one.host_end != two.host_end
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, two.host_end)


async def test_concurrent_joins_and_leaves_end_with_exactly_one_rule_for_each_path(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    leaving = await engine.start_many(NETWORK, [engine_id(f"old {n}") for n in range(5)])
    joining, _ = await asyncio.gather(
        engine.start_many(NETWORK, [engine_id(f"new {n}") for n in range(5)]),
        engine.stop_many(leaving),
    )
    assert_exactly_once(kernel.snapshot(), "vcan0", *(container.host_end for container in joining))


async def test_a_repeated_join_that_fails_does_not_end_the_membership(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    container = await engine.start(NETWORK, DASHBOARD)
    kernel.modules.discard("vcan")
    kernel.delete("vcan0")
    assert not (await engine.post("Join", NetworkID=NETWORK, EndpointID=DASHBOARD)).ok
    kernel.modules.add("vcan")
    assert plugin.declared.endpoints[DASHBOARD].is_member
    await plugin.restart()
    await engine.enable()
    assert_exactly_once(kernel.snapshot(), "vcan0", container.host_end)


async def test_a_deletion_during_a_join_is_answered_with_the_cause(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    fields = {"NetworkID": NETWORK, "EndpointID": DASHBOARD}
    for _ in range(10):
        kernel.hang()
        blocking = asyncio.create_task(engine.post("DeleteNetwork", NetworkID=UNKNOWN))
        joining = asyncio.create_task(engine.post("Join", **fields))
        await asyncio.sleep(0.01)
        deleting = asyncio.create_task(engine.post("DeleteEndpoint", **fields))
        await asyncio.sleep(0.01)
        kernel.resume()
        joined = await joining
        assert joined.ok or "was deleted while it joined" in joined.err
        assert (await blocking).ok
        assert (await deleting).ok
