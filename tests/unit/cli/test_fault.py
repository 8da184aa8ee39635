"""``evercan fault``: what it sends to the plugin and prints, and its exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evercan.cli.checks.health import health_checks
from evercan.cli.pages.graph_text import dot, mermaid
from evercan.cli.views.overview import Verdict
from evercan.cli.views.topology import buses
from evercan.model.fault import Effect, Fault
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import named, network_document, overview_of, status_document

EVERCAN = plugin_entry("evercan:latest")
DASHBOARD, GATEWAY = engine_id("dashboard"), engine_id("gateway")
POWERTRAIN = network_entry(
    engine_id("powertrain"), "powertrain", {"dashboard": DASHBOARD, "gateway": GATEWAY}
)


def fault(**more: Any) -> dict[str, Any]:
    """Return a fault as in ``GET /status``."""
    return {
        "source": DASHBOARD,
        "target": None,
        "ids": "123:7FF",
        "loss": 5.0,
        "delay": 0.0,
        "jitter": 0.0,
        "duplicate": 0.0,
        "corrupt": 0.0,
        "effect": "loss 5%",
        "ends_in": 43.4,
        "passed": 1234,
        "lost": 61,
        **more,
    }


def plugin_with(host: Host, *faults: dict[str, Any], **answers: Any) -> Any:
    """Let the plugin have faults and answer a call."""
    status = status_document(
        network_document("powertrain", 2, faults=list(faults), bridge=[bridged("vcan9")]),
        warnings=[
            {
                "kind": "fault-injected",
                "bus": "vcan0",
                "endpoint": None,
                "text": f"a fault is set on vcan0: frames from endpoint {DASHBOARD[:12]}: loss 5%",
                "remedy": "'evercan fault clear' removes it",
            }
        ]
        if faults
        else [],
    )
    host.engine([POWERTRAIN], [EVERCAN])
    return host.plugin_that({"/status": (200, status), **answers})


def bridged(name: str) -> dict[str, Any]:
    return {"name": name, "present": True, "up": True}


def test_set_sends_ids_for_names_and_the_texts_of_its_options(host: Host) -> None:
    answer = {"Bus": "vcan0", "Notes": ["programs on the host get no delay"]}
    asked = plugin_with(host, fault(), **{"/fault-set": (200, answer)})
    ended = host.run(
        *("fault", "set", "powertrain", "--from", "dashboard", "--to", "vcan9", "--id", "123:7FF"),
        *("--loss", "5%", "--delay", "20ms", "--jitter", "5ms", "--duplicate", "1%"),
        *("--corrupt", "0.1%", "--for", "60s"),
    )
    assert asked.bodies == [
        {
            "NetworkID": engine_id("powertrain"),
            "From": DASHBOARD,
            "To": "vcan9",
            "Id": "123:7FF",
            "Loss": "5%",
            "Delay": "20ms",
            "Jitter": "5ms",
            "Duplicate": "1%",
            "Corrupt": "0.1%",
            "For": "60s",
        }
    ]
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "powertrain: a fault is set: frames from dashboard with id 123:7FF: loss 5% (ends in 43 s)",
        "note: programs on the host get no delay",
        "clear it with: evercan fault clear powertrain",
    ]


def test_what_the_plugin_rejects_is_an_error_in_its_words(host: Host) -> None:
    rejected = {"Err": "option --loss='5': is not a percentage; give a number with a percent sign"}
    plugin_with(host, **{"/fault-set": (400, rejected)})
    ended = host.run("fault", "set", "powertrain", "--loss", "5")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"evercan: {rejected['Err']}\n"


@pytest.mark.parametrize("command", ["set", "clear"])
def test_a_name_that_is_not_on_the_network_is_an_error_that_lists_those_that_are(
    host: Host, command: str
) -> None:
    asked = plugin_with(host)
    ended = host.run("fault", command, "powertrain", "--to", "nobody")
    assert ended.status == 2
    assert ended.err == (
        "evercan: --to nobody is not on network powertrain; members: dashboard, gateway, vcan0, "
        "vcan9\n"
    )
    assert asked.bodies == []


def test_an_unknown_network_is_an_error(host: Host) -> None:
    plugin_with(host)
    ended = host.run("fault", "set", "nosuch", "--loss", "5%")
    assert (ended.status, ended.err) == (
        2,
        'evercan: no CAN network "nosuch"; networks: powertrain\n',
    )


def test_an_older_plugin_is_named(host: Host) -> None:
    plugin_with(host)
    ended = host.run("fault", "set", "powertrain", "--loss", "5%")
    assert "is older than this command; upgrade it" in ended.err


def test_show_lists_the_faults_with_what_they_did(host: Host) -> None:
    plugin_with(host, fault(), fault(source=None, target="vcan0", ids=None, ends_in=None, lost=0))
    ended = host.run("fault", "show")
    about = "powertrain: frames from dashboard with id 123:7FF"
    assert ended.out.splitlines() == [
        f"{about}: loss 5% (ends in 43 s, 1,234 passed, 61 lost)",
        "powertrain: frames to vcan0: loss 5% (1,234 passed, 0 lost)",
    ]
    document = json.loads(host.run("fault", "show", "powertrain", "--json").out)
    assert document["schema"] == 1
    assert document["faults"][0] == {
        "network": "powertrain",
        "bus": "vcan0",
        "source": "dashboard",
        "target": "",
        "ids": "123:7FF",
        "effect": "loss 5%",
        "ends_in": 43.4,
        "passed": 1234,
        "lost": 61,
    }


def test_a_fault_that_names_nothing_is_one_of_all_frames(host: Host) -> None:
    plugin_with(host, fault(source=None, ids=None))
    assert host.run("fault", "show").out.startswith("powertrain: all frames: loss 5%")
    everything = Fault(network="n", slot=1, effect=Effect(loss=50_000))
    assert everything.words(()) == "all frames: loss 5%"


def test_show_says_that_there_are_none(host: Host) -> None:
    plugin_with(host)
    assert host.run("fault", "show").out == "no faults are set\n"


def test_clear_sends_what_is_to_be_cleared_and_counts_it(host: Host) -> None:
    asked = plugin_with(host, fault(), **{"/fault-clear": (200, {"Cleared": 2})})
    assert host.run("fault", "clear").out == "2 faults cleared\n"
    host.run("fault", "clear", "powertrain", "--from", "gateway", "--to", "vcan0", "--id", "123")
    network = {"NetworkID": engine_id("powertrain")}
    assert asked.bodies == [
        network,
        {**network, "From": GATEWAY, "To": "vcan0", "Id": "123"},
    ]


def test_a_fault_is_a_warning_by_the_names_of_containers_everywhere(host: Host) -> None:
    plugin_with(host, fault())
    ended = host.run("status")
    assert ended.status == 0
    shown = " ".join(ended.out.split())
    assert "▲ a fault is set: frames from dashboard with id 123:7FF: loss 5%" in shown
    assert "evercan fault clear powertrain" in shown
    assert DASHBOARD[:12] not in shown


def test_graph_and_doctor_name_the_fault() -> None:
    overview = overview_of(named("powertrain", "dashboard", "gateway", faults=[fault()]))
    assert overview.verdict is Verdict.WARN
    assert not overview.other_warnings
    sentence = "a fault is set: frames from dashboard with id 123:7FF: loss 5% (ends in 43 s)"
    drawn = buses(overview.networks)
    assert sentence in mermaid(drawn)
    assert sentence in dot(drawn)
    (check,) = [one for one in health_checks(overview) if one.id == "health.fault-injected"]
    assert (check.result, check.text) == ("warn", sentence)
