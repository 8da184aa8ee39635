"""Bad input is rejected with an error that names the field, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from docker.errors import APIError
from docker.types import IPAMConfig

from lab.plugin_process import NAME, PluginProcess
from lab.testbed import Testbed

pytestmark = pytest.mark.usefixtures("host_is_unchanged")


@pytest.fixture(scope="module")
def host_is_unchanged(testbed: Testbed, plugin: PluginProcess) -> Iterator[None]:
    """Assert that these tests change no interface, no rule and no network of the plugin."""

    def state() -> object:
        links = testbed.host("ls", "/sys/class/net").stdout.decode().split()
        # Bridges of other networks may appear and disappear meanwhile.
        can_links = [name for name in links if "can" in name]
        status = plugin.ask("/status")[1]
        return can_links, testbed.host("cangw", "-L", check=False).stdout, status["networks"]

    before = state()
    yield
    assert state() == before


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
def test_docker_network_create_names_the_invalid_option(
    testbed: Testbed, options: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(APIError) as rejection:
        testbed.client().networks.create(
            "wrong", driver=NAME, options=options, ipam=IPAMConfig(driver="null")
        )
    explanation = str(rejection.value.explanation)
    assert [word for word in words if word not in explanation] == [], explanation


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("CreateNetwork", b"", ["empty", "again"]),
        ("CreateNetwork", b"{not json", ["not JSON"]),
        ("CreateNetwork", b"[]", ["list", "object"]),
        ("CreateNetwork", b"{}", ["NetworkID", "missing"]),
        ("Join", b'{"NetworkID": "a"}', ["EndpointID", "missing"]),
        ("Join", b'{"NetworkID": 7, "EndpointID": "e"}', ["NetworkID=7"]),
        ("Join", b'{"NetworkID": "feed", "EndpointID": "e"}', ["'feed'", "not in evercan's state"]),
        (
            "CreateEndpoint",
            b'{"NetworkID": "feed", "EndpointID": "e"}',
            ["'feed'", "not in evercan's state"],
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
def test_a_rejected_call_names_the_invalid_field(
    plugin: PluginProcess, verb: str, body: bytes, words: list[str]
) -> None:
    if not body:
        body = b" "  # an empty body as JSON sees it; ask() sends a GET for b""
    status, answer = plugin.ask(f"/NetworkDriver.{verb}", body)
    assert status == 400
    assert [word for word in words if word not in answer["Err"]] == [], answer


@pytest.mark.parametrize("verb", ["Leave", "DeleteEndpoint", "DeleteNetwork"])
def test_removing_something_unknown_succeeds(plugin: PluginProcess, verb: str) -> None:
    body = b'{"NetworkID": "feed", "EndpointID": "beef"}'
    assert plugin.ask(f"/NetworkDriver.{verb}", body) == (200, {})
