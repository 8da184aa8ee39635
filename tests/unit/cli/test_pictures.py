"""Test the text in a picture: that it fits, and that names remain different."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evercan.cli.commands.graph import draw
from evercan.cli.pages import lettering
from evercan.cli.views.docker import DockerNetwork
from evercan.cli.views.overview import Overview, shown_state
from evercan.cli.views.status_document import parse_status
from evercan.cli.views.topology import buses
from tests.support.lettering import SVG, Written, true_width, written
from tests.support.overviews import (
    endpoint_document,
    listed,
    named,
    network_document,
    one_network,
    overview_of,
    status_document,
)


def picture(now: Overview) -> ET.Element:
    return ET.fromstring(draw(buses(now.networks), "svg"))  # noqa: S314 - drawn here


def texts(now: Overview) -> list[Written]:
    return list(written(picture(now)))


CASES: dict[str, Callable[[], Overview]] = {
    "3": lambda: one_network(3),
    "30": lambda: one_network(30),
    "capitals": lambda: overview_of(
        named("POWERTRAIN", "POWERTRAIN_GATEWAY", "W" * 40, "M" * 12, "i" * 40)
    ),
    "other scripts": lambda: overview_of(
        named("制御系", "制御ユニット前輪左側制御", "Steuergerät-für-Größenwahn")
    ),
    "two long titles": lambda: overview_of(
        named("vehicle-simulator_powertrain", "gateway"),
        named("vehicle-simulator_diagnostics", "tester", "logger", "dashboard"),
    ),
    "eight networks on one bus": lambda: overview_of(
        *(named(f"vehicle-simulator_network-{number}", f"node-{number}") for number in range(8))
    ),
    "one endless title": lambda: overview_of(named("x" * 200, "node"), named("y", bus="vcan1")),
    "a title in another script": lambda: overview_of(named("制御系ネットワーク" * 9, "node")),
    "a title that leaves no room for the count": lambda: overview_of(named("POWERTRAIN" * 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_all_text_is_inside_its_box_and_the_picture(case: str) -> None:
    for line in texts(CASES[case]()):
        assert line.bounds[0] <= line.left
        assert line.right <= line.bounds[1] - 4, line.text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="\x7f")))
def test_text_is_not_wider_than_estimated(text: str) -> None:
    wide = lettering.width(text, 13)
    for bold in (True, False):
        assert true_width(text, 13, bold=bold) <= wide + 1e-6


def names(now: Overview) -> list[str]:
    """Return the members' names as they are drawn."""
    found = [
        (element.text or "", element.attrib["class"]) for element in picture(now).iter(f"{SVG}text")
    ]
    return [text for text, style in found if "name" in style and "mono" not in style]


PROJECT = ("gateway", "dashboard", "body-computer", "engine-control-unit", "abs")
WHEELS = ("front-left", "front-right", "rear-left", "rear-right")


@pytest.mark.parametrize(
    "containers",
    [
        [f"vehicle-simulator-{service}-1" for service in PROJECT],
        [f"vehicle-simulator-gateway-{number}" for number in range(1, 12)],
        [f"vehicle-simulator-{wheel}-wheel-1" for wheel in WHEELS],
        [f"vehicle-simulator-{wheel}-wheel-speed-sensor-1" for wheel in WHEELS],
        [f"{project}-vehicle-simulator-gateway-1" for project in ("north", "south")],
        ["logger", *(f"project-of-{number}-a-gateway-simulator" for number in "ab")],
    ],
)
def test_shortened_names_remain_different(containers: list[str]) -> None:
    assert len(set(names(overview_of(named("powertrain", *containers))))) == len(containers)


def test_a_shortened_name_keeps_most_of_its_end() -> None:
    (name,) = names(overview_of(named("powertrain", "vehicle-simulator-dashboard-1")))
    assert name == "vehi…dashboard-1"


def test_a_container_on_two_networks_of_one_bus_has_one_name() -> None:
    alone, *others = (f"vehicle-simulator-{service}-1" for service in PROJECT)
    now = overview_of(named("one", alone, *others), named("two", alone))
    assert len(names(now)) == len(PROJECT) + 1
    assert len(set(names(now))) == len(PROJECT)


@given(st.text(st.characters(min_codepoint=32)), st.floats(0, 400))
def test_a_shortened_text_fits(text: str, room: float) -> None:
    short = lettering.shortened(text, 13, room)
    assert lettering.width(short, 13) <= max(room, lettering.width("…", 13)) + 1e-6


SPEEDS = {
    "500 kbit/s": (500_000, None),
    "83.333 kbit/s": (83_333, None),
    "500 / 2000 kbit/s": (500_000, 2_000_000),
    "1000 / 8000 kbit/s": (1_000_000, 8_000_000),
    "123.456 / 1234.57 kbit/s": (123_456, 1_234_567),
}


def controlled(
    speed: str, *containers: str, bus: str = "can0"
) -> tuple[DockerNetwork, dict[str, Any]]:
    bitrate, dbitrate = SPEEDS[speed]
    controller = {"state": "error-passive", "bitrate": bitrate, "dbitrate": dbitrate}
    return named("body", *containers, bus=bus, kind="physical", controller=controller)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("members", range(4))
def test_a_controllers_head_has_a_line_for_each_fact(speed: str, members: int) -> None:
    containers = [f"node-{number}" for number in range(members)]
    found = picture(overview_of(controlled(speed, *containers, bus="can_chassis_fd1")))
    (box,) = (rect for rect in found.iter(f"{SVG}rect") if "head" in rect.attrib["class"])
    top, height = (float(box.attrib[key]) for key in ("y", "height"))
    lines = [line for line in written(found) if line.left < 100 and top < line.y < top + height]
    assert [line.text for line in lines] == [
        "can_chassis_fd1",
        "CAN controller",
        speed,
        "error-passive",
    ]
    assert all(below.y - above.y >= 14 for above, below in pairwise(lines))
    assert lines[0].y >= top + 15
    assert lines[-1].y <= top + height - 10
    assert all(line.right <= line.bounds[1] - 4 for line in lines)


@pytest.mark.parametrize("format_", ["mermaid", "dot"])
def test_the_text_formats_show_a_controllers_speed(format_: str) -> None:
    shown = buses(overview_of(controlled("500 / 2000 kbit/s")).networks)
    assert "CAN controller, 500 / 2000 kbit/s" in draw(shown, format_)


def titles(now: Overview) -> list[Written]:
    return [line for line in texts(now) if line.left < 30]


def test_a_long_title_continues_in_the_next_line() -> None:
    now = CASES["eight networks on one bus"]()
    found = titles(now)
    title = " ".join(line.text for line in found[:-1])
    assert found[-1].text.startswith("vehicle-simulator_network-0 shares vcan0")
    assert title == " + ".join(network.name for network in now.networks) + " 8 members"
    assert all(below.y - above.y >= 20 for above, below in pairwise(found[:-1]))
    assert found[-1].y - found[-2].y >= 16
    boxes = [rect for rect in picture(now).iter(f"{SVG}rect") if "card" in rect.attrib["class"]]
    assert found[-1].y + 10 < min(float(box.attrib["y"]) for box in boxes)


def test_a_short_title_has_one_line() -> None:
    assert [title.text for title in titles(one_network(3))] == ["powertrain 3 members"]


def test_a_shortened_title_has_the_whole_title_as_its_tooltip() -> None:
    now = CASES["one endless title"]()
    assert "x" * 200 in {element.text for element in picture(now).iter(f"{SVG}title")}
    assert "x" * 200 not in {line.text for line in texts(now)}


STOPPED = {"present": False, "up": False}
STATES: dict[str, dict[str, Any]] = {
    "dormant": {"phase": "dormant", **STOPPED},
    "left": {"phase": "left", **STOPPED},
    "created": {"phase": "created"},
    "offered": {"phase": "offered"},
    "gone": {"present": False},
    "down": {"up": False},
}


def in_state(state: str) -> Overview:
    endpoints = [endpoint_document("a"), endpoint_document("b", **STATES[state])]
    return overview_of(named("powertrain", "a", "b", endpoints=endpoints))


@pytest.mark.parametrize("state", STATES)
def test_every_state_except_joined_is_shown(state: str) -> None:
    now, shown = in_state(state), shown_state(state)
    assert [line.text for line in texts(now)].count(shown) == 1
    for format_ in ("mermaid", "dot"):
        text = draw(buses(now.networks), format_)
        assert len(re.findall(rf'[>n]{shown}[<\\"]', text)) == 1
        assert "joined" not in text


@pytest.mark.parametrize("state", STATES)
def test_a_member_that_does_not_run_is_grey_and_dashed(state: str) -> None:
    now = in_state(state)
    stopped = state in ("dormant", "left")
    (_, group) = (group for group in picture(now).iter(f"{SVG}g") if len(group) > 5)
    box = next(element for element in group if element.attrib.get("class", "").startswith("card"))
    assert ("stroke-dasharray" in box.attrib) is stopped
    styles = {style for element in group for style in element.attrib.get("class", "").split()}
    assert ({"rest", "rest-fill"} <= styles) is stopped
    assert not stopped or not {"ok", "ok-fill", "ink"} & styles
    mermaid, dot = (draw(buses(now.networks), format_) for format_ in ("mermaid", "dot"))
    assert (":::rest\n" in mermaid) is stopped
    assert bool(re.search(r"classDef rest .*stroke-dasharray", mermaid)) is stopped
    assert ('style="rounded,dashed"' in dot) is stopped


def test_a_problem_of_a_member_that_does_not_run_is_shown() -> None:
    stopped = endpoint_document("a", **STATES["dormant"])
    network, document = named("powertrain", "a", endpoints=[stopped])
    reason = {"bus": "vcan0", "endpoint": stopped["endpoint"], "kind": "refused", "text": "no"}
    now = parse_status("evercan:latest", [network], status_document(document, reasons=[reason]))
    assert "refused" in {line.text for line in texts(now)}
    assert ":::fail" in draw(buses(now.networks), "mermaid")
    assert ":::rest" not in draw(buses(now.networks), "mermaid")


@pytest.mark.parametrize(
    ("sent", "received", "figures"),
    [
        (0, 9_999, "↑ 0  ↓ 9,999"),
        (5, 12_000_000, "↑ 5  ↓ 12.0M"),
        (987_654_321_098, 999_949_999_999, "↑ 987.7G  ↓ 999.9G"),
    ],
)
def test_frame_counts_fit_their_box(sent: int, received: int, figures: str) -> None:
    frames = {"sent": sent, "received": received, "dropped": 0, "deleted": 0}
    endpoint = endpoint_document("busy", frames=frames)
    found = texts(overview_of(named("powertrain", "busy", endpoints=[endpoint])))
    (line,) = (line for line in found if "↑" in line.text)
    assert line.text == figures
    assert line.right <= line.bounds[1] - 4


BRIDGE = [
    {"name": "vcan9", "present": True, "up": True},
    {"name": "can1", "present": False, "up": False},
]


@pytest.mark.parametrize("form", ["svg", "mermaid", "dot"])
def test_a_picture_names_the_bridged_interfaces_of_a_bus(form: str) -> None:
    now = overview_of((listed("powertrain", 2), network_document("powertrain", 2, bridge=BRIDGE)))
    assert "bridged: vcan9, can1 (absent)" in draw(buses(now.networks), form)
    assert "bridged" not in draw(buses(one_network(2).networks), form)
