"""A wrong call is rejected with the name, the value and the remedy, and changes nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.engine import Engine, engine_id
from tests.support.plugin import Plugin
from tests.support.shared_kernel import SharedKernel

NETWORK, OTHER, DASHBOARD = map(engine_id, ("powertrain", "diagnosis", "dashboard"))

NEEDS_NETWORK = ("CreateNetwork", "DeleteNetwork")
NEEDS_ENDPOINT = ("CreateEndpoint", "EndpointOperInfo", "Join", "Leave", "DeleteEndpoint")
WITH_BODY = ("GwAllocCheck", *NEEDS_NETWORK, *NEEDS_ENDPOINT)
UNUSED_VERBS = (
    "ProgramExternalConnectivity",
    "RevokeExternalConnectivity",
    "DiscoverNew",
    "DiscoverDelete",
    "AllocateNetwork",
    "FreeNetwork",
)


async def rejected(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, verb: str, body: bytes
) -> str:
    """Make a wrong call on a host with a network; return its Err if it changed nothing."""
    await engine.create_network(NETWORK)
    before = (kernel.snapshot(), plugin.state_bytes, list(kernel.taken))
    answer = await engine.send(verb, body)
    assert answer.status == 400
    assert (kernel.snapshot(), plugin.state_bytes, kernel.taken) == before
    await engine.start(NETWORK, DASHBOARD)
    return answer.err


@pytest.mark.parametrize("verb", WITH_BODY)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "body is empty.*run the command again", id="empty, as in a retry"),
        pytest.param(b" \r\n", "body is empty", id="blank"),
        pytest.param(b'{"NetworkID": ', "not JSON", id="cut short"),
        pytest.param(b"\xff\xfe{}", "not JSON", id="not UTF-8"),
        pytest.param(b"[]", "list, not an object", id="list"),
        pytest.param(b"null", "not an object", id="null"),
        pytest.param(b'"text"', "str, not an object", id="text"),
        pytest.param(b"NaN", "not JSON", id="NaN"),
    ],
)
async def test_a_body_that_is_not_an_object_is_rejected(
    engine: Engine, verb: str, body: bytes, words: str
) -> None:
    answer = await engine.send(verb, body)
    assert answer.status == 400
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(answer.err)


@pytest.mark.parametrize("verb", UNUSED_VERBS)
async def test_calls_for_other_kinds_of_network_get_an_empty_answer(
    engine: Engine, verb: str
) -> None:
    assert await engine.call(verb, NetworkID=NETWORK, EndpointID=DASHBOARD, Options={}) == {}


BAD_IDS = [
    pytest.param(None, id="null"),
    pytest.param("", id="empty"),
    pytest.param(7, id="number"),
    pytest.param(True, id="bool"),
    pytest.param(["a"], id="list"),
    pytest.param({"a": 1}, id="object"),
    pytest.param("a b", id="blank inside"),
    pytest.param("../../etc", id="path"),
    pytest.param("a\n", id="newline"),
    pytest.param("ünïcode", id="not ASCII"),
    pytest.param("a" * 129, id="too long"),
]


@pytest.mark.parametrize("value", BAD_IDS)
@pytest.mark.parametrize("verb", NEEDS_NETWORK)
async def test_an_invalid_network_id_is_rejected_by_name(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, verb: str, value: object
) -> None:
    err = await rejected(engine, kernel, plugin, verb, orjson.dumps({"NetworkID": value}))
    assert "NetworkID" in err
    assert "give" in err


@pytest.mark.parametrize("value", BAD_IDS)
@pytest.mark.parametrize("verb", NEEDS_ENDPOINT)
async def test_an_invalid_endpoint_id_is_rejected_by_name(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, verb: str, value: object
) -> None:
    body = orjson.dumps({"NetworkID": NETWORK, "EndpointID": value})
    assert "EndpointID" in await rejected(engine, kernel, plugin, verb, body)


@pytest.mark.parametrize("missing", ["NetworkID", "EndpointID"])
@pytest.mark.parametrize("verb", NEEDS_ENDPOINT)
async def test_a_missing_field_is_rejected_by_name(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, verb: str, missing: str
) -> None:
    fields = {"NetworkID": NETWORK, "EndpointID": DASHBOARD}
    del fields[missing]
    err = await rejected(engine, kernel, plugin, verb, orjson.dumps(fields))
    assert f"{missing} is missing" in err


# Wrong options, and the words that their errors must have.
BAD_NETWORK_OPTIONS: list[Any] = [
    pytest.param({"vxcan.id": "a/b"}, ["vxcan.id='a/b'", "character", "vxcan.id=main"], id="id"),
    pytest.param({"vxcan.id": ""}, ["vxcan.id=''", "is empty", "vxcan.id=auto"], id="empty id"),
    pytest.param({"vxcan.id": ".."}, ["vxcan.id='..'", "not a name"], id="path"),
    pytest.param({"vxcan.id": "m" * 12}, ["16 bytes", "at most 15", "vxcan.id"], id="long name"),
    pytest.param(
        {"vxcan.id": "auto", "vxcan.dev": "can"},
        ["vxcan.id='auto'", "controller", "another vxcan.dev"],
        id="number of a controller",
    ),
    pytest.param({"vxcan.id": " 1"}, ["vxcan.id=' 1'"], id="blank in id"),
    pytest.param({"vxcan.id": "٣"}, ["vxcan.id='٣'"], id="digits of another script"),
    pytest.param({"vxcan.id": None}, ["vxcan.id=None", "not text"], id="null id"),
    pytest.param({"vxcan.id": True}, ["vxcan.id=True", "not text"], id="bool id"),
    pytest.param({"vxcan.id": ["1"]}, ["vxcan.id", "not text", "quoted"], id="list id"),
    pytest.param(
        {"vxcan.dev": "averyveryverylongname"},
        ["averyveryverylongname0", "22 bytes", "at most 15", "change vxcan.dev"],
        id="long name",
    ),
    pytest.param({"vxcan.id": "1" * 12}, ["16 bytes", "at most 15"], id="long id"),
    pytest.param({"vxcan.dev": "a/b"}, ["a/b0", "character"], id="slash"),
    pytest.param({"vxcan.dev": "a:b"}, ["a:b0", "character"], id="colon"),
    pytest.param({"vxcan.dev": "can%d"}, ["can%d0", "character"], id="pattern"),
    pytest.param({"vxcan.dev": "can "}, ["character"], id="blank"),
    pytest.param({"vxcan.dev": "can\n"}, ["character"], id="newline"),
    pytest.param({"vxcan.dev": "cän"}, ["cän0", "character"], id="umlaut"),
    pytest.param({"vxcan.dev": ""}, ["vxcan.dev=''", "empty", "give one"], id="empty dev"),
    pytest.param({"vxcan.dev": 5.5}, ["vxcan.dev=5.5", "not text"], id="fraction as dev"),
    pytest.param({"vxcan.peer": ""}, ["vxcan.peer=''", "empty", "choose"], id="empty peer"),
    pytest.param({"vxcan.peer": "a/b"}, ["vxcan.peer='a/b'", "character"], id="slash in peer"),
    pytest.param(
        {"vxcan.peer": "p" * 15}, ["vxcan.peer", "16 bytes", "engine appends"], id="long peer"
    ),
    pytest.param({"vxcan.per": "can"}, ["vxcan.per", "unknown", "vxcan.peer"], id="misspelled"),
    pytest.param({"vxcan.": "x"}, ["unknown option", "vxcan.dev"], id="no key"),
]


def create_network_body(generic: object) -> bytes:
    return orjson.dumps({"NetworkID": OTHER, "Options": {"com.docker.network.generic": generic}})


@pytest.mark.parametrize(("options", "words"), BAD_NETWORK_OPTIONS)
async def test_a_wrong_network_option_is_rejected_with_name_value_and_remedy(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: object, words: list[str]
) -> None:
    err = await rejected(engine, kernel, plugin, "CreateNetwork", create_network_body(options))
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize("options", ["text", ["list"], 7, True])
async def test_options_that_are_not_an_object_are_rejected(
    engine: Engine, kernel: SharedKernel, plugin: Plugin, options: object
) -> None:
    err = await rejected(engine, kernel, plugin, "CreateNetwork", create_network_body(options))
    assert "com.docker.network.generic" in err


async def test_options_may_be_null(engine: Engine) -> None:
    assert (await engine.send("CreateNetwork", create_network_body(None))).ok
    assert (await engine.post("CreateNetwork", NetworkID=NETWORK, Options=None)).ok


BAD_ENDPOINTS: list[Any] = [
    pytest.param({"Options": {"vxcan.peer": ""}}, ["vxcan.peer=''", "empty"], id="empty peer"),
    pytest.param({"Options": {"vxcan.peer": 3.5}}, ["vxcan.peer=3.5", "text"], id="peer not text"),
    pytest.param({"Options": {"vxcan.peer": "p" * 15}}, ["vxcan.peer", "16 bytes"], id="long peer"),
    pytest.param({"Options": {"vxcan.id": "1"}}, ["vxcan.id", "unknown"], id="a network's option"),
    pytest.param(
        {"Options": {"com.docker.network.endpoint.ifname": "can0"}},
        [
            "com.docker.network.endpoint.ifname",
            "29.8 ignore it",
            "vxcan.peer",
            "EVERCAN_ENGINE_IFNAME",
        ],
        id="ifname",
    ),
    pytest.param({"Options": "text"}, ["Options='text'", "not a JSON object"], id="not an object"),
    pytest.param(
        {"Interface": {"MacAddress": "02:42:ac:11:00:02"}},
        [
            *("MacAddress", "02:42:ac:11:00:02", "remove --mac-address", "default: mac_address:"),
            "--network name=NETWORK,mac-address=",
        ],
        id="MAC address",
    ),
    pytest.param({"Interface": 7}, ["Interface=7"], id="no interface"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_ENDPOINTS)
async def test_a_wrong_endpoint_is_rejected_with_name_value_and_remedy(
    engine: Engine,
    kernel: SharedKernel,
    plugin: Plugin,
    fields: dict[str, object],
    words: list[str],
) -> None:
    body = orjson.dumps({"NetworkID": NETWORK, "EndpointID": OTHER, **fields})
    err = await rejected(engine, kernel, plugin, "CreateEndpoint", body)
    assert [word for word in words if word not in err] == []


async def test_a_bus_that_is_not_a_can_interface_is_rejected(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    kernel.make("eth0", "", is_can=False, up=True)
    body = create_network_body({"vxcan.dev": "eth"})
    err = await rejected(engine, kernel, plugin, "CreateNetwork", body)
    assert "eth0" in err
    assert "choose another vxcan.dev" in err


async def test_a_containers_interface_is_rejected_as_a_bus(
    engine: Engine, kernel: SharedKernel, plugin: Plugin
) -> None:
    await engine.create_network(NETWORK)
    await engine.create_endpoint(NETWORK, "12345678")
    answer = await engine.send(
        "CreateNetwork", create_network_body({"vxcan.dev": "vxcan", "vxcan.id": "12345678"})
    )
    assert answer.status == 400
    assert "a container's CAN interface" in answer.err
    assert OTHER not in plugin.declared.networks
    assert "vxcan12345678" in kernel.snapshot().links


async def test_a_long_value_makes_a_short_error(engine: Engine) -> None:
    answer = await engine.post("Join", NetworkID="x" * 100_000, EndpointID=DASHBOARD)
    assert answer.status == 400
    assert len(answer.err) < 1000


@pytest.mark.parametrize("option", ["vxcan.dev", "vxcan.id", "vxcan.peer", "vxcan.unknown"])
async def test_a_long_option_makes_a_short_error(engine: Engine, option: str) -> None:
    answer = await engine.send("CreateNetwork", create_network_body({option: "1" * 100_000}))
    assert answer.status == 400
    assert len(answer.err) < 1000
