"""Test ``evercan adopt``: what it reads, sends and prints, and its exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.evercan_host import Host
from tests.support.json_server import ENGINE, Asked, engine_answers, network_entry, plugin_entry


def finding(key: str, name: str, outcome: str, **more: Any) -> dict[str, Any]:
    interface = "Bus" if key == "NetworkID" else "HostEnd"
    return {key: name, interface: "", "Outcome": outcome, "Text": "", "Troubles": [], **more}


def answered(*endpoints: dict[str, Any], strays: Any = (), **more: Any) -> dict[str, Any]:
    network = finding("NetworkID", "net1", "adopted", Bus="vcan0", **more)
    return {
        "Networks": [{**network, "Endpoints": list(endpoints)}],
        "Strays": list(strays),
        "Pairs": [],
    }


POWERTRAIN = network_entry("net1", "powertrain", {"dashboard": "ep1"}, options={"vxcan.id": "0"})
EVERCAN = plugin_entry("evercan:latest")
NOTHING: dict[str, Any] = {"Networks": [], "Strays": [], "Pairs": []}


def test_adopt_sends_what_the_engine_lists_and_reports_it_by_name(host: Host) -> None:
    container = {
        "NetworkSettings": {
            "Networks": {
                "bridge": {"EndpointID": "ep0", "DriverOpts": None},
                "powertrain": {"EndpointID": "ep1", "DriverOpts": {"vxcan.peer": "ecu"}},
            }
        }
    }
    orphaned = {
        **POWERTRAIN,
        "Containers": {**POWERTRAIN["Containers"], "ep-7": {"Name": "x", "EndpointID": "7"}},
    }
    host.engine([orphaned], [EVERCAN], {"id-of-dashboard": container})
    answer = answered(finding("EndpointID", "ep1", "adopted", HostEnd="vxcan1"))
    requests = host.plugin(answer, page="/adopt")
    ended = host.run("adopt")
    assert requests.bodies == [
        {
            "Networks": [
                {
                    "NetworkID": "net1",
                    "Options": {"vxcan.id": "0"},
                    "Endpoints": [{"EndpointID": "ep1", "Options": {"vxcan.peer": "ecu"}}],
                }
            ],
            "Prune": [],
        }
    ]
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "plugin evercan:latest",
        "  network powertrain: adopted (vcan0)",
        "    container dashboard: adopted (vxcan1)",
        "everything is restored",
    ]


def test_adopt_names_the_command_that_restarts_a_container(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answered(finding("EndpointID", "ep1", "restart")), page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 1
    assert "container dashboard: its interface is missing" in ended.out
    assert ended.out.endswith("left to do:\n  docker restart dashboard\n")


@pytest.mark.parametrize(
    "answer",
    [
        answered(Troubles=["load the module"]),
        answered(finding("EndpointID", "ep1", "known", Troubles=["load the module"])),
        answered(finding("EndpointID", "ep1", "refused", Text="load the module")),
    ],
)
def test_adopt_lists_problems_as_left_to_do(host: Host, answer: dict[str, Any]) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answer, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 1
    assert "load the module" in ended.out


def test_adopt_reports_strays_and_prunes_them_only_with_prune(host: Host) -> None:
    host.engine([], [EVERCAN])
    strays = [
        finding("NetworkID", "gone", "reported", Bus="vcan3"),
        finding("NetworkID", "used", "in-use", Bus="vcan4"),
    ]
    pairs = [{"HostEnd": "vxcanaaaaaaaa", "Outcome": "reported", "Text": ""}]
    rules = [{"Interfaces": "can1 <-> vcan0", "Outcome": "reported", "Text": ""}]
    answer = {"Networks": [], "Strays": strays, "Pairs": pairs, "Rules": rules}
    requests = host.plugin(answer, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 0
    assert "stray rules can1 <-> vcan0: no network needs them; --prune removes them" in ended.out
    assert (
        "stray network gone: unknown to the engine; --prune makes the plugin forget it (vcan3)"
        in (ended.out)
    )
    assert [body["Prune"] for body in requests.bodies] == [[]]
    # Only strays that were reported before the engine was read again.
    host.run("adopt", "--prune")
    assert [body["Prune"] for body in requests.bodies[1:]] == [
        [],
        ["gone", "vxcanaaaaaaaa", "can1 <-> vcan0"],
    ]


GHOST = finding("EndpointID", "0123456789abcdef", "reported", HostEnd="vxcan01234567")


def test_a_stray_endpoint_is_reported_and_left_to_do(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answered(finding("EndpointID", "ep1", "known"), GHOST), page="/adopt")
    ended = host.run("adopt")
    assert (ended.status, ended.err) == (1, "")
    assert (
        "    stray endpoint 0123456789ab: unknown to the engine; --prune makes the plugin forget "
        "it (vxcan01234567)\n"
    ) in ended.out
    assert ended.out.endswith("left to do:\n  evercan adopt --prune\n")


def test_prune_removes_stray_endpoints(host: Host) -> None:
    listed = answered(finding("EndpointID", "ep1", "adopted", HostEnd="vxcan1"), GHOST)
    host.engine([POWERTRAIN], [EVERCAN])

    def answer(_: str) -> dict[str, Any]:
        if not requests.bodies[-1]["Prune"]:
            return listed
        assert requests.bodies[-1]["Prune"] == ["0123456789abcdef"]
        return answered(
            finding("EndpointID", "ep1", "known", HostEnd="vxcan1"),
            {**GHOST, "Outcome": "forgotten"},
        )

    requests = host.plugin(answer, page="/adopt")
    ended = host.run("adopt", "--prune", "--json")
    assert (ended.status, ended.err) == (0, "")
    (network,) = json.loads(ended.out)["plugins"][0]["networks"]
    # What was done first is still reported as done.
    assert [container["outcome"] for container in network["containers"]] == ["adopted"]
    assert [stray["outcome"] for stray in network["stray_endpoints"]] == ["forgotten"]
    assert len(requests.bodies) == 2


def test_a_stray_endpoint_that_is_none_any_more_is_not_reported(host: Host) -> None:
    """Its container was being started when the engine was asked first."""
    host.engine([POWERTRAIN], [EVERCAN])

    def answer(_: str) -> dict[str, Any]:
        member = finding("EndpointID", "ep1", "known")
        return answered(member) if requests.bodies[-1]["Prune"] else answered(member, GHOST)

    requests = host.plugin(answer, page="/adopt")
    ended = host.run("adopt", "--prune")
    assert (ended.status, "stray" in ended.out) == (0, False)


def test_adopt_prunes_nothing_without_strays(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    requests = host.plugin(answered(finding("EndpointID", "ep1", "known")), page="/adopt")
    assert host.run("adopt", "--prune").status == 0
    assert [body["Prune"] for body in requests.bodies] == [[]]


def test_adopt_sends_each_enabled_plugin_its_own_networks(host: Host) -> None:
    alias = plugin_entry("wsovalle/vxcan:latest")
    old = network_entry("net2", "old", {}, driver="wsovalle/vxcan:latest")
    others = [
        plugin_entry("other:latest", socket_name="other.sock"),
        plugin_entry("off:1", enabled=False),
    ]
    host.engine([POWERTRAIN, old], [EVERCAN, alias, *others])
    one = host.plugin(NOTHING, page="/adopt")
    two = host.plugin(NOTHING, folder="wsovalle-vxcan", page="/adopt")
    assert host.run("adopt").status == 0

    def sent(asked: Asked) -> list[str]:
        return [network["NetworkID"] for body in asked.bodies for network in body["Networks"]]

    assert (sent(one), sent(two)) == (["net1"], ["net2"])


def test_a_driver_is_accepted_with_and_without_its_tag(host: Host) -> None:
    alias = plugin_entry("wsovalle/vxcan:latest")
    host.engine([POWERTRAIN], [EVERCAN, alias])
    requests = host.plugin(NOTHING, folder="wsovalle-vxcan", page="/adopt")
    for name in ("wsovalle/vxcan:latest", "wsovalle/vxcan"):
        assert host.run("adopt", "--driver", name).status == 0
    assert len(requests.bodies) == 2


def test_adopt_says_to_create_networks_again_whose_driver_has_no_tag(host: Host) -> None:
    bare = network_entry("net3", "body", {}, driver="rustyvxcan")
    host.engine([bare], [plugin_entry("rustyvxcan:latest")])
    host.plugin(NOTHING, folder="rustyvxcan", page="/adopt")
    ended = host.run("adopt", "--driver", "rustyvxcan")
    assert ended.status == 1
    assert "create network body again with driver rustyvxcan:latest" in ended.out


def test_adopt_reads_an_engine_on_tcp(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    port = host.engine_on_tcp([POWERTRAIN], [EVERCAN])
    host.plugin(answered(), page="/adopt")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    assert host.run("adopt").status == 0


def test_adopt_prints_json(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    rejected = finding(
        "EndpointID", "ep1", "refused", Text="the name is taken", Remedy="rename the other"
    )
    stray = finding("NetworkID", "gone", "reported", Bus="vcan3")
    pair = {"HostEnd": "vxcanaaaaaaaa", "Outcome": "reported", "Text": ""}
    rules = {"Interfaces": "can1 <-> vcan0", "Outcome": "reported", "Text": ""}
    host.plugin(
        {**answered(rejected, strays=[stray]), "Pairs": [pair], "Rules": [rules]}, page="/adopt"
    )
    ended = host.run("adopt", "--json")
    assert (ended.status, ended.err) == (1, "")
    document = json.loads(ended.out)
    assert document["schema"] == 1
    assert document["to_do"] == ["container dashboard: the name is taken; rename the other"]
    (plugin,) = document["plugins"]
    (network,) = plugin["networks"]
    assert (plugin["plugin"], network["name"], network["outcome"], network["interface"]) == (
        "evercan:latest",
        "powertrain",
        "adopted",
        "vcan0",
    )
    assert network["containers"] == [
        {
            "name": "dashboard",
            "id": "ep1",
            "interface": "",
            "outcome": "refused",
            "text": "the name is taken",
            "remedy": "rename the other",
            "problems": [],
        }
    ]
    assert [found["id"] for found in plugin["strays"]] == ["gone"]
    assert plugin["pairs"] == [{"interface": "vxcanaaaaaaaa", "outcome": "reported"}]
    assert plugin["rules"] == [{"interfaces": "can1 <-> vcan0", "outcome": "reported"}]


# --- errors --------------------------------------------------------


def test_a_missing_engine_is_an_error(host: Host) -> None:
    ended = host.run("adopt")
    assert ended.status == 2
    assert "no Docker engine answers" in ended.err
    assert "systemctl start docker" in ended.err


@pytest.mark.parametrize(
    "address", ["npipe:////./pipe/docker", "unix://", "tcp://h:x", "x://y", "ssh://a:b"]
)
def test_an_invalid_address_is_an_error_that_names_the_variable(
    host: Host, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    ended = host.run("adopt")
    assert ended.status == 2
    assert address in ended.err
    assert "DOCKER_HOST" in ended.err


def test_a_missing_permission_is_an_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_permission(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("socket.socket.connect", no_permission)
    ended = host.run("adopt")
    assert ended.status == 2
    assert "as root (sudo)" in ended.err


@pytest.mark.parametrize(
    ("plugins", "arguments", "words"),
    [
        ([], [], "evercan install"),
        ([plugin_entry("other:latest", socket_name="other.sock")], [], "no evercan plugin named"),
        (
            [EVERCAN],
            ["--driver", "x/y:1"],
            "no evercan plugin named x/y:1 (plugins: evercan:latest)",
        ),
        (
            [plugin_entry("evercan:latest", enabled=False)],
            [],
            "docker plugin enable evercan:latest",
        ),
    ],
)
def test_a_missing_or_disabled_plugin_is_an_error(
    host: Host, plugins: list[Any], arguments: list[str], words: str
) -> None:
    host.engine([], plugins)
    ended = host.run("adopt", *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_plugin_that_is_not_on_this_host_is_an_error(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    ended = host.run("adopt")
    assert ended.status == 2
    assert "is enabled and does not answer" in ended.err
    assert "journalctl" in ended.err


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (404, {"Err": "no call"}, "older than this command"),
        (500, {"Err": "the disk is full"}, "rejects the request: the disk is full"),
        (200, b"<html>", "gives an answer that is not valid"),
    ],
)
def test_a_rejection_by_the_plugin_is_an_error(
    host: Host, status: int, answer: Any, words: str
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answer, status=status, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 2
    assert words in ended.err


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, {"message": "out of order"}, "rejects the request: out of order"),
        (200, b"\x15\x03\x01 TLS", "DOCKER_TLS_VERIFY"),
    ],
)
def test_an_invalid_answer_of_the_engine_is_an_error(
    host: Host, status: int, answer: Any, words: str
) -> None:
    host.engine_that({**ENGINE, "/plugins": (status, answer)})
    ended = host.run("adopt")
    assert ended.status == 2
    assert words in ended.err


def test_a_network_removed_in_between_is_left_out(host: Host) -> None:
    answers = engine_answers([POWERTRAIN], [EVERCAN])
    del answers["/networks/net1"]
    host.engine_that(answers)
    requests = host.plugin(NOTHING, page="/adopt")
    assert host.run("adopt").status == 0
    assert requests.bodies[0]["Networks"] == []
