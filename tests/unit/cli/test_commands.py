"""Test the command line: help, completion, errors and output."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import evercan
from evercan.cli import main
from evercan.cli.access.feed import Feed
from evercan.cli.access.reach import Target
from evercan.cli.access.wiring import Wiring
from evercan.cli.commands.graph import ENDINGS
from evercan.cli.commands.help import TOPICS
from evercan.cli.errors import NoNetwork
from evercan.options.endpoint import ENDPOINT_OPTIONS
from evercan.options.network import NETWORK_OPTIONS
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import engine_answers, network_entry, plugin_entry
from tests.support.overviews import endpoint_document, network_document, status_document
from tests.unit.cli.conftest import frames_of

SOURCE = Path(evercan.__file__).parents[1]
COMMANDS = (
    *("status", "watch", "doctor", "graph"),
    *("dump", "record", "play", "send", "generate"),
    *("fault", "adopt", "link", "install", "uninstall", "completion", "help"),
)
READING = (
    *(("adopt",), ("dump", "powertrain"), ("generate", "powertrain", "123#00"), ("graph",)),
    *(("record", "powertrain", "-o", "/nowhere/x.log"), ("send", "powertrain", "123#00")),
    ("status",),
)

EVERCAN = plugin_entry("evercan:latest")
POWERTRAIN = network_entry(
    engine_id("powertrain"), "powertrain", {"dashboard": engine_id("dashboard")}
)
STATUS = status_document(network_document("powertrain", 1))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples" in text
    assert "evercan" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["--help"], ["help"]])
def test_the_help_lists_the_commands_in_the_order_of_use(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 0
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    firsts = [line.split()[0] for line in lines if line]
    listed = [word for word in firsts[firsts.index("status") :] if word in COMMANDS]
    assert tuple(listed) == COMMANDS


def test_the_help_names_the_effect_of_adopt(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    text = capsys.readouterr().out
    assert "Restore the engine's networks to a plugin that lost its state." in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_a_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main(["help", command]) == 0
    explained = capsys.readouterr().out
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out == explained


@pytest.mark.parametrize("topic", TOPICS)
def test_help_explains_a_topic(capsys: pytest.CaptureFixture[str], topic: str) -> None:
    assert main(["help"]) == 0
    assert f"  {topic} " in capsys.readouterr().out
    assert main(["help", topic]) == 0
    text = capsys.readouterr().out
    assert text.startswith(TOPICS[topic].summary)
    assert max(map(len, text.splitlines())) <= 80


def test_help_lists_commands_and_topics_if_it_does_not_know_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["help", "nonsense"]) == 2
    error = capsys.readouterr().err
    assert 'no command or topic "nonsense"; commands: status, watch,' in error
    assert "topics: options, connection, exit-status" in error


def test_the_topic_on_options_names_those_of_the_plugin() -> None:
    known = {*NETWORK_OPTIONS, *ENDPOINT_OPTIONS}
    named = set(re.findall(r"vxcan\.[a-z-]+", TOPICS["options"].text))
    assert named == {option for option in known if option.startswith("vxcan.")}


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["dump"], ["status", "--nonsense"], ["dump", "x", "-n", "0"]]
)
def test_invalid_arguments_are_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_code_for_the_shell(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert main(["completion", shell]) == 0
    assert "_EVERCAN_COMPLETE" in capsys.readouterr().out


def test_bash_completes_networks(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    done = subprocess.run(
        [sys.executable, "-c", "from evercan.cli import main; main()"],
        env={
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "_EVERCAN_COMPLETE": "bash_complete",
            "COMP_WORDS": "evercan dump pow",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,powertrain"]


# --- errors ---------------------------------------------------------------------------


def sentence(host: Host, *arguments: str) -> str:
    ended = host.run(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert ended.err.startswith("evercan: ")
    assert ended.err.count("\n") == 1
    return ended.err


@pytest.mark.parametrize("arguments", READING)
def test_a_missing_engine_is_one_sentence(host: Host, arguments: tuple[str, ...]) -> None:
    assert "start it (systemctl start docker)" in sentence(host, *arguments)


@pytest.mark.parametrize("arguments", READING)
def test_a_missing_plugin_is_one_sentence(host: Host, arguments: tuple[str, ...]) -> None:
    host.engine([], [])
    assert "install it: evercan install" in sentence(host, *arguments)


@pytest.mark.parametrize("arguments", READING)
def test_a_disabled_plugin_is_one_sentence(host: Host, arguments: tuple[str, ...]) -> None:
    host.engine([], [plugin_entry("evercan:latest", enabled=False)])
    assert "docker plugin enable evercan:latest" in sentence(host, *arguments)


@pytest.mark.parametrize("arguments", [("graph",), ("status",)])
def test_a_silent_plugin_is_one_sentence(host: Host, arguments: tuple[str, ...]) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    assert "journalctl -u docker" in sentence(host, *arguments)


@pytest.mark.parametrize("arguments", READING)
def test_a_missing_permission_is_one_sentence(
    host: Host, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def no_permission(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", no_permission)
    assert "as root (sudo)" in sentence(host, *arguments)


def test_a_missing_permission_on_the_plugins_socket_is_one_sentence(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    real = socket.socket.connect

    def no_permission(self: socket.socket, address: str) -> None:
        if address.endswith("evercan.sock"):
            raise PermissionError(13, "Permission denied")
        real(self, address)

    monkeypatch.setattr("socket.socket.connect", no_permission)
    assert "run this as root (sudo)" in sentence(host, "status")


def test_dump_of_an_unknown_network_lists_the_known_ones(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert "networks: powertrain" in sentence(host, "dump", "nonsense")


def test_graph_of_an_unknown_network_lists_the_known_ones(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert "networks: powertrain" in sentence(host, "graph", "nonsense")


def test_an_unknown_network_without_any_network_says_how_to_create_it(host: Host) -> None:
    host.engine([], [EVERCAN])
    host.plugin({**STATUS, "networks": []})
    error = sentence(host, "graph", "powertrain")
    assert "docker network create -d evercan:latest --ipam-driver null powertrain" in error


def test_dump_from_an_unknown_sender_lists_the_known_ones(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    error = sentence(host, "dump", "powertrain", "--from", "nobody")
    assert "vcan0, dashboard" in error


def test_a_kernel_without_can_is_one_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)

    def no_socket(*_: object, **__: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr("evercan.cli.access.can_socket.open_listener", no_socket)
    assert "modprobe can-raw" in sentence(host, "dump", "powertrain")


def test_an_unknown_docker_context_is_one_sentence(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setenv("DOCKER_CONTEXT", "nonsense")
    assert "no docker context nonsense" in sentence(host, "status")


@pytest.mark.parametrize(
    ("config", "meta", "words"),
    [
        (
            '{"currentContext": "gone"}',
            None,
            "no docker context gone, which docker's configuration names",
        ),
        ('{"currentContext": "odd"}', "{", "cannot read docker's contexts"),
        ('{"currentContext": "odd"}', '{"Name": "odd"}', "cannot read docker's contexts"),
    ],
)
def test_damaged_docker_files_are_one_sentence(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    config: str,
    meta: str | None,
    words: str,
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(config)
    if meta is not None:
        folder = tmp_path / "contexts/meta" / hashlib.sha256(b"odd").hexdigest()
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(meta)
    assert words in sentence(host, "status")


def test_an_engine_with_tls_is_one_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    words = b"Client sent an HTTP request to an HTTPS server."
    port = host.engine_on_tcp_that({"/version": (400, words)})
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    error = sentence(host, "status")
    assert words.decode() in error
    assert "DOCKER_TLS_VERIFY" in error


@pytest.mark.parametrize("arguments", [("dump", "powertrain"), ("adopt",)])
def test_a_missing_plugin_is_reported_before_a_missing_helper_image(
    host: Host, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    port = host.engine_on_tcp([POWERTRAIN], [plugin_entry("evercan:latest", enabled=False)])
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    ended = host.run_elsewhere(*arguments)
    assert "docker plugin enable evercan:latest" in ended.err


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"networks": [{"bus": "vcan0"}]}, "cannot be read"),
        ({"networks": 7}, "cannot be read"),
        ({"networks": [{"network": "n", "endpoints": [{}]}]}, "cannot be read"),
    ],
)
def test_an_unreadable_status_is_one_sentence(host: Host, document: object, words: str) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(document)
    assert words in sentence(host, "status")


def test_the_plugin_is_read_again_if_it_does_not_know_a_network(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    answers = iter([status_document(), STATUS])
    host.plugin(lambda _: next(answers))
    assert host.run("status").status == 0


def test_missing_certificates_are_one_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    assert "DOCKER_CERT_PATH" in sentence(host, "status")


def test_watch_needs_a_terminal(host: Host) -> None:
    assert "evercan status" in sentence(host, "watch")


def test_a_missing_package_is_reported_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "rich_click":
            raise ModuleNotFoundError("No module named 'rich_click'", name="rich_click")
        return real(name, *rest)

    for module in ("app", "run"):
        monkeypatch.delitem(sys.modules, f"evercan.cli.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["status"]) == 2
    assert "pip install 'evercan[cli]'" in capsys.readouterr().err


# --- output ---------------------------------------------------------------------


def test_status_prints_a_page_and_json(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    ended = host.run("status")
    assert (ended.status, ended.err) == (0, "")
    assert "dashboard" in ended.out
    assert "\x1b" not in ended.out
    assert all(line == line.rstrip() or len(line) <= 80 for line in ended.out.splitlines())
    document = json.loads(host.run("status", "--json").out)
    (network,) = document["plugins"][0]["networks"]
    assert (network["name"], network["bus"], network["verdict"]) == ("powertrain", "vcan0", "ok")
    assert network["members"][0]["container"] == "dashboard"


def two_networks(host: Host) -> None:
    """Serve a healthy network powertrain and an unhealthy network body."""
    body = network_entry(engine_id("body"), "body", {"gateway": engine_id("gateway")})
    reason = {
        "bus": "vcan1",
        "endpoint": None,
        "kind": "bus-down",
        "text": "the bus interface vcan1 is down",
        "remedy": "ip link set vcan1 up",
    }
    host.engine([POWERTRAIN, body], [EVERCAN])
    host.plugin(
        status_document(
            network_document("powertrain", 1),
            network_document("body", 0, bus="vcan1", endpoints=[endpoint_document("gateway")]),
            reasons=[reason],
        )
    )


def test_status_shows_the_named_networks_only(host: Host) -> None:
    two_networks(host)
    ended = host.run("status", "powertrain")
    assert ended.status == 0
    assert "dashboard" in ended.out
    assert "body" not in ended.out
    assert "vcan1" not in ended.out
    ended = host.run("status", "body")
    assert ended.status == 1
    assert "✖ the bus interface vcan1 is down" in ended.out
    assert "→ ip link set vcan1 up" in ended.out
    assert "powertrain" not in ended.out
    document = json.loads(host.run("status", "--json", "body", "powertrain").out)
    names = [network["name"] for network in document["plugins"][0]["networks"]]
    assert names == ["body", "powertrain"]


@pytest.mark.parametrize("command", ["status", "graph"])
def test_an_unknown_network_is_reported_with_the_known_ones(host: Host, command: str) -> None:
    two_networks(host)
    error = sentence(host, command, "nosuch")
    assert error == 'evercan: no CAN network "nosuch"; networks: body, powertrain\n'


def test_watch_reads_the_named_networks_only(host: Host) -> None:
    two_networks(host)
    target = Target(sockets=str(host.engine_socket.parent))
    feed = Feed(target, ["body"])
    for _ in range(2):
        (found,) = feed.read()
        assert [network.name for network in found.networks] == ["body"]
    feed.close()
    with pytest.raises(NoNetwork, match='no CAN network "nosuch"; networks: body, powertrain'):
        Feed(target, ["body", "nosuch"]).read()


def test_watch_continues_when_a_named_network_is_removed(host: Host) -> None:
    networks = [POWERTRAIN]
    host.engine(networks, [EVERCAN])
    documents = iter([STATUS, status_document()])
    host.plugin(lambda _: next(documents))
    feed = Feed(Target(sockets=str(host.engine_socket.parent)), ["powertrain"])
    assert feed.read()[0].networks
    networks.clear()
    (found,) = feed.read()
    assert found.networks == ()
    feed.close()


def test_json_keys_of_status_stay(host: Host) -> None:
    two_networks(host)
    (plugin,) = json.loads(host.run("status", "--json", "body").out)["plugins"]
    (problem,) = plugin["troubles"]
    assert problem == {
        "kind": "bus-down",
        "text": "the bus interface vcan1 is down",
        "bus": "vcan1",
        "endpoint": None,
        "remedy": "ip link set vcan1 up",
        "container": "",
    }
    (network,) = plugin["networks"]
    assert network["troubles"] == [problem]
    assert network["members"][0]["troubles"] == []


def test_a_member_that_does_not_run_is_dormant_in_json_and_not_running_for_people(
    host: Host,
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    endpoint = endpoint_document("dashboard", phase="dormant", present=False, up=False)
    host.plugin(status_document(network_document("powertrain", 0, endpoints=[endpoint])))
    page = host.run("status").out
    assert "○ not running" in page
    assert "dormant" not in page
    (plugin,) = json.loads(host.run("status", "--json").out)["plugins"]
    assert plugin["networks"][0]["members"][0]["state"] == "dormant"
    for format_ in ("svg", "mermaid", "dot"):
        drawn = host.run("graph", "--format", format_).out
        assert "not running" in drawn
        assert "dormant" not in drawn
    (bus,) = json.loads(host.run("graph", "--json").out)["buses"]
    assert bus["members"][0]["state"] == "dormant"


def test_an_unhealthy_bus_is_exit_status_1(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    reason = {"bus": "vcan0", "endpoint": None, "kind": "bus-down", "text": "vcan0 is down"}
    host.plugin({**STATUS, "healthy": False, "reasons": [reason]})
    ended = host.run("status")
    assert ended.status == 1
    assert "vcan0 is down" in ended.out


@pytest.mark.parametrize("name", ["x.png", "x.pdf", "x.svg.png", "folder.svg/x.PNG"])
def test_an_unknown_ending_is_rejected_before_anything_is_read(host: Host, name: str) -> None:
    error = sentence(host, "graph", "-o", name)  # there is no engine
    assert f"{name} has the unknown ending {Path(name).suffix}; known endings: " in error
    assert all(ending in error for ending in ENDINGS)
    assert not Path(name).exists()


def test_a_format_is_written_to_a_file_of_any_ending(host: Host, tmp_path: Path) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert host.run("graph", "--format", "dot", "-o", str(tmp_path / "x.txt")).status == 0
    assert (tmp_path / "x.txt").read_text().startswith("graph")


def test_graph_prints_json(host: Host, tmp_path: Path) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    ended = host.run("graph", "--json")
    assert (ended.status, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["schema"] == 1
    (bus,) = document["buses"]
    assert (bus["interface"], bus["networks"]) == ("vcan0", ["powertrain"])
    (member,) = bus["members"]
    assert (member["container"], member["network"]) == ("dashboard", "powertrain")
    assert host.run("graph", "-o", str(tmp_path / "x.json")).status == 0
    assert json.loads((tmp_path / "x.json").read_text()) == document
    assert host.run("graph", "--json", "--format", "dot").status == 2


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("x.svg", "<svg"),
        ("x.dot", "graph"),
        ("x.mmd", "flowchart"),
        ("x.md", "```mermaid\nflowchart LR\n"),
        ("x", "<svg"),
    ],
)
def test_the_files_ending_selects_the_format(
    host: Host, tmp_path: Path, name: str, begins: str
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert host.run("graph", "-o", str(tmp_path / name)).status == 0
    assert (tmp_path / name).read_text().startswith(begins)


@pytest.mark.parametrize("asked", [(), ("--format", "mermaid")])
def test_mermaid_has_a_fence_in_markdown_and_none_in_a_pipe(
    host: Host, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    bare = host.run("graph", "--format", "mermaid").out
    assert bare.startswith("flowchart LR\n")
    assert host.run("graph", *asked, "-o", str(tmp_path / "x.MD")).status == 0
    assert (tmp_path / "x.MD").read_text() == f"```mermaid\n{bare}```\n"


def test_other_formats_have_no_fence_in_markdown(host: Host, tmp_path: Path) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert host.run("graph", "--format", "dot", "-o", str(tmp_path / "x.md")).status == 0
    assert (tmp_path / "x.md").read_text().startswith("graph")


def test_an_unwritable_file_is_one_sentence(host: Host, tmp_path: Path) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    assert "cannot write" in sentence(host, "graph", "-o", str(tmp_path))


@pytest.fixture
def bus_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    end = f"vxcan{engine_id('dashboard')[:8]}"
    lines = [
        f"(1790000000.000001) {end} 123#C0FFEE R",
        "(1790000000.000002) vcan0 123#C0FFEE R",
        "(1790000000.000003) vcan0 456#01 T",
        "(1790000000.000004) vcan9 789#01 T",
    ]
    frames_of(monkeypatch, *lines)


@pytest.mark.usefixtures("bus_traffic")
@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            [],
            [
                "(1790000000.000001) dashboard 123#C0FFEE",
                "(1790000000.000003) vcan0 456#01",
            ],
        ),
        (["--from", "vcan0"], ["(1790000000.000003) vcan0 456#01"]),
        (["--filter", "100:700"], ["(1790000000.000001) dashboard 123#C0FFEE"]),
        (["--count", "1", "--as-bus"], ["(1790000000.000001) vcan0 123#C0FFEE"]),
    ],
)
@pytest.mark.parametrize("reachable", [True, False])
def test_dump_prints_the_same_with_and_without_access_to_the_plugin(
    host: Host, arguments: list[str], lines: list[str], reachable: bool
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    if reachable:
        host.plugin(STATUS)
    ended = host.run("dump", "powertrain", "--duration", "0.2", *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == lines


@pytest.mark.parametrize("ends_by", [("--duration", "0.5"), ("--count", "41")])
def test_dump_names_containers_that_join_and_reads_the_wiring_once_for_all_of_them(
    host: Host, monkeypatch: pytest.MonkeyPatch, ends_by: tuple[str, str]
) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    frames_of(
        monkeypatch,
        *(f"(1790000000.{step:06d}) vxcan{step} 123#{step:02X} R" for step in range(60)),
        *(f"(1790000000.{step + 100:06d}) vcan0 123#{step:02X} R" for step in range(41)),
    )
    read: list[str] = []

    def wiring(_: Any, __: Any, ___: Any, network: str) -> Wiring:
        read.append(network)
        return Wiring("vcan0", {f"vxcan{step}": f"late-{step}" for step in range(40)})

    monkeypatch.setattr("evercan.cli.commands.capture.read_wiring", wiring)
    ended = host.run("dump", "powertrain", *ends_by)
    assert (ended.status, ended.err) == (0, "")
    # The echoes of 40 are not printed; the other interfaces are those of other buses.
    assert ended.out.splitlines() == [
        *(f"(1790000000.{step:06d}) late-{step} 123#{step:02X}" for step in range(40)),
        "(1790000000.000140) vcan0 123#28",
    ]
    assert read == ["powertrain"]


def test_dump_names_a_container_that_has_left_when_its_first_frame_is_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": engine_id("powertrain"), "Attributes": {"type": "evercan:latest"}},
    }
    answers = engine_answers([POWERTRAIN], [EVERCAN])
    answers["/events"] = (200, f"{json.dumps(joined)}\n".encode())
    host.engine_that(answers)
    host.plugin(STATUS)
    known, left = threading.Event(), threading.Event()

    def wiring(*_: Any) -> Wiring:
        ends = {} if left.is_set() else {"vxcan5": "short-lived"}
        known.set()
        return Wiring("vcan0", ends)

    def frames(**_: bool) -> Iterator[str]:
        known.wait(10)
        left.set()
        yield "(1790000000.000001) vxcan5 123#C0FFEE R"
        yield "(1790000000.000002) vcan0 123#C0FFEE R"

    monkeypatch.setattr("evercan.cli.commands.capture.read_wiring", wiring)
    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", frames)
    ended = host.run("dump", "powertrain", "--count", "1")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "(1790000000.000001) short-lived 123#C0FFEE\n"


@pytest.mark.usefixtures("bus_traffic")
@pytest.mark.parametrize("reachable", [True, False])
def test_dump_prints_one_json_object_a_line(host: Host, reachable: bool) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    if reachable:
        host.plugin(STATUS)
    ended = host.run("dump", "powertrain", "--duration", "0.2", "--json")
    assert (ended.status, ended.err) == (0, "")
    first, second = map(json.loads, ended.out.splitlines())
    assert first == {
        "time": 1790000000.000001,
        "bus": "vcan0",
        "sender": "dashboard",
        "id": 0x123,
        "extended": False,
        "error": False,
        "remote": False,
        "fd": False,
        "bitrate_switch": False,
        "error_state_indicator": False,
        "length": 3,
        "data": "C0FFEE",
    }
    assert (second["sender"], second["id"], second["data"]) == ("vcan0", 0x456, "01")


@pytest.mark.parametrize(
    ("arguments", "passed", "engine"),
    [
        (["install"], [], None),
        (["install", "--dry-run", "--from", "x.tar.gz"], ["--from", "x.tar.gz", "--dry-run"], None),
        (["-H", "tcp://gateway:2375", "install"], [], "tcp://gateway:2375"),
        (
            ["install", "-H", "tcp://gateway:2375", "--version", "1.0.0", "--registry", "local"],
            ["--version", "1.0.0", "--registry", "local"],
            "tcp://gateway:2375",
        ),
        (["uninstall", "--force"], ["--uninstall", "--force"], None),
    ],
)
def test_install_and_uninstall_are_the_script(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], passed: list[str], engine: str | None
) -> None:
    called: list[Any] = []

    def execve(program: str, words: list[str], environment: dict[str, str]) -> None:
        called.append((program, words, environment))
        raise OSError(0, "replaced")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "execve", execve)
    assert main(arguments) == 2
    ((program, (_, script, *options), environment),) = called
    assert program == "/bin/sh"
    assert "Installs evercan" in Path(script).read_text()
    assert sorted(options) == sorted(passed)
    assert environment.get("DOCKER_HOST") == engine


def test_a_package_without_the_script_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evercan.cli.commands.install.SCRIPTS", ())
    assert main(["install"]) == 2
    assert "this package has no install.sh" in capsys.readouterr().err
