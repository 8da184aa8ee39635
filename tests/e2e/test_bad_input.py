"""Bad input: a clear error that names the thing, and nothing half done."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from docker.errors import APIError
from docker.types import IPAMConfig

from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed


@pytest.fixture
def untouched(testbed: Testbed, plugin: PluginProcess) -> Iterator[None]:
    """The host's interfaces, its rules and the plugin's record are as before."""

    def look() -> object:
        links = testbed.host("ls", "/sys/class/net").stdout.decode().split()
        # Other networks' bridges and the like come and go by themselves.
        can = [name for name in links if "can" in name]
        status = plugin.ask("/status")[1]
        return can, testbed.host("cangw", "-L", check=False).stdout, status["networks"]

    before = look()
    yield
    assert look() == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vxcan.id": "abc"}, ["vxcan.id", "'abc'", "digits"]),
        ({"vxcan.dev": "averyverylongname"}, ["vxcan.dev", "averyverylongname", "15"]),
        ({"vxcan.dev": "can/"}, ["vxcan.dev", "'can/'", "character"]),
        ({"vxcan.dve": "can"}, ["vxcan.dve", "unknown", "vxcan.dev, vxcan.id, vxcan.peer"]),
        ({"vxcan.dev": ""}, ["vxcan.dev", "empty"]),
        ({"vxcan.peer": ""}, ["vxcan.peer", "empty"]),
        ({"vxcan.peer": "averyverylongone"}, ["vxcan.peer", "averyverylongone", "15"]),
        ({"vxcan.dev": "docker", "vxcan.id": "0"}, ["docker0", "no CAN interface"]),
    ],
)
def test_docker_network_create_says_which_option_is_wrong(
    testbed: Testbed, options: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(APIError) as refusal:
        testbed.client().networks.create(
            "wrong", driver=NAME, options=options, ipam=IPAMConfig(driver="null")
        )
    for each in words:
        assert each in str(refusal.value.explanation)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("CreateNetwork", b"", ["empty", "again"]),
        ("CreateNetwork", b"{not json", ["no JSON"]),
        ("CreateNetwork", b"[]", ["list", "object"]),
        ("CreateNetwork", b"{}", ["NetworkID", "missing"]),
        ("Join", b'{"NetworkID": "a"}', ["EndpointID", "missing"]),
        ("Join", b'{"NetworkID": 7, "EndpointID": "e"}', ["NetworkID=7"]),
        ("Join", b'{"NetworkID": "feed", "EndpointID": "e"}', ["'feed'", "not on record"]),
        (
            "CreateEndpoint",
            b'{"NetworkID": "feed", "EndpointID": "e"}',
            ["'feed'", "not on record"],
        ),
        (
            "CreateEndpoint",
            json.dumps(
                {
                    "NetworkID": "feed",
                    "EndpointID": "e",
                    "Interface": {"MacAddress": "02:42:ac:11:00:02"},
                }
            ).encode(),
            ["MacAddress", "02:42:ac:11:00:02", "remove"],
        ),
    ],
)
def test_the_protocol_says_which_field_is_wrong(
    plugin: PluginProcess, verb: str, body: bytes, words: list[str]
) -> None:
    if not body:
        body = b" "  # an empty body, as far as JSON goes; ask() takes b"" for a GET
    status, answer = plugin.ask(f"/NetworkDriver.{verb}", body)
    assert status == 400
    for each in words:
        assert each in answer["Err"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("verb", ["Leave", "DeleteEndpoint", "DeleteNetwork"])
def test_taking_away_what_is_unknown_succeeds(plugin: PluginProcess, verb: str) -> None:
    body = b'{"NetworkID": "feed", "EndpointID": "beef"}'
    assert plugin.ask(f"/NetworkDriver.{verb}", body) == (200, {})
