"""What users may ask for, as the engine sends it: numbers, names, ports, shared buses."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from evercan.log.writer import TextFormatter
from evercan.model.controller import ControllerState
from evercan.model.problems import ProblemKind
from evercan.values import replace
from tests.support.engine import Engine, EngineError, engine_id
from tests.support.http import Answer, exchange, request
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel
from tests.support.waiting import wait_until

ONE, OTHER, THIRD = map(engine_id, ("powertrain", "body", "diagnosis"))
DASHBOARD, LOGGER = map(engine_id, ("dashboard", "logger"))
IFNAME = "com.docker.network.endpoint.ifname"
PORTMAP = "com.docker.network.portmap"


class Lines(logging.Handler):
    """Collects lines as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def having(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]


@pytest.fixture
def log() -> Iterator[Lines]:
    lines = Lines()
    logger = logging.getLogger("evercan")
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(lines)


async def page(plugin: Plugin, name: str) -> Answer:
    answer = await exchange(plugin.socket, request(name, b"", method="GET"))
    assert answer is not None
    return answer


async def post_adopt(plugin: Plugin, *networks: dict[str, Any]) -> list[dict[str, Any]]:
    body = orjson.dumps({"Networks": networks})
    answer = await exchange(plugin.socket, request("adopt", body))
    assert answer is not None
    assert answer.ok, answer.err
    found: list[dict[str, Any]] = answer.document["Networks"]
    return found


# --- numbers and names of buses ----------------------------------------------------


async def test_a_bus_may_have_a_name_instead_of_a_number(
    engine: Engine, kernel: SharedKernel
) -> None:
    await engine.create_network(ONE, dev="can_", id="main")
    assert kernel.link("can_main").up


async def test_auto_gives_each_network_a_bus_of_its_own_and_keeps_it(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("vcan1", "vcan", up=True)
    for network in (ONE, OTHER, ONE):  # the engine repeats a call
        await engine.create_network(network, id="auto")
    assert [network.bus for network in plugin.declared.networks.values()] == ["vcan0", "vcan2"]
    await plugin.reboot("boot-2")
    await engine.enable()
    await engine.create_network(THIRD, id="auto")
    buses = {network.id: network.bus for network in plugin.declared.networks.values()}
    assert buses == {ONE: "vcan0", OTHER: "vcan2", THIRD: "vcan1"}
    assert {"vcan0", "vcan1", "vcan2"} <= set(kernel.snapshot().links)


async def test_a_failed_creation_with_auto_is_rolled_back(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.modules.discard("vcan")
    with pytest.raises(EngineError, match="no vcan"):
        await engine.create_network(ONE, id="auto")
    assert not plugin.declared.networks


# --- adoption of networks with auto ------------------------------------------------


def claim(network: str, *endpoints: str) -> dict[str, Any]:
    return {
        "NetworkID": network,
        "Options": {"vxcan.id": "auto"},
        "Endpoints": [{"EndpointID": endpoint} for endpoint in endpoints],
    }


async def lose_the_state(plugin: Plugin) -> None:
    await plugin.stop()
    shutil.rmtree(plugin.state_folder)
    await plugin.start()


async def test_a_lost_number_is_found_by_the_rules_of_running_containers(
    engine: Engine, plugin: Plugin
) -> None:
    for network in (ONE, OTHER):
        await engine.create_network(network, id="auto")
    await engine.start(OTHER, DASHBOARD)
    await engine.start(ONE, LOGGER)
    await lose_the_state(plugin)
    claims = claim(OTHER, DASHBOARD), claim(ONE, LOGGER)
    for outcome in ("adopted", "known"):
        found = await post_adopt(plugin, *claims)
        assert [(item["Bus"], item["Outcome"]) for item in found] == [
            ("vcan1", outcome),
            ("vcan0", outcome),
        ]
    assert all(network.owns_bus for network in plugin.declared.networks.values())
    await engine.create_network(ONE, id="auto")  # the engine repeats a call


async def test_a_lost_number_is_found_if_only_one_interface_can_have_it(
    engine: Engine, plugin: Plugin
) -> None:
    await engine.create_network(ONE)
    await engine.create_network(OTHER, id="auto")
    await lose_the_state(plugin)
    found = await post_adopt(plugin, claim(OTHER), {"NetworkID": ONE})
    assert [item["Bus"] for item in found] == ["vcan1", "vcan0"]


async def test_a_lost_number_that_nothing_shows_is_reported_with_its_remedy(
    engine: Engine, plugin: Plugin
) -> None:
    for network in (ONE, OTHER):
        await engine.create_network(network, id="auto")
    await lose_the_state(plugin)
    found = await post_adopt(plugin, claim(ONE), claim(OTHER))
    assert [item["Outcome"] for item in found] == ["refused", "refused"]
    assert "number that was chosen for it is lost" in found[0]["Text"]
    assert "create it again" in found[0]["Remedy"]


# --- names that the engine applies ---------------------------------------------------


@pytest.fixture
async def naming(tmp_path: Path, kernel: SharedKernel) -> AsyncIterator[Plugin]:
    """A plugin whose operator says that the engine applies names."""
    plugin = Plugin(tmp_path, kernel)
    plugin.engine_ifname = True
    await plugin.start()
    yield plugin
    await plugin.uninstall()


async def test_join_answers_the_name_that_the_engine_is_to_give(
    naming: Plugin, kernel: SharedKernel
) -> None:
    engine = Engine(naming.socket, kernel, applies_names=True)
    await engine.create_network(ONE)
    await engine.create_endpoint(ONE, DASHBOARD, **{IFNAME: "powertrain"})
    assert naming.declared.endpoints[DASHBOARD].ifname == "powertrain"
    joined = await engine.join(ONE, DASHBOARD)
    end = f"vxcan{DASHBOARD[:8]}"
    assert joined["InterfaceName"] == {
        "SrcName": f"{end}p",
        "DstPrefix": "vcanp",
        "DstName": "powertrain",
    }
    member = engine.move_inside(ONE, DASHBOARD, joined)
    naming.link_events.announce()
    assert list(kernel.inside(member.nsid)) == ["powertrain"]
    assert (await page(naming, "health")).document["warnings"] == []


async def test_a_name_outlives_a_restart_between_two_calls(
    naming: Plugin, kernel: SharedKernel
) -> None:
    engine = Engine(naming.socket, kernel, applies_names=True)
    await engine.create_network(ONE)
    await engine.create_endpoint(ONE, DASHBOARD, **{IFNAME: "powertrain"})
    await naming.restart()
    joined = await engine.join(ONE, DASHBOARD)
    assert joined["InterfaceName"]["DstName"] == "powertrain"


async def test_an_endpoint_without_a_name_is_answered_as_before(
    naming: Plugin, kernel: SharedKernel
) -> None:
    engine = Engine(naming.socket, kernel, applies_names=True)
    await engine.create_network(ONE)
    await engine.create_endpoint(ONE, DASHBOARD)
    joined = await engine.join(ONE, DASHBOARD)
    assert "DstName" not in joined["InterfaceName"]


async def test_a_name_that_the_engine_ignored_is_a_warning(
    naming: Plugin, kernel: SharedKernel
) -> None:
    engine = Engine(naming.socket, kernel)
    await engine.create_network(ONE)
    await engine.start(ONE, DASHBOARD, **{IFNAME: "powertrain"})
    naming.link_events.announce()
    await wait_until(lambda: naming.declared.endpoints[DASHBOARD].phase == "joined")
    (warning,) = (await page(naming, "health")).document["warnings"]
    assert warning["kind"] == ProblemKind.IFNAME_IGNORED
    assert "vcanp0 in its container, not powertrain" in warning["text"]
    assert "EVERCAN_ENGINE_IFNAME=off" in warning["remedy"]


# --- published ports -----------------------------------------------------------------


PORT = {"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}


@pytest.mark.parametrize("calls", ["both, as up to 27", "Join, as from 28 on"])
async def test_published_ports_are_logged_once(engine: Engine, log: Lines, calls: str) -> None:
    ports = {PORTMAP: [PORT]}
    await engine.create_network(ONE)
    await engine.create_endpoint(ONE, DASHBOARD, **(ports if calls.startswith("both") else {}))
    await engine.join(ONE, DASHBOARD, **ports)
    await engine.start(ONE, LOGGER)
    (line,) = log.having("publishes ports")
    assert "8080->80/tcp" in line
    assert "add an IP network" in line
    assert line.startswith("WARNING")
    assert DASHBOARD[:12] in line


async def test_published_ports_are_logged_again_for_a_new_endpoint_of_the_same_id(
    engine: Engine, log: Lines
) -> None:
    await engine.create_network(ONE)
    for _ in range(2):
        await engine.stop(await engine.start(ONE, DASHBOARD, **{PORTMAP: [PORT]}))
    assert len(log.having("publishes ports")) == 2


# --- shared buses --------------------------------------------------------------------


async def test_a_network_that_shares_a_bus_unasked_is_logged_and_shown(
    engine: Engine, plugin: Plugin, log: Lines
) -> None:
    await engine.create_network(ONE)
    assert not log.having("shares")
    await engine.create_network(OTHER)
    (line,) = log.having(f"shares vcan0 with {ONE[:12]}")
    assert line.startswith("WARNING")
    assert "vxcan.id=auto" in line
    await engine.create_network(THIRD, id="7")
    shown = (await page(plugin, "status")).document["networks"]
    shares = {network["network"]: network["shares"] for network in shown}
    assert shares == {ONE: [OTHER], OTHER: [ONE], THIRD: []}


async def test_a_network_that_names_a_shared_bus_is_logged_without_a_warning(
    engine: Engine, log: Lines
) -> None:
    await engine.create_network(ONE, id="7")
    await engine.create_network(OTHER, id="7")
    (line,) = log.having(f"shares vcan7 with {ONE[:12]}")
    assert line.startswith("INFO")


# --- texts that others choose ----------------------------------------------------------

FORGED = "a\nERROR   Health check FAILED: the bus interface can0 is gone\x1b[2J\u202e"


@pytest.mark.parametrize("prefix", ["", "vxcan."])
async def test_the_name_of_an_option_forges_no_line_and_moves_no_cursor(
    engine: Engine, log: Lines, prefix: str
) -> None:
    answer = await engine.post(
        "CreateNetwork",
        NetworkID=ONE,
        Options={"com.docker.network.generic": {f"{prefix}{FORGED}": FORGED}},
    )
    assert (answer.err or "").isprintable()
    assert all(line.isprintable() for line in log.lines)
    assert log.having("a\\nERROR")


@pytest.mark.parametrize("body", [b'{"NetworkID": "\\u001b[2J"}', b"[\x1b]"])
@pytest.mark.parametrize("verb", ["CreateNetwork", "CreateEndpoint", "Join", "x%1b%0ay.z"])
async def test_an_error_of_any_call_is_printable(engine: Engine, verb: str, body: bytes) -> None:
    answer = await engine.send(verb, body)
    assert answer.err
    assert answer.err.isprintable()


async def test_an_interface_whose_name_is_no_utf8_breaks_no_page(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.plug("can0")
    await engine.create_network(ONE, dev="can", id="0", kind="physical", bitrate="500000")
    index = kernel.link("can0").index
    odd = b"b\xfcs\x1b".decode(errors="surrogateescape")
    kernel._links[index] = replace(kernel.link("can0"), name=odd, altnames=frozenset({"can0"}))
    kernel.alter(index, state=ControllerState.BUS_OFF)
    for _ in range(2):
        plugin.link_events.announce()
        health = await page(plugin, "health")
        assert health.status == 503
        assert ProblemKind.BUS_OFF in [item["kind"] for item in health.document["reasons"]]
        assert (await page(plugin, "status")).document["networks"][0]["bus"] == "can0"
        assert (await page(plugin, "metrics")).status == 200
        await plugin.restart()  # what it has written is read again


async def test_a_foreign_interface_whose_name_is_no_utf8_is_no_obstacle(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make(b"b\xfcs\x1b".decode(errors="surrogateescape"), "vcan", up=True)
    await engine.create_network(ONE)
    await engine.start(ONE, DASHBOARD)
    assert (await page(plugin, "health")).status == 200
    assert (await page(plugin, "status")).status == 200
