"""POST /adopt: networks and containers that the engine lists are restored to a lost state."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from evercan.cli import main
from evercan.model.controller import ControllerSettings
from evercan.model.declared import Phase
from evercan.model.rule import Rule
from evercan.model.steps import MakePair
from evercan.settings import Recovery
from tests.support.engine import Container, Engine, EngineError, engine_id
from tests.support.http import Answer, exchange, request
from tests.support.invariants import assert_exactly_once
from tests.support.json_server import engine_answers, network_entry, plugin_entry, serving
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

NETWORK = engine_id("powertrain")
DASHBOARD, GATEWAY, LOGGER = map(engine_id, ("dashboard", "gateway", "logger"))


async def lose_the_state(plugin: Plugin) -> None:
    """``docker plugin rm -f``, ``docker plugin create``, ``docker plugin enable``."""
    await plugin.stop()
    shutil.rmtree(plugin.state_folder)
    await plugin.start()


async def start_two(engine: Engine) -> list[Container]:
    await engine.create_network(NETWORK)
    return [await engine.start(NETWORK, endpoint) for endpoint in (DASHBOARD, GATEWAY)]


def listed(*containers: Container, **options: str) -> dict[str, Any]:
    return {
        "NetworkID": NETWORK,
        "Options": {f"vxcan.{key}": value for key, value in options.items()},
        "Endpoints": [{"EndpointID": container.endpoint} for container in containers],
    }


async def post(engine: Engine, document: object) -> Answer:
    answer = await exchange(engine.path, request("adopt", orjson.dumps(document)))
    assert answer is not None
    return answer


async def adopt(
    engine: Engine, *networks: dict[str, Any], prune: Sequence[str] = ()
) -> dict[str, Any]:
    answer = await post(engine, {"Networks": networks, "Prune": prune})
    assert answer.ok, answer.err
    return answer.document


async def test_the_error_for_an_unknown_network_names_the_command_that_restores_it(
    engine: Engine, plugin: Plugin
) -> None:
    await start_two(engine)
    await lose_the_state(plugin)
    with pytest.raises(EngineError, match="evercan adopt"):
        await engine.start(NETWORK, LOGGER)


async def test_a_vcan_of_the_hosts_own_that_was_created_again_stays_the_hosts(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("vcan0", up=True)
    containers = await start_two(engine)
    kernel.delete("vcan0")
    plugin.link_events.announce()
    await wait_until(lambda: "vcan0" in kernel.snapshot().links)
    await lose_the_state(plugin)
    await adopt(engine, listed(*containers))
    assert not plugin.declared.networks[NETWORK].owns_bus
    # It is repaired like one of evercan's, and not deleted.
    kernel.set_flag("vcan0", up=False)
    plugin.link_events.announce()
    await wait_until(lambda: kernel.link("vcan0").up)
    await engine.stop_many(containers)
    await engine.delete_network(NETWORK)
    assert set(kernel.snapshot().links) == {"vcan0"}


async def test_rules_between_interfaces_of_the_host_are_evercans_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    for name in ("vcan0", "vcan9"):
        kernel.make(name, up=True)
    await engine.create_network(NETWORK, bridge="vcan9")
    await lose_the_state(plugin)
    before = kernel.snapshot().rules
    await adopt(engine, listed(bridge="vcan9"))
    assert kernel.snapshot().rules == before
    await engine.delete_network(NETWORK)
    assert not kernel.snapshot().rules


async def test_rules_of_a_network_that_is_gone_are_strays_and_are_pruned(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    for name in ("vcan0", "vcan9"):
        kernel.make(name, up=True)
    theirs = Rule(kernel.link("vcan0").index, kernel.link("vcan9").index, 0x05, 0)
    await engine.create_network(NETWORK, bridge="vcan9")
    await lose_the_state(plugin)
    kernel.add_rule(theirs)
    before = kernel.snapshot().rules
    (stray,) = (await adopt(engine))["Rules"]
    assert (stray["Interfaces"], stray["Outcome"]) == ("vcan0 <-> vcan9", "reported")
    assert "evercan adopt --prune" in stray["Remedy"]
    assert kernel.snapshot().rules == before
    (pruned,) = (await adopt(engine, prune=[stray["Interfaces"]]))["Rules"]
    assert pruned["Outcome"] == "forgotten"
    assert kernel.snapshot().rules == Counter([theirs])
    assert (await adopt(engine))["Rules"] == []


async def test_an_adopted_network_works_is_repaired_grows_and_is_removed(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    await lose_the_state(plugin)
    kernel.flush_rules()
    done = await adopt(engine, listed(one, other))
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    (network,) = done["Networks"]
    assert (network["NetworkID"], network["Bus"], network["Outcome"]) == (
        NETWORK,
        "vcan0",
        "adopted",
    )
    assert [(found["HostEnd"], found["Outcome"]) for found in network["Endpoints"]] == [
        (one.host_end, "adopted"),
        (other.host_end, "adopted"),
    ]
    assert done["Strays"] == []
    new = await engine.start(NETWORK, LOGGER)
    kernel.delete(one.host_end)
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 24)
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end, new.host_end)
    for container in (one, other, new):
        await engine.stop(container)
    await engine.delete_network(NETWORK)
    assert not kernel.snapshot().links


async def test_a_second_adoption_changes_nothing(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    containers = await start_two(engine)
    await lose_the_state(plugin)
    await adopt(engine, listed(*containers))
    before = (kernel.snapshot(), plugin.state_bytes, list(kernel.taken))
    (network,) = (await adopt(engine, listed(*containers), prune=[NETWORK]))["Networks"]
    assert {network["Outcome"], *(found["Outcome"] for found in network["Endpoints"])} == {"known"}
    assert (kernel.snapshot(), plugin.state_bytes, kernel.taken) == before


async def test_a_container_without_its_pair_must_be_restarted(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    await plugin.stop()
    kernel.delete(one.host_end)
    shutil.rmtree(plugin.state_folder)
    await plugin.start()
    (network,) = (await adopt(engine, listed(one, other)))["Networks"]
    assert [found["Outcome"] for found in network["Endpoints"]] == ["restart", "adopted"]
    assert "restart the container" in network["Endpoints"][0]["Remedy"]
    back = await engine.start(NETWORK, engine_id("dashboard again"))
    assert_exactly_once(kernel.snapshot(), "vcan0", other.host_end, back.host_end)


async def test_a_deleted_bus_interface_is_created_again(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    await plugin.stop()
    kernel.delete("vcan0")
    shutil.rmtree(plugin.state_folder)
    plugin.recovery = Recovery.FAIL_FAST
    await plugin.start()
    await adopt(engine, listed(one, other))
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    assert (await engine.get("health")).status == 200


async def test_problems_of_an_adopted_network_are_reported(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await lose_the_state(plugin)
    kernel.modules.discard("can-gw")
    (network,) = (await adopt(engine, listed()))["Networks"]
    assert network["Outcome"] == "adopted"
    assert any("modprobe can-gw" in problem for problem in network["Troubles"])
    assert set(plugin.declared.networks) == {NETWORK}


async def test_a_network_that_cannot_be_adopted_does_not_affect_others(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    bad = {"NetworkID": engine_id("odd"), "Options": {"vxcan.bitrate": "500000"}}
    done = await adopt(engine, bad, listed())
    assert [network["Outcome"] for network in done["Networks"]] == ["refused", "adopted"]
    assert "vxcan.bitrate='500000'" in done["Networks"][0]["Text"]
    assert set(plugin.declared.networks) == {NETWORK}
    assert set(kernel.snapshot().links) == {"vcan0"}


async def test_a_pair_that_is_not_in_the_state_is_deleted_with_its_endpoint(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    await lose_the_state(plugin)
    await engine.call("DeleteEndpoint", NetworkID=NETWORK, EndpointID=one.endpoint)
    assert one.host_end in kernel.snapshot().links, "a container still has the other end"
    await engine.stop(one)
    assert one.host_end not in kernel.snapshot().links
    assert other.host_end in kernel.snapshot().links


async def test_a_pair_of_no_container_is_reported_and_deleted_if_asked(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    one, other = await start_two(engine)
    await plugin.stop()
    shutil.rmtree(plugin.state_folder)
    kernel.move_out(one.nsid, one.inside, one.source)  # its container ended meanwhile
    await plugin.start()
    reported = await adopt(engine, listed(other))
    assert [(pair["HostEnd"], pair["Outcome"]) for pair in reported["Pairs"]] == [
        (one.host_end, "reported")
    ]
    assert one.host_end in kernel.snapshot().links
    done = await adopt(engine, listed(other), prune=[one.host_end])
    assert [(pair["HostEnd"], pair["Outcome"]) for pair in done["Pairs"]] == [
        (one.host_end, "forgotten")
    ]
    assert one.host_end not in kernel.snapshot().links
    assert_exactly_once(kernel.snapshot(), "vcan0", other.host_end)
    assert (await adopt(engine, listed(other), prune=[one.host_end]))["Pairs"] == []


async def test_a_tagged_interface_with_another_name_is_not_a_stray_pair(
    engine: Engine, kernel: SharedKernel
) -> None:
    _, other = await start_two(engine)
    assert kernel.apply([MakePair("", "", "vxcanlab", "vxcanlabp")]) == []
    done = await adopt(engine, listed(other), prune=["vxcanlab"])
    assert done["Pairs"] == []
    assert "vxcanlab" in kernel.snapshot().links


async def test_strays_are_removed_if_asked(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    (stray,) = (await adopt(engine))["Strays"]
    assert (stray["NetworkID"], stray["Bus"], stray["Outcome"]) == (NETWORK, "vcan0", "reported")
    assert set(plugin.declared.networks) == {NETWORK}
    (stray,) = (await adopt(engine, prune=[NETWORK]))["Strays"]
    assert stray["Outcome"] == "forgotten"
    assert not plugin.declared.networks
    assert not kernel.snapshot().links


async def test_networks_created_since_the_engine_was_asked_are_not_pruned(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(NETWORK)
    reported = await adopt(engine)
    late, endpoint = engine_id("late"), engine_id("its container")
    await engine.create_network(late, id="1")
    await engine.create_endpoint(late, endpoint)
    joined = await engine.join(late, endpoint)
    done = await adopt(engine, prune=[stray["NetworkID"] for stray in reported["Strays"]])
    assert {stray["NetworkID"]: stray["Outcome"] for stray in done["Strays"]} == {
        NETWORK: "forgotten",
        late: "reported",
    }
    kernel.move_in(joined["InterfaceName"]["SrcName"], 1)


async def test_an_endpoint_whose_container_ended_while_the_plugin_was_down_can_be_pruned(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    ends, stays = await start_two(engine)
    plugin.link_events.announce()
    await wait_until(
        lambda: {end.phase for end in plugin.declared.endpoints.values()} == {Phase.JOINED}
    )
    await plugin.stop()
    kernel.end_namespace(ends.nsid)
    kernel.ended_namespaces()  # announced, and nobody has listened
    await plugin.start()
    (reason,) = (await engine.get("health")).document["reasons"]
    assert (reason["kind"], reason["endpoint"]) == ("pair-missing", ends.endpoint)
    (found,) = (await adopt(engine, listed(stays)))["Networks"]
    outcomes = {member["EndpointID"]: member["Outcome"] for member in found["Endpoints"]}
    assert outcomes == {stays.endpoint: "known", ends.endpoint: "reported"}
    (found,) = (await adopt(engine, listed(stays), prune=[ends.endpoint]))["Networks"]
    outcomes = {member["EndpointID"]: member["Outcome"] for member in found["Endpoints"]}
    assert outcomes == {stays.endpoint: "known", ends.endpoint: "forgotten"}
    assert (await engine.get("health")).status == 200
    assert set(plugin.declared.endpoints) == {stays.endpoint}
    assert_exactly_once(kernel.snapshot(), "vcan0", stays.host_end)


async def test_a_controller_that_is_absent_when_its_network_is_adopted_is_waited_for(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    kernel.configure_controller("can0", ControllerSettings(bitrate=500_000))
    await engine.create_network(NETWORK, dev="can", id="0")
    container = await engine.start(NETWORK, DASHBOARD)
    await lose_the_state(plugin)
    kernel.delete("can0")
    await adopt(engine, listed(container, dev="can", id="0"))
    assert "can0" not in kernel.snapshot().links
    kernel.plug("can0")
    kernel.configure_controller("can0", ControllerSettings(bitrate=500_000))
    plugin.link_events.announce()
    await wait_until(lambda: len(kernel.snapshot().rules) == 4)
    assert_exactly_once(kernel.snapshot(), "can0", container.host_end)


GOOD = {"NetworkID": NETWORK}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "Networks is missing; give"),
        ({"Networks": None}, "Networks is missing"),
        ({"Networks": {}}, "Networks={} is not a list; give"),
        ({"Networks": [7]}, r"Networks\[0\]=7 is not a JSON object; give"),
        ({"Networks": [GOOD, {}]}, r"Networks\[1\].NetworkID is missing; give"),
        (
            {"Networks": [{"NetworkID": "../x"}]},
            r"Networks\[0\].NetworkID='../x' is not an id; give",
        ),
        (
            {"Networks": [{**GOOD, "Options": []}]},
            r"Networks\[0\].Options=\[\] is not a JSON object",
        ),
        ({"Networks": [{**GOOD, "Endpoints": "x"}]}, r"Networks\[0\].Endpoints='x' is not a list"),
        (
            {"Networks": [{**GOOD, "Endpoints": [{"EndpointID": 1}]}]},
            r"Networks\[0\].Endpoints\[0\].EndpointID=1 is not an id",
        ),
        ({"Networks": [GOOD, GOOD]}, "is given 2 times; give it once"),
        ({"Networks": [], "Prune": "yes"}, "Prune='yes' is not a list of texts; give"),
        ({"Networks": [], "Prune": [7]}, r"Prune=\[7\] is not a list of texts; give"),
    ],
)
async def test_a_wrong_field_is_rejected_by_name_and_changes_nothing(
    engine: Engine, plugin: Plugin, document: object, words: str
) -> None:
    await engine.enable()
    before = plugin.state_bytes
    answer = await post(engine, document)
    assert answer.status == 400
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(answer.err)
    assert plugin.state_bytes == before


async def test_null_counts_as_empty(engine: Engine, plugin: Plugin) -> None:
    nulls = {"NetworkID": NETWORK, "Options": None, "Endpoints": None}
    assert (await post(engine, {"Networks": [nulls], "Prune": None})).ok
    assert set(plugin.declared.networks) == {NETWORK}


async def test_the_command_restores_what_the_engine_lists(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = await start_two(engine)
    await lose_the_state(plugin)
    kernel.flush_rules()
    members = {"dashboard": one.endpoint, "gateway": other.endpoint}
    answers = engine_answers(
        [network_entry(NETWORK, "powertrain", members)], [plugin_entry("evercan:latest")]
    )
    (tmp_path / "sockets/evercan").mkdir(parents=True)
    (tmp_path / "sockets/evercan/evercan.sock").symlink_to(plugin.socket)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with serving(tmp_path / "docker.sock", answers):
        arguments = ["adopt", "--sockets", str(tmp_path / "sockets")]
        assert await asyncio.to_thread(main, arguments) == 0
    assert_exactly_once(kernel.snapshot(), "vcan0", one.host_end, other.host_end)
    assert f"container dashboard: adopted ({one.host_end})" in capsys.readouterr().out
