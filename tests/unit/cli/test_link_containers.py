"""Test what ``evercan link add`` asks of the engine, and how links are shown among members."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from evercan.cli.commands.link_certs import certs
from evercan.cli.pages.graph_text import dot, mermaid
from evercan.cli.pages.svg import svg
from evercan.cli.views.links import with_links
from evercan.cli.views.overview import Verdict
from evercan.cli.views.topology import buses
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import Asked, engine_answers, network_entry, plugin_entry
from tests.support.overviews import named, overview_of, status_document
from tests.unit.cli.test_link import HEALTH

LINE = "link of host a to b (0.4 ms), c (not linked)"
PROBLEM = {"text": "no other link is connected", "remedy": "wait"}


def engine(host: Host, **answers: Any) -> Asked:
    """Serve an engine with the network powertrain, on which are a container and a link."""
    members = {name: engine_id(name) for name in ("dashboard", "evercan-link-powertrain")}
    network = network_entry(engine_id("powertrain"), "powertrain", members)
    return host.engine_that(
        {
            **engine_answers([network], [plugin_entry("evercan:latest")]),
            "/containers/create": (201, {"Id": "new", "Warnings": []}),
            "/networks/powertrain/connect": (200, {}),
            "/containers/new/archive": (200, {}),
            "/containers/new/start": (204, b""),
            "/containers/new": (204, b""),
            **answers,
        }
    )


def listed(label: str = "powertrain") -> dict[str, Any]:
    """Return the link as the engine lists it."""
    return {
        "Id": "1f",
        "Names": ["/evercan-link-powertrain"],
        "Labels": {"evercan.link": label},
        "State": "running",
        "NetworkSettings": {"Networks": {"bridge": {}, "powertrain": {}}},
    }


def linked(
    host: Host, patch: pytest.MonkeyPatch, health: dict[str, Any], label: str = "powertrain"
) -> None:
    """Serve an engine whose link answers, and the plugin.

    The answer of a program in a container comes on a connection that the engine upgrades; the
    tests on a real engine read it.
    """
    engine(host, **{"/containers/json": (200, [listed(label)])})
    _, document = named("powertrain", "dashboard", "evercan-link-powertrain")
    host.plugin(status_document(document))
    for module in ("access.source", "commands.link"):
        patch.setattr(f"evercan.cli.{module}.read_health", lambda _, link: (link.id, health)[1])


def test_add_creates_a_container_without_privileges_on_both_networks(
    host: Host, tmp_path: Path
) -> None:
    certs(tmp_path, ["a=10.0.0.5"], days=2)
    asked = engine(host, **{"/containers/json": (200, [])})
    ended = host.run_elsewhere(
        *("link", "add", "powertrain", "--as", "a", "--bus", "site", "--over", "uplink"),
        *("--listen", "10.0.0.5:7000", "--connect", "10.0.0.6", "--certs", str(tmp_path / "a")),
        *("--deadline", "50", "--playout", "20", "--rate", "9000", "--allow", "a,b"),
    )
    assert ended.status == 0, ended.err
    assert "evercan-link-powertrain links powertrain as host a" in ended.out
    created, connected = asked.bodies
    assert sorted(created["Env"]) == [
        *("LINK_ALLOW=a,b", "LINK_BUS=site", "LINK_CERTS=/certs", "LINK_CONNECT=10.0.0.6"),
        *("LINK_DEADLINE=50", "LINK_HOST=a", "LINK_LISTEN=0.0.0.0:7000", "LINK_PLAYOUT=20"),
        "LINK_RATE=9000",
    ]
    assert created["Labels"] == {"evercan.link": "powertrain"}
    config = created["HostConfig"]
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["NetworkMode"] == "uplink"
    assert config["RestartPolicy"]["Name"] == "unless-stopped"
    assert config["PortBindings"] == {"7000/tcp": [{"HostIp": "10.0.0.5", "HostPort": "7000"}]}
    assert not config.get("Privileged")
    assert connected["Container"] == "new"
    with tarfile.open(fileobj=io.BytesIO(asked.files[0])) as archive:
        assert sorted(archive.getnames()) == ["certs/ca.pem", "certs/link.key", "certs/link.pem"]
        assert {entry.mode for entry in archive} == {0o600}
        key = archive.extractfile("certs/link.key")
        assert key is not None
        assert key.read() == (tmp_path / "a/link.key").read_bytes()
    assert asked.paths[-1].endswith("/containers/new/start")
    assert asked.deleted == []


@pytest.mark.parametrize(
    "step", ["/networks/powertrain/connect", "/containers/new/archive", "/containers/new/start"]
)
def test_a_link_that_the_engine_rejects_leaves_no_container(
    host: Host, tmp_path: Path, step: str
) -> None:
    certs(tmp_path, ["a"], days=2)
    rejected = (500, {"message": "port is already allocated"})
    asked = engine(host, **{"/containers/json": (200, []), step: rejected})
    ended = host.run_elsewhere(
        "link", "add", "powertrain", "--listen", "7447", "--certs", str(tmp_path / "a")
    )
    assert ended.status == 2
    assert "the engine does not start evercan-link-powertrain: port is already" in ended.err
    assert any("/containers/new?" in path and "force=True" in path for path in asked.deleted)


def test_the_second_link_of_a_network_has_another_name(host: Host) -> None:
    asked = engine(host, **{"/containers/json": (200, [listed()])})
    assert host.run_elsewhere("link", "add", "powertrain", "--listen", "7447").status == 0
    assert any("name=evercan-link-powertrain-2" in path for path in asked.paths)


def test_an_unknown_network_and_a_missing_image_are_named(host: Host) -> None:
    engine(host, **{"/containers/create": (404, {"message": "No such image: evercan/link"})})
    ended = host.run_elsewhere("link", "add", "body", "--listen", "7447")
    assert 'no CAN network "body"' in ended.err
    ended = host.run_elsewhere("link", "add", "powertrain", "--listen", "7447")
    assert "has no image evercan/link:latest" in ended.err


@pytest.mark.parametrize("label", ["powertrain", ""])
def test_a_link_is_marked_in_status_however_it_was_created(
    host: Host, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    linked(host, monkeypatch, HEALTH, label)
    ended = host.run("status")
    assert f"evercan-link-powertrain: {LINE}" in ended.out
    shown = json.loads(host.run("status", "--json").out)
    [network] = shown["plugins"][0]["networks"]
    assert [member["link"] for member in network["members"]] == ["", LINE]
    assert "powertrain: active, host a of bus site" in host.run_elsewhere("link", "status").out


def test_a_link_that_ends_while_it_is_asked_has_no_health(host: Host) -> None:
    conflict = (409, {"message": "container 1f is not running"})
    engine(host, **{"/containers/json": (200, [listed()]), "/containers/1f/exec": conflict})
    ended = host.run_elsewhere("link", "status", "--json")
    assert ended.status == 1, ended.err
    [link] = json.loads(ended.out)["links"]
    assert link["health"] is None


def test_a_link_with_a_problem_is_a_warning(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    linked(host, monkeypatch, {**HEALTH, "healthy": False, "problems": [PROBLEM]})
    ended = host.run("status")
    assert ended.status == 0
    assert "container evercan-link-powertrain: no other link is connected" in ended.out
    assert "warning" in ended.out


def test_pictures_name_whom_a_link_links() -> None:
    overview = overview_of(named("powertrain", "dashboard", "link-1", "link-2"))
    found = with_links(overview, {"link-1": {**HEALTH, "state": "standby"}, "link-2": None})
    shown = buses(found.networks)
    standby = "link of host a (standby) to b (0.4 ms), c (not linked)"
    for draw in (svg, mermaid, dot):
        picture = draw(shown)
        assert standby in picture
        assert "link that does not answer" in picture
    members = {member.container: member for member in found.networks[0].members}
    assert members["link-1"].verdict is Verdict.OK
    assert members["link-2"].verdict is Verdict.WARN
    assert found.verdict is Verdict.WARN
    assert with_links(overview, {}) == overview
    assert found.other_warnings == []


def test_a_link_that_hears_nobody_says_so() -> None:
    overview = overview_of(named("powertrain", "link"))
    [network] = with_links(overview, {"link": {**HEALTH, "hosts": []}}).networks
    assert network.members[0].link == "link of host a to no other host"
