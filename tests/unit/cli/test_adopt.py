"""``evercan adopt``: what it reads, what it sends, what it says, and how it ends."""

from __future__ import annotations

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


def test_everything_that_the_engine_lists_is_sent_and_reported_by_name(host: Host) -> None:
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
    told = host.plugin(answer, page="/adopt")
    ended = host.run("adopt")
    assert told.bodies == [
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
        "all is on record",
    ]


def test_a_container_that_must_be_restarted_is_named_with_the_command(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answered(finding("EndpointID", "ep1", "restart")), page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 1
    assert "container dashboard: its interface is not there" in ended.out
    assert ended.out.endswith("left to do:\n  docker restart dashboard\n")


@pytest.mark.parametrize(
    "answer",
    [
        answered(Troubles=["load the module"]),
        answered(finding("EndpointID", "ep1", "known", Troubles=["load the module"])),
        answered(finding("EndpointID", "ep1", "refused", Text="load the module")),
    ],
)
def test_what_is_not_well_is_left_to_do(host: Host, answer: dict[str, Any]) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answer, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 1
    assert "load the module" in ended.out


def test_strays_are_named_and_pruned_only_if_asked(host: Host) -> None:
    host.engine([], [EVERCAN])
    strays = [
        finding("NetworkID", "gone", "reported", Bus="vcan3"),
        finding("NetworkID", "used", "in-use", Bus="vcan4"),
    ]
    pairs = [{"HostEnd": "vxcanaaaaaaaa", "Outcome": "reported", "Text": ""}]
    told = host.plugin({"Networks": [], "Strays": strays, "Pairs": pairs}, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 0
    assert "stray gone: on record, unknown to the engine; --prune forgets it (vcan3)" in ended.out
    assert [each["Prune"] for each in told.bodies] == [[]]
    # Only what was a stray already before the engine was asked once more.
    host.run("adopt", "--prune")
    assert [each["Prune"] for each in told.bodies[1:]] == [[], ["gone", "vxcanaaaaaaaa"]]


def test_nothing_is_pruned_where_nothing_is_stray(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    told = host.plugin(answered(finding("EndpointID", "ep1", "known")), page="/adopt")
    assert host.run("adopt", "--prune").status == 0
    assert [each["Prune"] for each in told.bodies] == [[]]


def test_every_enabled_evercan_is_given_its_own_networks(host: Host) -> None:
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
        return [each["NetworkID"] for body in asked.bodies for each in body["Networks"]]

    assert (sent(one), sent(two)) == (["net1"], ["net2"])


def test_a_driver_can_be_named_with_and_without_its_tag(host: Host) -> None:
    alias = plugin_entry("wsovalle/vxcan:latest")
    host.engine([POWERTRAIN], [EVERCAN, alias])
    told = host.plugin(NOTHING, folder="wsovalle-vxcan", page="/adopt")
    for name in ("wsovalle/vxcan:latest", "wsovalle/vxcan"):
        assert host.run("adopt", "--driver", name).status == 0
    assert len(told.bodies) == 2


def test_networks_whose_driver_has_no_tag_are_to_be_created_again(host: Host) -> None:
    bare = network_entry("net3", "body", {}, driver="rustyvxcan")
    host.engine([bare], [plugin_entry("rustyvxcan:latest")])
    host.plugin(NOTHING, folder="rustyvxcan", page="/adopt")
    ended = host.run("adopt", "--driver", "rustyvxcan")
    assert ended.status == 1
    assert "create network body again with driver rustyvxcan:latest" in ended.out


def test_an_engine_on_tcp_is_read_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    port = host.engine_on_tcp([POWERTRAIN], [EVERCAN])
    host.plugin(answered(), page="/adopt")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    assert host.run("adopt").status == 0


# --- what cannot be done --------------------------------------------------------


def test_no_engine(host: Host) -> None:
    ended = host.run("adopt")
    assert ended.status == 2
    assert "no Docker engine answers" in ended.err
    assert "systemctl start docker" in ended.err


@pytest.mark.parametrize(
    "address", ["npipe:////./pipe/docker", "unix://", "tcp://h:x", "x://y", "ssh://host"]
)
def test_an_address_that_is_none(host: Host, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    ended = host.run("adopt")
    assert ended.status == 2
    assert address in ended.err
    assert "DOCKER_HOST" in ended.err


def test_no_permission(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("socket.socket.connect", refused)
    ended = host.run("adopt")
    assert ended.status == 2
    assert "as root (sudo)" in ended.err


@pytest.mark.parametrize(
    ("plugins", "arguments", "words"),
    [
        ([], [], "docker plugin create evercan:latest"),
        ([plugin_entry("other:latest", socket_name="other.sock")], [], "no evercan named"),
        ([EVERCAN], ["--driver", "x/y:1"], "no evercan named x/y:1 (it has evercan:latest)"),
        (
            [plugin_entry("evercan:latest", enabled=False)],
            [],
            "docker plugin enable evercan:latest",
        ),
    ],
)
def test_no_plugin_or_a_disabled_one(
    host: Host, plugins: list[Any], arguments: list[str], words: str
) -> None:
    host.engine([], plugins)
    ended = host.run("adopt", *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_plugin_that_is_not_on_this_host(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    ended = host.run("adopt")
    assert ended.status == 2
    assert "is enabled and does not answer" in ended.err
    assert "journalctl" in ended.err


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (404, {"Err": "no call"}, "older than this command"),
        (500, {"Err": "the disk is full"}, "refuses: the disk is full"),
        (200, b"<html>", "gives an answer that is none"),
    ],
)
def test_a_plugin_that_does_not_adopt(host: Host, status: int, answer: Any, words: str) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(answer, status=status, page="/adopt")
    ended = host.run("adopt")
    assert ended.status == 2
    assert words in ended.err


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, {"message": "out of order"}, "refuses: out of order"),
        (200, b"\x15\x03\x01 TLS", "DOCKER_TLS_VERIFY"),
    ],
)
def test_an_engine_that_does_not_answer_well(
    host: Host, status: int, answer: Any, words: str
) -> None:
    host.engine_that({**ENGINE, "/plugins": (status, answer)})
    ended = host.run("adopt")
    assert ended.status == 2
    assert words in ended.err


def test_a_network_that_is_removed_meanwhile_is_left_out(host: Host) -> None:
    answers = engine_answers([POWERTRAIN], [EVERCAN])
    del answers["/networks/net1"]
    host.engine_that(answers)
    told = host.plugin(NOTHING, page="/adopt")
    assert host.run("adopt").status == 0
    assert told.bodies[0]["Networks"] == []
