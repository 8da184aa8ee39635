"""Test ``evercan doctor``: its checks and its report."""

from __future__ import annotations

import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from evercan.cli.access import engine
from evercan.cli.access.host import LocalHost
from evercan.cli.access.host_facts import _STATE_SCRIPT, read_architecture, read_host
from evercan.cli.checks.check import Check, Result
from evercan.cli.checks.health import health_checks
from evercan.cli.checks.host import host_checks, limits_check
from evercan.cli.checks.networks import gateway_check, pool_check, port_checks
from evercan.cli.checks.plugin import (
    architecture_check,
    engine_check,
    only_one_checks,
    plugin_checks,
    state_file_check,
    version_check,
)
from evercan.cli.errors import NoAccess
from evercan.cli.pages.doctor import Page
from evercan.cli.views.docker import DockerContainer, DockerEndpoint, DockerNetwork, DockerPlugin
from evercan.cli.views.host import (
    HostFacts,
    StateFileFacts,
    modules_of_limits,
    parse_host,
    parse_state_file,
)
from evercan.cli.views.status_document import parse_status
from evercan.model.problems import ProblemKind
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import engine_answers, network_entry, plugin_entry
from tests.support.overviews import (
    listed,
    named,
    network_document,
    one_network,
    overview_of,
    status_document,
)
from tests.support.small_plugin import small_plugin

COMPLETE = HostFacts(
    kernel="6.12.1-amd64",
    machine="x86_64",
    os="debian",
    system="Debian GNU/Linux 13",
    has_tree=True,
    loaded=frozenset({"vcan", "vxcan", "can-gw"}),
    available=frozenset({"vcan", "vxcan", "can-gw"}),
    at_boot=frozenset({"can-gw"}),
    max_hops=1,
)
PLUGIN = DockerPlugin("id", "evercan:latest", enabled=True)


def by_id(found: Any) -> dict[str, Check]:
    return {check.id: check for check in found}


# --- the host -----------------------------------------------------------------------


def test_a_complete_host_passes_all_checks() -> None:
    assert {check.result for check in host_checks(COMPLETE)} == {Result.OK}


def test_only_can_gw_must_be_loaded() -> None:
    built_in = replace(COMPLETE, built_in=COMPLETE.loaded, at_boot=frozenset())
    assert by_id(host_checks(built_in))["host.at-boot"].result is Result.OK
    facts = HostFacts(kernel="6.12", has_tree=True, available=COMPLETE.available)
    found = by_id(host_checks(facts))
    assert found["host.vxcan"].result is Result.OK
    assert found["host.can-gw"].result is Result.FAIL
    assert found["host.can-gw"].remedy == "sudo modprobe can-gw"
    assert found["host.at-boot"].result is Result.WARN


@pytest.mark.parametrize(
    ("kernel", "os", "words"),
    [
        ("6.8.0-31-generic", "ubuntu", "linux-modules-extra-6.8.0-31-generic"),
        ("6.12.1-cloud-amd64", "debian", "linux-image-amd64"),
        ("6.6.31+rpt-rpi-v8", "debian", "Raspberry"),
        ("5.15.153.1-microsoft-standard-WSL2", "ubuntu", "WSL"),
        ("6.6.16-linuxkit", "alpine", "Docker Desktop"),
        ("6.9.5-200.fc40", "fedora", "kernel-modules-extra-6.9.5"),
        ("6.9.7-arch1-1", "arch", "reboot into the installed kernel"),
    ],
)
def test_the_remedy_names_the_package_with_the_modules(kernel: str, os: str, words: str) -> None:
    found = by_id(host_checks(HostFacts(kernel=kernel, os=os)))
    assert found["host.vcan"].result is Result.FAIL
    assert words in found["host.vcan"].remedy


@pytest.mark.parametrize(
    ("limits", "needed"),
    [
        ({}, set()),
        ({"send": "none", "receive": "all"}, set()),
        ({"send": "all", "receive": "123"}, {"em-canid"}),
        ({"send": "123", "receive": "all", "send_rate": 100}, {"em-canid", "act-police"}),
    ],
)
def test_which_modules_limits_need(limits: dict[str, Any], needed: set[str]) -> None:
    modules = modules_of_limits(limits)
    assert modules & {"em-canid", "act-police"} == needed
    assert ("sch-ingress" in modules) == bool(limits)


def test_modules_that_limits_need_and_that_are_missing_are_named_with_the_remedy() -> None:
    needed = {"em-canid", "act-police", "sch-ingress"}
    facts = replace(COMPLETE, available=frozenset({"sch-ingress", "act-police"}))
    check = limits_check(facts, needed)
    assert check.result is Result.FAIL
    assert "em_canid" in check.text
    assert "act_police" not in check.text
    assert "CONFIG_NET_EMATCH_CANID" in check.remedy
    facts = replace(facts, available=facts.available | {"em-canid"})
    assert limits_check(facts, needed).result is Result.OK


def test_the_script_reads_the_facts_of_a_host(tmp_path: Path) -> None:
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True)
    tree = tmp_path / "lib/modules" / kernel.stdout.strip()
    tree.mkdir(parents=True)
    (tree / "modules.dep").write_text(
        "kernel/net/can/can-gw.ko.xz: kernel/net/can/can.ko.xz\nkernel/net/sched/em_canid.ko.xz:\n"
    )
    (tree / "modules.builtin").write_text("kernel/drivers/net/can/vcan.ko\n")
    (tmp_path / "etc/modules-load.d").mkdir(parents=True)
    (tmp_path / "etc/modules-load.d/x.conf").write_text("# can-gw of old\n can_gw \nvcan\n")
    (tmp_path / "etc/os-release").write_text('PRETTY_NAME="Debian 13"\nID=debian\n')

    class There(LocalHost):
        root = str(tmp_path)

    facts = read_host(There())
    assert facts.kernel == kernel.stdout.strip()
    assert (facts.os, facts.system, facts.has_tree) == ("debian", "Debian 13", True)
    assert {"vcan", "can-gw", "em-canid"} <= facts.available
    assert "vcan" in facts.loaded
    assert facts.at_boot == {"can-gw", "vcan"}


@given(st.text())
def test_any_text_can_be_parsed(text: str) -> None:
    parse_host(text)
    parse_state_file(text)


# --- engine and plugin ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "result"),
    [
        ("28.5.2", Result.OK),
        ("29.0.0", Result.FAIL),
        ("29.0.2+dfsg1", Result.FAIL),
        ("29.0.3", Result.OK),
        ("20.10.24+dfsg1", Result.OK),
        ("19.03.8", Result.WARN),
        ("dev", Result.WARN),
        ("", Result.WARN),
    ],
)
def test_engine_versions(version: str, result: Result) -> None:
    assert engine_check(version).result is result


def test_plugin_checks() -> None:
    (none,) = plugin_checks([], None)
    assert none.remedy == "evercan install"
    off = DockerPlugin("id", "evercan:latest", enabled=False)
    (disabled,) = plugin_checks([off], None)
    assert disabled.remedy == "docker plugin enable evercan:latest"
    assert [*only_one_checks({}), *only_one_checks({"evercan:latest": 3})] == []
    for order in (("evercan:latest", "acme:1"), ("acme:1", "evercan:latest")):
        (two,) = only_one_checks({name: int(name == "evercan:latest") for name in order})
        assert two.result is Result.WARN
        assert two.remedy == "docker plugin disable -f acme:1"


STATE_FILE = b"""{"format": "evercan-state", "networks": [{"id": "%s"}]}"""


@pytest.mark.parametrize(
    ("files", "result", "words"),
    [
        ({}, Result.FAIL, "there is no state file"),
        ({"state.json": b"{"}, Result.FAIL, "cannot be understood"),
        ({"state.json": b'{"format": "x", "networks": []}'}, Result.FAIL, "its format is 'x'"),
        ({"state.json": STATE_FILE % b"other"}, Result.FAIL, "without these networks: powertrain"),
        (
            {
                "state.json": STATE_FILE % engine_id("powertrain").encode(),
                "state.json.damaged-1": b"",
            },
            Result.WARN,
            "state.json.damaged-1",
        ),
        ({"state.json": STATE_FILE % engine_id("powertrain").encode()}, Result.OK, "1 network"),
    ],
)
def test_state_file_check(
    tmp_path: Path, files: dict[str, bytes], result: Result, words: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    facts = parse_state_file(LocalHost().run(_STATE_SCRIPT, str(tmp_path)).out)
    found = state_file_check(PLUGIN, facts, [listed("powertrain", 1)])
    assert found.result is result
    assert words in found.text
    assert bool(found.remedy) is (result is not Result.OK)


def test_a_missing_state_file_is_no_problem_without_networks() -> None:
    assert state_file_check(PLUGIN, StateFileFacts(present=False), []).result is Result.OK


# --- networks --------------------------------------------------------------------------


def test_a_lost_pair_is_reported_with_its_container_and_the_command_that_helps() -> None:
    reason = {
        "bus": "vcan0",
        "endpoint": engine_id("gateway"),
        "kind": "pair-missing",
        "text": "the interface pair is gone",
        "remedy": "restart the container",
    }
    (found,) = health_checks(one_network(3, reasons=[reason]))
    assert found == Check(
        "health.pair-missing",
        "container gateway",
        Result.FAIL,
        "the interface pair is gone",
        "docker restart gateway",
    )


def test_a_network_unknown_to_the_plugin_is_reported() -> None:
    found = by_id(health_checks(parse_status("p", [listed("lost", 1)], status_document())))
    assert "evercan adopt" in found["health.unknown-network"].remedy


def test_the_last_repair_is_reported() -> None:
    repair = {"at": 1_790_000_040.0, "what": "vcan0 was missing and was created again"}
    found = by_id(
        health_checks(
            parse_status(
                "p",
                [listed("powertrain", 0)],
                status_document(network_document("powertrain", 0, last_recovery=repair)),
            )
        )
    )
    assert found["health"].result is Result.OK
    assert "1 min ago: vcan0 was missing" in found["health.last-recovery"].text


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("error-active", Result.OK),
        ("error-passive", Result.WARN),
        ("bus-off", Result.FAIL),
        ("new-word", Result.WARN),
    ],
)
def test_controller_states(state: str, result: Result) -> None:
    document = network_document("body", 0, bus="can0", controller={"state": state})
    found = by_id(health_checks(parse_status("p", [listed("body", 0)], status_document(document))))
    assert found["health.controller"].result is result


def test_address_pools_and_second_interfaces() -> None:
    member = DockerEndpoint("dashboard", "ep", {}, "cid")
    network = DockerNetwork("id", "powertrain", {}, (member,), ("172.18.0.0/16",))
    assert pool_check([network]).result is Result.WARN
    assert "--ipam-driver null" in pool_check([network]).remedy
    assert pool_check([listed("x", 1)]).result is Result.OK
    assert gateway_check([network], {"cid": {}}).remedy == "docker restart dashboard"
    assert gateway_check([network], {"other": {}}).result is Result.OK


def published(*networks: str, ports: tuple[str, ...] = ("80/tcp",)) -> Check:
    container = DockerContainer("web", frozenset(map(engine_id, networks)), ports)
    (found,) = port_checks([listed("powertrain", 1), listed("body", 1)], [container])
    return found


def test_a_published_port_without_an_ip_network_is_a_warning() -> None:
    for networks in (["powertrain"], ["powertrain", "body"]):
        found = published(*networks)
        assert (found.id, found.result) == ("networks.ports", Result.WARN)
        assert found.title == "container web"
        assert "80/tcp" in found.text
        assert "no IP network" in found.text
        assert "docker network connect bridge web" in found.remedy
    assert published("powertrain", "bridge").result is Result.OK
    assert published("powertrain", ports=()).result is Result.OK


# --- warnings of the plugin ---------------------------------------------------------


def reported(kind: str, endpoint: str | None = None, bus: str = "vcan0") -> dict[str, Any]:
    return {
        "bus": bus,
        "endpoint": endpoint,
        "kind": kind,
        "text": f"the text of {kind}",
        "remedy": f"the remedy of {kind}",
    }


def test_a_warning_of_the_plugin_is_a_warning_with_its_container() -> None:
    warning = reported("end-down", engine_id("gateway"))
    found = by_id(health_checks(one_network(3, warnings=[warning])))
    assert found["health.end-down"] == Check(
        "health.end-down",
        "container gateway",
        Result.WARN,
        "the text of end-down",
        "the remedy of end-down",
    )
    assert found["health"].result is Result.OK


@pytest.mark.parametrize("kind", ProblemKind)
def test_every_kind_of_problem_and_warning_is_shown_with_its_remedy(kind: str) -> None:
    for endpoint, bus in ((None, "vcan0"), (None, ""), (engine_id("gateway"), "vcan0")):
        if kind == "pair-missing" and endpoint:
            continue  # its remedy is the command that restarts the container
        document = reported(kind, endpoint, bus)
        for found, result in (
            (one_network(3, reasons=[document]), Result.FAIL),
            (one_network(3, warnings=[document]), Result.WARN),
        ):
            check = by_id(health_checks(found))[f"health.{kind}"]
            assert (check.result, check.remedy) == (result, f"the remedy of {kind}")
            title = "container gateway" if endpoint else "powertrain" if bus else "plugin"
            assert check.title == title


def test_networks_that_share_a_bus_by_default_are_a_warning() -> None:
    """Two compose projects without ``vxcan.id`` know nothing of each other."""
    found = [*health_checks(overview_of(named("one_can", "a"), named("two_can", "b")))]
    shared = [check for check in found if check.id == "health.shared-bus"]
    assert [(check.title, check.result) for check in shared] == [
        ("one_can", Result.WARN),
        ("two_can", Result.WARN),
    ]
    assert shared[0].text.startswith("shares vcan0 with network two_can:")
    assert "vxcan.id" in shared[0].remedy


# --- the command ------------------------------------------------------------------------

EVERCAN = plugin_entry("evercan:latest")
POWERTRAIN = network_entry(
    engine_id("powertrain"), "powertrain", {"dashboard": engine_id("dashboard")}
)
STATUS = status_document(network_document("powertrain", 1))


def examined(host: Host, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = host.run("doctor", "--json", *arguments)
    assert ended.err == ""
    found = json.loads(ended.out)
    assert found["schema"] == 1
    for check in found["checks"]:
        assert check["text"]
        assert check["remedy"] or check["result"] not in ("fail", "warn"), check
    return ended.status, {check["id"]: check for check in found["checks"]}


def test_doctor_checks_engine_plugin_and_networks(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(STATUS)
    _, found = examined(host)
    for check in ("engine.version", "plugin.enabled", "plugin.reachable", "health"):
        assert found[check]["result"] == "ok"
    for check in ("host.vcan", "plugin.record", "networks.pools", "networks.gwbridge"):
        assert check in found
    assert found["plugin.record"]["result"] == "skipped"


@pytest.mark.parametrize("limited", [False, True])
def test_doctor_checks_the_modules_of_limits_only_if_a_member_has_some(
    host: Host, limited: bool
) -> None:
    document = network_document("powertrain", 1)
    if limited:
        limits = {"send": "123", "receive": "all", "send_rate": None, "send_burst": None}
        document["endpoints"][0]["access"] = {**limits, "denied": {}, "over_rate": 0}
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(status_document(document))
    assert ("host.limits" in examined(host)[1]) == limited


@pytest.mark.parametrize("slow", [False, True])
def test_doctor_checks_the_modules_of_bitrates_only_if_a_bus_has_one(
    host: Host, slow: bool
) -> None:
    wire = {"bitrate": 500_000, "dbitrate": None, "bits": 0, "dropped": 0}
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(status_document(network_document("powertrain", 1, wire=wire if slow else None)))
    assert ("host.bitrates" in examined(host)[1]) == slow


RELEASED = "D. Build 1. Version {} for {}."


def test_doctor_names_a_plugin_of_another_architecture(host: Host) -> None:
    plugin = plugin_entry(
        "evercan:latest", enabled=False, documentation=RELEASED.format("0.1.0", "arm64")
    )
    host.engine([], [plugin])
    status, found = examined(host)
    assert status == 1
    assert found["plugin.architecture"]["text"] == (
        "evercan:latest is built for arm64; the host is amd64"
    )
    assert "evercan install" in found["plugin.architecture"]["remedy"]


def test_doctor_names_a_plugin_that_is_older_than_the_command(host: Host) -> None:
    host.engine([], [EVERCAN])
    host.plugin(status_document() | {"version": "0.0.9"})
    _, found = examined(host)
    assert found["plugin.version"]["result"] == "warn"
    assert "0.0.9, older than this command" in found["plugin.version"]["text"]
    assert found["plugin.version"]["remedy"] == "evercan install"


def test_the_architecture_of_a_plugin_is_that_of_its_interpreter(tmp_path: Path) -> None:
    rootfs = small_plugin(tmp_path, "arm64") / "rootfs"
    folder = tmp_path / "plugins/id"
    folder.mkdir(parents=True)
    rootfs.rename(folder / "rootfs")
    plugin = replace(PLUGIN, documentation=RELEASED.format("0.1.0", "amd64"))
    assert read_architecture(LocalHost(), str(tmp_path), plugin) == "arm64"
    elsewhere = replace(plugin, id="elsewhere")
    assert read_architecture(LocalHost(), str(tmp_path), elsewhere) == "amd64"
    unknown = replace(elsewhere, documentation="D.")
    assert read_architecture(LocalHost(), str(tmp_path), unknown) == ""


@pytest.mark.parametrize(
    ("built_for", "machine", "result"),
    [
        ("amd64", "x86_64", Result.OK),
        ("arm64", "aarch64", Result.OK),
        ("arm64", "arm64", Result.OK),
        ("amd64", "aarch64", Result.FAIL),
        ("arm64", "riscv64", Result.FAIL),
        ("", "x86_64", None),
        ("amd64", "", None),
    ],
)
def test_a_plugin_is_checked_against_its_host(
    built_for: str, machine: str, result: Result | None
) -> None:
    check = architecture_check(PLUGIN, built_for, machine)
    assert (check.result if check else None) == result


@pytest.mark.parametrize(
    ("its", "own", "result"),
    [
        ("0.1.0", "0.1.0", Result.OK),
        ("0.9.0", "0.10.0", Result.WARN),
        ("0.10.0", "0.9.0", Result.OK),
        ("", "0.1.0", None),
    ],
)
def test_a_plugin_is_checked_against_the_command(its: str, own: str, result: Result | None) -> None:
    check = version_check(PLUGIN, its, own)
    assert (check.result if check else None) == result


def test_without_an_engine_the_host_is_checked(host: Host) -> None:
    status, found = examined(host)
    assert status == 1
    assert found["engine.reachable"]["result"] == "fail"
    assert "systemctl start docker" in found["engine.reachable"]["remedy"]
    assert found["plugin"]["result"] == "skipped"
    assert "host.can-gw" in found


def test_an_unreachable_remote_engine_skips_the_host(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    status, found = examined(host)
    assert status == 1
    assert found["host"]["result"] == "skipped"


def test_an_unreachable_remote_context_skips_the_host(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(engine, "_address_of_context", lambda _: "tcp://127.0.0.1:1")
    status, found = examined(host)
    assert status == 1
    assert found["host"]["result"] == "skipped"
    assert "host.vcan" not in found


def test_checks_that_need_root_are_skipped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.engine([POWERTRAIN], [EVERCAN])

    monkeypatch.setattr(LocalHost, "exchange", _no_permission)
    _, found = examined(host)
    assert found["plugin.reachable"]["result"] == "skipped"
    assert "sudo" in found["plugin.reachable"]["text"] + found["plugin.reachable"]["remedy"]


def _no_permission(*_: object) -> bytes:
    raise NoAccess("no permission on evercan.sock", "run this as root (sudo)")


def test_a_remedy_is_one_line_in_a_narrow_terminal(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(status_document(network_document("powertrain", 1), recovery="fail-fast"))
    lines = host.run("doctor").out.splitlines()
    (remedy,) = (line for line in lines if "EVERCAN_RECOVERY=auto" in line)
    assert remedy.strip() == (
        "→ docker plugin disable -f evercan:latest && docker plugin set evercan:latest "
        "EVERCAN_RECOVERY=auto && docker plugin enable evercan:latest"
    )


LONG = "/var/lib/docker/plugins/0123456789abcdef0123456789abcdef/propagated-mount/state.json"


def report(check: Check, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(
        Page([check]), crop=False
    )
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "title", ["state file", "container vehicle-simulator-engine-control-unit-1"]
)
def test_the_report_never_breaks_a_path_or_a_command(width: int, title: str) -> None:
    command = f"sudo ls -l {LONG} && evercan adopt"
    text = f"cannot read the file {LONG}: the file is damaged and was not set aside by anything"
    lines = report(Check("x", title, Result.FAIL, text, command), width)
    assert f"  → {command}" in lines
    assert any(LONG in line for line in lines if "→" not in line)
    assert title in lines[0]
    shown = " ".join(lines).partition("→")[0].replace(title, "")
    assert shown.split() == ["✖", "fail", *text.split()]
    for line in lines:
        assert len(line) <= width or LONG in line or title in line


def test_a_problem_of_an_older_plugin_is_shown_as_its_text() -> None:
    text = "the interface eth0 is not CAN; choose another with vxcan.dev; or remove the network"
    reason = {"bus": "vcan0", "endpoint": None, "kind": "bus-foreign", "text": text}
    (found,) = health_checks(one_network(1, reasons=[reason]))
    assert found.text == text


def test_the_remedy_of_a_problem_is_shown_as_it_is() -> None:
    reason = {
        "bus": "vcan0",
        "endpoint": engine_id("dashboard"),
        "kind": "drift",
        "text": "1 rule is missing; 2 rules are surplus",
        "remedy": "restart its container, or set EVERCAN_RECOVERY=auto",
    }
    (found,) = health_checks(one_network(1, reasons=[reason]))
    assert found == Check(
        "health.drift",
        "container dashboard",
        Result.FAIL,
        "1 rule is missing; 2 rules are surplus",
        "restart its container, or set EVERCAN_RECOVERY=auto",
    )


def test_a_problem_without_a_remedy_gets_one() -> None:
    reason = {"bus": "vcan0", "endpoint": None, "kind": "refused", "text": "could not add 2 rules"}
    (found,) = health_checks(one_network(1, reasons=[reason]))
    assert found.remedy


def test_a_disabled_plugin(host: Host) -> None:
    host.engine([POWERTRAIN], [plugin_entry("evercan:latest", enabled=False)])
    status, found = examined(host)
    assert status == 1
    assert found["plugin.enabled"]["remedy"] == "docker plugin enable evercan:latest"
    assert found["plugin.reachable"]["result"] == "skipped"


def test_a_plugin_that_does_not_answer(host: Host) -> None:
    host.engine([POWERTRAIN], [EVERCAN])
    status, found = examined(host)
    assert status == 1
    assert "docker plugin enable" in found["plugin.reachable"]["remedy"]


def test_a_container_that_did_not_start_is_reported_with_the_engines_error(host: Host) -> None:
    failed = {"Name": "/logger", "State": {"Error": "no vcan; modprobe vcan"}}
    answers = engine_answers([POWERTRAIN], [EVERCAN], {"c1": failed})
    answers["/containers/json"] = (200, [{"Id": "c1"}])
    host.engine_that(answers)
    host.plugin(STATUS)
    status, found = examined(host)
    assert status == 1
    assert found["networks.refused"]["title"] == "container logger"


CAN_ONLY = {
    "Name": "/dashboard",
    "State": {},
    "Config": {"ExposedPorts": {"9000/tcp": {}}},
    "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
    "NetworkSettings": {"Networks": {"powertrain": {"NetworkID": engine_id("powertrain")}}},
}


@pytest.mark.parametrize(
    ("host_config", "shown"),
    [
        (CAN_ONLY["HostConfig"], "80/tcp"),
        ({"PortBindings": None, "PublishAllPorts": True}, "9000/tcp"),
        ({"PortBindings": {}, "PublishAllPorts": False}, ""),
    ],
)
def test_published_ports_are_read_from_the_engine(
    host: Host, host_config: dict[str, Any], shown: str
) -> None:
    container = {**CAN_ONLY, "HostConfig": host_config}
    host.engine([POWERTRAIN], [EVERCAN], {"id-of-dashboard": container})
    host.plugin(STATUS)
    _, found = examined(host)
    ports = found["networks.ports"]
    assert ports["result"] == ("warn" if shown else "ok")
    assert shown in ports["text"]


def test_warnings_alone_do_not_fail(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evercan.cli.access.host_facts.read_host", lambda _: COMPLETE)
    host.engine([POWERTRAIN], [EVERCAN])
    warning = reported("pair-replaced", engine_id("dashboard"))
    host.plugin(status_document(network_document("powertrain", 1), warnings=[warning]))
    status, found = examined(host)
    assert (status, found["health.pair-replaced"]["result"]) == (0, "warn")
    assert host.run("status").status == 0
    assert examined(host, "--strict")[0] == 1


def test_strict_counts_warnings(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evercan.cli.access.host_facts.read_host", lambda _: COMPLETE)
    pooled = {**POWERTRAIN, "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.18.0.0/16"}]}}
    host.engine([pooled], [EVERCAN])
    host.plugin(STATUS)
    assert examined(host)[0] == 0
    assert examined(host, "--strict")[0] == 1


def test_the_report_has_signs_remedies_and_a_verdict(host: Host) -> None:
    ended = host.run("doctor")
    assert ended.status == 1
    assert "✖ fail" in ended.out
    assert "→ start it" in ended.out
    assert "\x1b" not in ended.out
    assert ended.out.strip().endswith("from the top, then run this again.")
