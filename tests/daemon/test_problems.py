"""Each problem is data: what is wrong and what to do are separate, in every answer."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from evercan.model.controller import ControllerSettings, ControllerState
from evercan.model.declared import Phase
from evercan.model.problems import ProblemKind
from evercan.model.rule import Rule
from evercan.model.steps import MakeBus
from evercan.settings import Recovery
from evercan.tracking.repair_limits import BURST
from evercan.values import replace
from tests.support.engine import Container, Engine, engine_id
from tests.support.fake_controllers import GS_USB
from tests.support.http import exchange, request
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK, OTHER = map(engine_id, ("powertrain", "diagnosis"))
DASHBOARD, LOGGER, GATEWAY = map(engine_id, ("dashboard", "logger", "gateway"))
PHYSICAL = {"dev": "can", "id": "0", "kind": "physical"}
BITRATE = {**PHYSICAL, "bitrate": "500000", "restart-ms": "0"}


@dataclass(frozen=True)
class Host:
    """What a scenario needs to cause a problem."""

    engine: Engine
    kernel: SharedKernel
    plugin: Plugin
    monkeypatch: pytest.MonkeyPatch


@pytest.fixture
def host(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> Host:
    return Host(engine, kernel, plugin, monkeypatch)


async def start_container(host: Host, **options: str) -> Container:
    await host.engine.create_network(NETWORK, **options)
    return await host.engine.start(NETWORK, DASHBOARD)


async def restart_after(host: Host, change: Callable[[], object]) -> None:
    """Change something while the plugin is not running."""
    await host.plugin.stop()
    change()
    await host.plugin.start()


async def lack_vcan(host: Host) -> None:
    await start_container(host)
    host.kernel.modules.discard("vcan")
    host.kernel.delete("vcan0")
    host.plugin.link_events.announce()
    await wait_until(lambda: host.kernel.taken[-1] == MakeBus("vcan0"))


async def lack_can_gw(host: Host) -> None:
    await start_container(host)
    host.kernel.modules.discard("can-gw")


async def take_a_vcan_for_a_controller(host: Host) -> None:
    await start_container(host, dev="can", id="1")
    host.kernel.plug("can0")


async def end_a_background_task(host: Host) -> None:
    await start_container(host)
    host.plugin.link_events.fail(ValueError("cannot be decoded"))
    await asyncio.sleep(0.2)


async def unplug_the_controller(host: Host) -> None:
    host.kernel.plug("can0")
    await start_container(host, **PHYSICAL)
    host.kernel.delete("can0")


async def set_down_a_foreign_interface(host: Host) -> None:
    host.kernel.make("can0", "", up=True)
    await start_container(host, **PHYSICAL)
    host.kernel.set_flag("can0", up=False)


async def send_the_controller_bus_off(host: Host) -> None:
    host.kernel.plug("can0")
    await start_container(host, **BITRATE)
    host.kernel.alter(host.kernel.link("can0").index, state=ControllerState.BUS_OFF)


async def configure_the_controller_before_evercan(host: Host) -> None:
    host.kernel.plug("can0")
    await start_container(host, **BITRATE)

    def boot() -> None:
        host.kernel.reboot("boot-2")
        host.kernel.plug("can0")
        host.kernel.configure_controller("can0", ControllerSettings(bitrate=250_000))

    await restart_after(host, boot)


async def replace_the_controller(host: Host) -> None:
    await unplug_the_controller(host)
    host.kernel.make("can0", "", is_can=False)


async def delete_the_pair_while_the_plugin_is_down(host: Host) -> None:
    member = await start_container(host)
    host.plugin.link_events.announce()
    await wait_until(lambda: host.plugin.declared.endpoints[DASHBOARD].phase is Phase.JOINED)
    await restart_after(host, lambda: host.kernel.delete(member.host_end))


async def replace_the_pair(host: Host) -> None:
    member = await start_container(host)

    def replace() -> None:
        host.kernel.delete(member.host_end)
        host.kernel.make(member.host_end)

    await restart_after(host, replace)


async def flush_the_rules(host: Host) -> None:
    await start_container(host)
    host.kernel.flush_rules()


async def set_the_bus_down_again_and_again(host: Host) -> None:
    await start_container(host)
    for _ in range(BURST):
        host.kernel.set_flag("vcan0", up=False)
        host.plugin.link_events.announce()
        await wait_until(lambda: host.kernel.link("vcan0").up)
    host.kernel.set_flag("vcan0", up=False)


async def use_a_vcan_of_the_host_without_fd(host: Host) -> None:
    host.kernel.make("vcan0", up=True, mtu=16)
    await start_container(host)


async def set_down_the_end_in_the_container(host: Host) -> None:
    member = await start_container(host)
    host.plugin.link_events.announce()
    await wait_until(lambda: host.plugin.declared.endpoints[DASHBOARD].phase is Phase.JOINED)
    host.kernel.set_flag_inside(member.nsid, member.inside, up=False)


async def ask_an_engine_for_a_name_that_it_ignores(host: Host) -> None:
    host.plugin.engine_ifname = True
    await host.plugin.restart()
    await host.engine.create_network(NETWORK)
    name = {"com.docker.network.endpoint.ifname": "powertrain"}
    await host.engine.start(NETWORK, DASHBOARD, **name)
    host.plugin.link_events.announce()
    await wait_until(lambda: host.plugin.declared.endpoints[DASHBOARD].phase is Phase.JOINED)


async def bridge_an_absent_interface(host: Host) -> None:
    await start_container(host, bridge="vcan9")


async def bridge_an_interface_that_is_down(host: Host) -> None:
    host.kernel.make("vcan9")
    await start_container(host, bridge="vcan9")


async def replace_a_bridged_interface(host: Host) -> None:
    host.kernel.make("vcan9", up=True)
    await start_container(host, bridge="vcan9")
    host.kernel.delete("vcan9")
    host.kernel.make("vcan9", "", is_can=False)


async def add_a_rule_to_the_bus(host: Host) -> None:
    await start_container(host)
    host.kernel.make("vcan9", up=True)
    host.kernel.add_rule(Rule(host.kernel.link("vcan0").index, host.kernel.link("vcan9").index, 4))


async def delete_the_pair_of_a_running_container(host: Host) -> None:
    member = await start_container(host)
    host.plugin.link_events.announce()
    await wait_until(lambda: host.plugin.declared.endpoints[DASHBOARD].phase is Phase.JOINED)
    host.kernel.delete(member.host_end)
    host.plugin.link_events.announce()
    await wait_until(lambda: len(host.kernel.snapshot().rules) == 4)


async def swap_the_names_of_two_controllers(host: Host) -> None:
    first, second = (replace(GS_USB, place=f"usb 1-{port}:1.0") for port in (1, 2))
    host.kernel.plug("can0", first)
    host.kernel.plug("can1", second)
    await host.engine.create_network(NETWORK, **BITRATE)
    for name in ("can0", "can1"):
        host.kernel.delete(name)
    host.kernel.plug("can0", second)
    host.kernel.plug("can1", first)
    host.plugin.link_events.announce()
    await wait_until(lambda: host.kernel.snapshot().links["can0"].up)


async def fill_the_disk(host: Host) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await host.engine.enable()
    host.monkeypatch.setattr(os, "fsync", full)
    assert not (await host.engine.post("CreateNetwork", NetworkID=NETWORK, Options={})).ok


async def set_a_fault(host: Host) -> None:
    await start_container(host)
    body = orjson.dumps({"NetworkID": NETWORK, "Loss": "5%"})
    answer = await exchange(host.engine.path, request("fault-set", body))
    assert answer is not None
    assert answer.ok, answer.err


async def replace_the_queue_of_a_fault(host: Host) -> None:
    await set_a_fault(host)
    host.kernel.queues.set_queue(host.kernel.link("vcan0").index)
    taken = len(host.kernel.taken)
    host.plugin.link_events.announce()
    await wait_until(lambda: len(host.kernel.taken) > taken)


Cause = Callable[[Host], Awaitable[object]]

CAUSES: dict[ProblemKind, Cause] = {
    ProblemKind.MODULE_MISSING: lack_vcan,
    ProblemKind.CAN_GW_MISSING: lack_can_gw,
    ProblemKind.BUS_ABSENT: unplug_the_controller,
    ProblemKind.BUS_DOWN: set_down_a_foreign_interface,
    ProblemKind.BUS_OFF: send_the_controller_bus_off,
    ProblemKind.BUS_SETTINGS: configure_the_controller_before_evercan,
    ProblemKind.BUS_FOREIGN: replace_the_controller,
    ProblemKind.BUS_IMPERSONATES: take_a_vcan_for_a_controller,
    ProblemKind.PAIR_MISSING: delete_the_pair_while_the_plugin_is_down,
    ProblemKind.PAIR_FOREIGN: replace_the_pair,
    ProblemKind.DRIFT: flush_the_rules,
    ProblemKind.REPAIRS_LIMITED: set_the_bus_down_again_and_again,
    ProblemKind.BRIDGE_ABSENT: bridge_an_absent_interface,
    ProblemKind.BRIDGE_DOWN: bridge_an_interface_that_is_down,
    ProblemKind.BRIDGE_FOREIGN: replace_a_bridged_interface,
    ProblemKind.FAULTS_BLOCKED: replace_the_queue_of_a_fault,
    ProblemKind.REFUSED: fill_the_disk,
    ProblemKind.INTERNAL_ERROR: end_a_background_task,
}

WARNING_CAUSES: dict[ProblemKind, Cause] = {
    ProblemKind.BUS_NO_FD: use_a_vcan_of_the_host_without_fd,
    ProblemKind.BUS_SWAPPED: swap_the_names_of_two_controllers,
    ProblemKind.FAULT_INJECTED: set_a_fault,
    ProblemKind.FOREIGN_RULES: add_a_rule_to_the_bus,
    ProblemKind.PAIR_REPLACED: delete_the_pair_of_a_running_container,
    ProblemKind.END_DOWN: set_down_the_end_in_the_container,
    ProblemKind.IFNAME_IGNORED: ask_an_engine_for_a_name_that_it_ignores,
}


def assert_complete(reason: dict[str, Any]) -> None:
    """Verify that a reason says what is wrong and what to do, each in its own field."""
    for field in ("text", "remedy"):
        assert isinstance(reason[field], str)
        assert reason[field].strip()
    assert reason["remedy"] not in reason["text"]


def test_every_kind_of_problem_has_a_cause() -> None:
    assert CAUSES.keys() | WARNING_CAUSES.keys() == set(ProblemKind)


@pytest.mark.parametrize("kind", CAUSES)
async def test_each_reason_has_a_text_and_a_remedy(host: Host, kind: ProblemKind) -> None:
    await CAUSES[kind](host)
    health = await host.engine.get("health")
    status = (await host.engine.get("status")).document
    assert (health.status, status["health_status"]) == (503, 503)
    for reasons in (health.document["reasons"], status["reasons"]):
        assert kind in {reason["kind"] for reason in reasons}
        for reason in reasons:
            assert_complete(reason)


@pytest.mark.parametrize("kind", WARNING_CAUSES)
async def test_each_warning_has_a_text_and_a_remedy_and_the_bus_is_healthy(
    host: Host, kind: ProblemKind
) -> None:
    await WARNING_CAUSES[kind](host)
    health = await host.engine.get("health")
    status = (await host.engine.get("status")).document
    assert (health.status, status["health_status"]) == (200, 200)
    for document in (health.document, status):
        assert (document["healthy"], document["reasons"]) == (True, [])
        (warning,) = document["warnings"]
        assert (warning["kind"], warning["bus"] in ("vcan0", "can0")) == (kind, True)
        assert_complete(warning)


FAIL_FAST_CAUSES = {
    "bus absent": unplug_the_controller,
    "bus down": set_down_a_foreign_interface,
    "bus off": send_the_controller_bus_off,
    "module missing": lack_can_gw,
    "bus foreign": replace_the_controller,
}


@pytest.mark.parametrize("cause", FAIL_FAST_CAUSES.values(), ids=FAIL_FAST_CAUSES)
async def test_the_engines_error_has_the_text_and_the_remedy_of_the_reason(
    host: Host, cause: Cause
) -> None:
    await cause(host)
    host.plugin.recovery = Recovery.FAIL_FAST
    await host.plugin.restart()
    failed = await host.engine.post("CreateEndpoint", NetworkID=NETWORK, EndpointID=LOGGER)
    assert failed.status == 500
    reasons = (await host.engine.get("health")).document["reasons"]
    assert reasons
    for reason in reasons:
        assert_complete(reason)
        assert f"{reason['text']}; {reason['remedy']}" in failed.err


@pytest.mark.parametrize(
    ("verb", "fields", "text", "remedy"),
    [
        (
            "CreateNetwork",
            {"Options": {"com.docker.network.generic": {"vxcan.id": "x/y"}}},
            "vxcan.id='x/y'",
            "give a number or a name",
        ),
        ("Join", {"EndpointID": DASHBOARD}, "is not in evercan's state", "evercan adopt"),
        ("Leave", {}, "EndpointID is missing", "give"),
    ],
    ids=["option", "unknown network", "missing field"],
)
async def test_a_rejected_call_has_a_text_and_a_remedy(
    engine: Engine, verb: str, fields: dict[str, object], text: str, remedy: str
) -> None:
    answer = await engine.post(verb, NetworkID=OTHER, **fields)
    assert answer.status == 400
    problem, separator, advice = answer.err.partition("; ")
    assert separator
    assert text in problem
    assert remedy in advice


async def adopt(engine: Engine, *networks: dict[str, Any], prune: list[str]) -> dict[str, Any]:
    body = orjson.dumps({"Networks": networks, "Prune": prune})
    answer = await exchange(engine.path, request("adopt", body))
    assert answer is not None
    assert answer.ok, answer.err
    return answer.document


async def test_each_finding_of_an_adoption_has_a_text_and_a_remedy(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    lost = await engine.start(NETWORK, DASHBOARD)
    running = await engine.start(NETWORK, GATEWAY)
    ended = await engine.start(NETWORK, LOGGER)
    await plugin.stop()
    shutil.rmtree(plugin.state_folder)
    kernel.delete(lost.host_end)
    kernel.move_out(ended.nsid, ended.inside, ended.source)
    await plugin.start()
    stray = engine_id("stray")
    await engine.create_network(stray, id="7")
    claims = [{"EndpointID": container.endpoint} for container in (lost, running)]
    wrong = {"NetworkID": OTHER, "Options": {"vxcan.id": "x/y"}}
    done = await adopt(engine, {"NetworkID": NETWORK, "Endpoints": claims}, wrong, prune=[])
    findings = [*done["Networks"], *done["Strays"], *done["Pairs"]]
    for network in done["Networks"]:
        findings += network["Endpoints"]
    outcomes = {finding["Outcome"] for finding in findings}
    assert outcomes == {"adopted", "restart", "refused", "reported"}
    for finding in findings:
        if finding["Outcome"] == "adopted":
            assert (finding["Text"], finding["Remedy"]) == ("", "")
        else:
            assert_complete({"text": finding["Text"], "remedy": finding["Remedy"]})
