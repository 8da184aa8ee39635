"""Faults by the plugin's socket: set, shown, kept, ended, and rejected when they are impossible."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from evercan.model.fault import FaultQueue, Netem
from evercan.model.steps import SetFaults
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, engine_id
from tests.support.fake_queues import QUEUE_MODULES
from tests.support.http import Answer, exchange, request
from tests.support.plugin import Plugin
from tests.support.scraping import scrape
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
GATEWAY, LOGGER, LATE = map(engine_id, ("gateway", "logger", "late"))


async def post(engine: Engine, verb: str, **fields: Any) -> Answer:
    answer = await exchange(engine.path, request(verb, orjson.dumps(fields)))
    assert answer is not None
    return answer


async def set_fault(engine: Engine, **fields: Any) -> Answer:
    return await post(engine, "fault-set", NetworkID=NETWORK, **fields)


async def start_two(engine: Engine) -> tuple[Container, Container]:
    """Start a container with limits and one without."""
    await engine.create_network(NETWORK)
    return (
        await engine.start(NETWORK, GATEWAY, **{"vxcan.send": "123"}),
        await engine.start(NETWORK, LOGGER),
    )


def queues(kernel: SharedKernel) -> dict[str, FaultQueue]:
    observed = kernel.snapshot()
    names = {link.index: link.name for link in observed.links.values()}
    return {names[index]: queue for index, queue in observed.fault_queues.items()}


async def health(engine: Engine) -> tuple[int, list[str], list[str]]:
    answer = await engine.get("health")
    return (
        answer.status,
        [reason["kind"] for reason in answer.document["reasons"]],
        [warning["kind"] for warning in answer.document["warnings"]],
    )


async def test_a_fault_is_made_by_a_queue_at_each_receiver_and_is_shown(
    engine: Engine, kernel: SharedKernel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limited, free = await start_two(engine)
    answer = await set_fault(engine, Loss="50%", Id="123", For="60s")
    assert (answer.status, answer.document) == (200, {"Bus": "vcan0", "Notes": []})
    made = queues(kernel)
    assert made.keys() == {"vcan0", limited.host_end, free.host_end}
    assert dict(made["vcan0"].bands) == {1: None}
    assert dict(made[free.host_end].bands) == {1: Netem(loss=0x8000_0000)}
    assert await health(engine) == (200, [], ["fault-injected"])
    (network,) = (await engine.get("status")).document["networks"]
    (fault,) = network["faults"]
    assert 50 < fault.pop("ends_in") <= 60
    assert fault == {
        "source": None,
        "target": None,
        "ids": "123",
        "loss": 50.0,
        "delay": 0.0,
        "jitter": 0.0,
        "duplicate": 0.0,
        "corrupt": 0.0,
        "effect": "loss 50%",
        "passed": 0,
        "lost": 0,
    }
    metrics = await scrape(engine.path)
    assert metrics["evercan_faults", "vcan0"] == 1
    assert metrics["evercan_fault_frames", "vcan0", "lost"] == 0
    assert metrics["evercan_warnings", "vcan0", "fault-injected"] == 1
    assert metrics["evercan_healthy",] == 1
    assert caplog.text.count("a fault is set on vcan0: frames with id 123: loss 50%") == 1
    cleared = await post(engine, "fault-clear", NetworkID=NETWORK)
    assert cleared.document == {"Cleared": 1}
    assert queues(kernel) == {}
    assert await health(engine) == (200, [], [])
    assert "Warning ended: a fault is set on vcan0" in caplog.text
    assert (await post(engine, "fault-clear")).document == {"Cleared": 0}


async def test_a_fault_outlives_the_process_and_ends_at_a_reboot(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await start_two(engine)
    await set_fault(engine, To=LOGGER, Delay="20ms")
    made = queues(kernel)
    steps = len(kernel.taken)
    await plugin.restart()
    await engine.enable()
    assert queues(kernel) == made
    assert len(kernel.taken) == steps
    assert await health(engine) == (200, [], ["fault-injected"])
    await plugin.stop()
    kernel.reboot("boot-2")
    await plugin.start()
    await engine.enable()
    assert queues(kernel) == {}
    assert await health(engine) == (200, [], [])
    await engine.start(NETWORK, LATE)
    assert queues(kernel) == {}


async def test_who_joins_and_leaves_is_followed(engine: Engine, kernel: SharedKernel) -> None:
    limited, free = await start_two(engine)
    await set_fault(engine, From=GATEWAY, Loss="100%")
    late = await engine.start(NETWORK, LATE)
    assert queues(kernel).keys() == {"vcan0", free.host_end, late.host_end}
    sources = {match.source for queue in queues(kernel).values() for match in queue.matches}
    assert sources == {f"{limited.host_end}f"}
    await engine.stop(limited)
    assert queues(kernel) == {}, "a fault ends with the container that it names"
    assert await health(engine) == (200, [], [])


async def test_a_fault_ends_by_itself(engine: Engine, kernel: SharedKernel) -> None:
    await start_two(engine)
    await set_fault(engine, Loss="100%", For="300ms")
    assert queues(kernel)
    await wait_until(lambda: not queues(kernel))
    assert await health(engine) == (200, [], [])


@pytest.mark.parametrize("recovery", Recovery)
async def test_a_queue_that_somebody_removes_is_restored(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, recovery: Recovery
) -> None:
    plugin.recovery = recovery
    await plugin.restart()
    await engine.enable()
    _, free = await start_two(engine)
    await set_fault(engine, To=LOGGER, Loss="1%")
    made = queues(kernel)
    kernel.queues.remove_queue(kernel.snapshot().links[free.host_end].index)
    repaired = recovery is Recovery.AUTO
    assert (await health(engine))[:2] == (503, ["drift"])
    plugin.link_events.announce()
    if repaired:
        await wait_until(lambda: queues(kernel) == made)
        assert await health(engine) == (200, [], ["fault-injected"])
    assert (await post(engine, "fault-clear")).ok
    assert await health(engine) == (200, [], [])


@pytest.mark.parametrize("module", sorted(set(QUEUE_MODULES) - {"sch_fifo"}))
async def test_a_fault_that_the_kernel_cannot_make_leaves_nothing_behind(
    engine: Engine, kernel: SharedKernel, module: str
) -> None:
    await start_two(engine)
    kernel.modules.discard(module)
    answer = await set_fault(engine, Loss="30%")
    assert answer.status == 500
    assert answer.err is not None
    assert f"the kernel has no {module}" in answer.err
    assert f"on the host run 'modprobe {module}'" in answer.err
    assert queues(kernel) == {}
    assert await health(engine) == (200, [], [])


async def test_the_queue_of_somebody_else_is_left_alone(
    engine: Engine, kernel: SharedKernel
) -> None:
    _, free = await start_two(engine)
    index = kernel.snapshot().links[free.host_end].index
    kernel.queues.set_queue(index)
    answer = await set_fault(engine, Loss="30%")
    assert answer.status == 500
    assert answer.err is not None
    assert f"tc qdisc del dev {free.host_end} root" in answer.err
    assert kernel.queues.foreign == {index}
    assert queues(kernel) == {}
    # A container that joins later starts, although its fault cannot be made.
    kernel.queues.foreign.clear()
    assert (await set_fault(engine, Loss="30%")).ok
    kernel.queues.set_queue(kernel.snapshot().links["vcan0"].index)
    await engine.start(NETWORK, LATE)
    assert await health(engine) == (503, ["faults-blocked"], ["fault-injected"])
    assert (await post(engine, "fault-clear")).ok
    assert await health(engine) == (200, [], [])


MIXED = "netem: cannot mix duplicating netems with other netems in tree"
FEWER_FAULTS = (
    "run 'evercan fault clear', and set fewer faults: some kernels take no fault that duplicates "
    "frames beside another fault of the same receiver"
)


@pytest.mark.parametrize(
    ("first", "second"),
    [({"Duplicate": "1%"}, {"Loss": "5%"}), ({"Loss": "5%"}, {"Duplicate": "1%"})],
)
async def test_a_fault_beside_one_that_duplicates_is_rejected_by_some_kernels(
    engine: Engine, kernel: SharedKernel, first: dict[str, str], second: dict[str, str]
) -> None:
    kernel.queues.mixes_duplicates = False
    _, free = await start_two(engine)
    assert (await set_fault(engine, Id="123", **first)).ok
    made = queues(kernel)
    answer = await set_fault(engine, Id="456", To=LOGGER, **second)
    assert answer.status == 500
    assert answer.err is not None
    assert f"{free.host_end}" in answer.err
    assert f"{MIXED} (EINVAL)" in answer.err
    assert FEWER_FAULTS in answer.err
    assert queues(kernel) == made, "the fault that was set before goes on"
    assert await health(engine) == (200, [], ["fault-injected"])
    # They may be at different receivers.
    assert (await post(engine, "fault-clear")).ok
    assert (await set_fault(engine, To=GATEWAY, **first)).ok
    assert (await set_fault(engine, To=LOGGER, **second)).ok
    assert await health(engine) == (200, [], 2 * ["fault-injected"])


@pytest.mark.parametrize("cleared", ["123", "456"])
async def test_a_receiver_that_comes_later_and_cannot_have_all_faults_is_reported(
    engine: Engine, kernel: SharedKernel, cleared: str
) -> None:
    kernel.queues.mixes_duplicates = False
    await engine.create_network(NETWORK)
    # No receiver is there yet that a kernel could reject them for.
    assert (await set_fault(engine, Id="123", Duplicate="1%")).ok
    assert (await set_fault(engine, Id="456", Delay="20ms")).ok
    late = await engine.start(NETWORK, LATE)
    assert await health(engine) == (503, ["faults-blocked"], 2 * ["fault-injected"])
    (reason,) = (await engine.get("health")).document["reasons"]
    assert f"{late.host_end}" in reason["text"]
    assert f"{MIXED} (EINVAL)" in reason["text"]
    assert reason["remedy"] == FEWER_FAULTS
    assert (await post(engine, "fault-clear", NetworkID=NETWORK, Id=cleared)).ok
    assert await health(engine) == (200, [], ["fault-injected"])
    queue = queues(kernel)[late.host_end]
    assert len(queue.bands) == 1
    assert queue.matches, "the fault that is left is made"


async def test_what_a_vcan_cannot_do_is_said_or_rejected(engine: Engine) -> None:
    await start_two(engine)
    (note,) = (await set_fault(engine, Delay="20ms")).document["Notes"]
    assert note.startswith("programs on the host at vcan0 get these frames unchanged")
    (note,) = (await set_fault(engine, Delay="20ms", Loss="5%")).document["Notes"]
    assert note.startswith("programs on the host at vcan0 lose these frames")
    assert (await set_fault(engine, Delay="20ms", To=LOGGER)).document["Notes"] == []
    answer = await set_fault(engine, Delay="20ms", To="vcan0")
    assert (answer.status, "vcan0 is a vcan" in (answer.err or "")) == (400, True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"Loss": "5"}, "option --loss='5': is not a percentage; give"),
        ({"Loss": 5}, "field Loss=5 is not a text"),
        ({"Loss": "5%", "From": LATE}, "is no member of the bus vcan0; members: vcan0"),
        ({"Loss": "5%", "For": "ever"}, "option --for='ever'"),
        ({"Loss": "5%", "Id": "ever"}, "option --id='ever'"),
        ({"Loss": "5%", "NetworkID": LATE}, "is not in evercan's state"),
        ({"Loss": "5%", "NetworkID": None}, "field NetworkID is missing"),
        ({}, "the fault has no effect"),
    ],
)
async def test_a_wrong_request_is_rejected_by_field_value_and_remedy(
    engine: Engine, kernel: SharedKernel, fields: dict[str, Any], text: str
) -> None:
    await start_two(engine)
    answer = await post(engine, "fault-set", **{"NetworkID": NETWORK, **fields})
    assert (answer.status, text in (answer.err or "")) == (400, True), answer.err
    assert not any(isinstance(step, SetFaults) for step in kernel.taken)
