"""Test the pages at 80 columns and the pictures, with 0, 1, 3 and 30 members.

The expected pages are in the folder ``pages``. EVERCAN_WRITE_PAGES=1 writes them again; read
them before you commit them.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from evercan.cli.checks.health import health_checks
from evercan.cli.commands import status as command
from evercan.cli.commands.graph import draw
from evercan.cli.errors import CliError
from evercan.cli.pages import graph_text, status, watch
from evercan.cli.pages.terminal import NOT_RUNNING_SIGN, SIGN
from evercan.cli.views import words
from evercan.cli.views.overview import (
    MemberView,
    Overview,
    Verdict,
    select_networks,
    shown_state,
)
from evercan.cli.views.rates import History, rates
from evercan.cli.views.scene import Measured
from evercan.cli.views.status_document import parse_status
from evercan.cli.views.topology import buses
from evercan.cli.views.words import count, short_count
from tests.support.engine import STATUS_SCHEMA, engine_id
from tests.support.overviews import (
    NOW,
    container_name,
    endpoint_document,
    listed,
    network_document,
    one_network,
    status_document,
)

PAGES = Path(__file__).parent / "pages"
WIDTH = 80
COUNTERS = [0, 7, 4_001, 12_345, 999_999, 123_456_789, 2_234_567_890, 10**12]


def drawn(page: RenderableType, width: int = WIDTH) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(page)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def compare(name: str, text: str) -> None:
    kept = PAGES / name
    if os.environ.get("EVERCAN_WRITE_PAGES"):
        PAGES.mkdir(exist_ok=True)
        kept.write_text(text)
    assert text == kept.read_text()


@given(
    st.integers(44, 130),
    st.lists(st.tuples(*[st.sampled_from(COUNTERS)] * 3), min_size=1, max_size=4),
)
def test_status_never_cuts_a_number(width: int, figures: list[tuple[int, int, int]]) -> None:
    network = network_document("powertrain", len(figures))
    for endpoint, (sent, received, dropped) in zip(network["endpoints"], figures, strict=True):
        endpoint["frames"] = {"sent": sent, "received": received, "dropped": dropped, "deleted": 0}
    listing = [listed("powertrain", len(figures))]
    page = drawn(status.page([parse_status("p", listing, status_document(network))]), width)
    rows = [line for line in page.splitlines() if "joined" in line]
    assert len(rows) == len(figures)
    whole = {form(figure) for row in figures for figure in row for form in (count, short_count)}
    for row in rows:
        assert set(row.partition("joined")[2].split()) <= whole


def unhealthy() -> Overview:
    """Return an overview with one problem of every kind."""
    gone = endpoint_document("gateway", 1, present=False)
    dormant = endpoint_document("logger", 2, phase="dormant", present=False, up=False)
    frames = {"sent": 11_999_880, "received": 103_999, "dropped": 12, "deleted": 0}
    busy = endpoint_document("dashboard", frames=frames)
    recovery = {"at": NOW - 190, "what": "2 rules were missing and were added"}
    return parse_status(
        "evercan:latest",
        [
            listed("powertrain", 2),
            listed("body", 1, first=5),
            listed("empty", 0),
            listed("lost", 1),
        ],
        status_document(
            network_document("powertrain", 3, endpoints=[busy, gone, dormant]),
            network_document(
                "body",
                1,
                bus="can0",
                kind="physical",
                owns_bus=False,
                endpoints=[endpoint_document(container_name(5), 3)],
                controller={"state": "error-passive", "bitrate": 500_000, "dbitrate": 2_000_000},
                last_recovery=recovery,
            ),
            network_document("empty", 0, bus="vcan7", present=False, up=False),
            network_document("unlisted", 0, bus="vcan8", up=False),
            reasons=[
                {
                    "bus": "vcan0",
                    "endpoint": gone["endpoint"],
                    "kind": "pair-missing",
                    "text": "the interface pair of a running container is missing",
                    "remedy": "restart the container",
                },
                {
                    "bus": "vcan7",
                    "endpoint": None,
                    "kind": "bus-absent",
                    "text": "the bus interface vcan7 is absent",
                    "remedy": "plug it in",
                },
            ],
        ),
    )


def warned() -> Overview:
    """Return a healthy overview with warnings, and two networks that share a bus by default."""
    down, replaced = endpoint_document("dashboard"), endpoint_document("gateway", 1)
    warnings = [
        {
            "bus": "vcan0",
            "endpoint": down["endpoint"],
            "kind": "end-down",
            "text": "the interface inside the container is down",
            "remedy": "bring it up there, or restart the container",
        },
        {
            "bus": "vcan0",
            "endpoint": replaced["endpoint"],
            "kind": "pair-replaced",
            "text": "the interface pair was replaced while its container ran",
            "remedy": "programs in the container must re-open their socket, or restart the "
            "container",
        },
        {
            "bus": "vcan7",
            "endpoint": None,
            "kind": "bus-no-fd",
            "text": "the bus interface vcan7 has MTU 16",
            "remedy": "set its MTU to 72",
        },
    ]
    return parse_status(
        "evercan:latest",
        [listed("one_can", 2), listed("two_can", 1, first=2), listed("old", 0)],
        status_document(
            network_document("one_can", 0, endpoints=[down, replaced]),
            network_document("two_can", 0, endpoints=[endpoint_document("logger", 2)]),
            network_document("old", 0, bus="vcan7"),
            warnings=warnings,
        ),
    )


SHOWN: dict[str, Callable[[], Overview]] = {
    "nothing": lambda: parse_status("evercan:latest", [], status_document()),
    "0": lambda: one_network(0),
    "1": lambda: one_network(1),
    "3": lambda: one_network(3),
    "30": lambda: one_network(30),
    "unhealthy": unhealthy,
    "warned": warned,
    # A plugin older than this command: no frames, no version, no clock.
    "older": lambda: parse_status(
        "evercan:latest",
        [listed("powertrain", 1)],
        {
            "networks": [
                {
                    key: value
                    for key, value in network_document(
                        "powertrain",
                        1,
                        endpoints=[
                            {
                                key: endpoint_document("dashboard")[key]
                                for key in ("endpoint", "phase", "host_end", "present")
                            }
                        ],
                    ).items()
                    if key in ("network", "bus", "kind", "present", "up", "endpoints")
                }
            ]
        },
    ),
}


def test_the_documents_of_these_tests_match_the_schema() -> None:
    STATUS_SCHEMA.validate(status_document(network_document("powertrain", 3)))


@pytest.mark.parametrize("name", SHOWN)
def test_status(name: str) -> None:
    text = drawn(status.page([SHOWN[name]()]))
    assert max(map(len, text.splitlines())) <= WIDTH
    compare(f"status-{name}.txt", text)


@pytest.mark.parametrize("name", SHOWN)
def test_watch(name: str) -> None:
    now = SHOWN[name]()
    history = History()
    for seconds in (3.0, 9.0, 1.0, 2.0):
        found = rates(half_of(now), now, seconds)
        history = history.after(found)
    text = drawn(watch.page([now], Measured(found, history), width=WIDTH - 4))
    assert {len(line) for line in text.splitlines() if line[0] in "╭│╰"} <= {WIDTH - 4}
    compare(f"watch-{name}.txt", text)


def half_of(now: Overview) -> Overview:
    """Return an earlier overview, with half as many frames."""

    def half(figure: int | None) -> int | None:
        return None if figure is None else figure // 2

    return replace(
        now,
        networks=tuple(
            replace(
                network,
                from_bus=half(network.from_bus),
                members=tuple(
                    replace(member, sent=half(member.sent), received=half(member.received))
                    for member in network.members
                ),
            )
            for network in now.networks
        ),
    )


def watch_page(overviews: list[Overview]) -> RenderableType:
    return watch.page(overviews, Measured(), width=WIDTH - 4)


def watched(*overviews: Overview, width: int = WIDTH - 4) -> str:
    return drawn(watch.page(overviews, Measured(), width=width), width)


def test_watch_says_how_to_create_a_network_of_the_existing_plugin() -> None:
    text = " ".join(
        watched(replace(one_network(0), plugin="wsovalle/vxcan:latest", networks=())).split()
    )
    assert "docker network create -d wsovalle/vxcan:latest --ipam-driver null NAME" in text
    assert "evercan:latest" not in text


def test_watch_shows_problems_of_the_plugin_as_a_whole() -> None:
    wrong = {"bus": "", "endpoint": None, "kind": "record", "text": "cannot write the state file"}
    other = {"bus": "vcan9", "endpoint": None, "kind": "bus-absent", "text": "it is absent"}
    found = one_network(1, reasons=[wrong, other])
    assert watched(found).splitlines()[:2] == ["✖ cannot write the state file", "✖ it is absent"]
    assert "✖ cannot write the state file" in watched(replace(found, networks=()))
    # The plugin is named only if there are several.
    second = replace(found, plugin="other:latest", problems=(), networks=())
    assert "✖ evercan:latest: cannot write the state file" in watched(second, found)


def test_a_lost_pair_is_named_by_its_container_on_every_page() -> None:
    now = unhealthy()
    named = "container gateway: the interface pair of a running container is missing"
    assert named in " ".join(drawn(status.page([now])).split())
    assert named in " ".join(watched(now).replace("│", " ").split())
    check = next(health_checks(now))
    assert check.title == "container gateway"
    for page in (drawn(status.page([now])), watched(now)):
        assert "→ docker restart gateway" in page
    picture = draw(buses(now.networks), "svg")
    titles = [element.text or "" for element in ET.fromstring(picture).iter(f"{_SVG}title")]  # noqa: S314 - drawn here
    (tooltip,) = (title for title in titles if title.startswith("gateway\n"))
    assert tooltip.splitlines()[-1] == "docker restart gateway"


def words_of(page: str) -> str:
    return " ".join(page.replace("│", " ").split())


def test_warnings_are_shown_with_their_container_and_their_remedy() -> None:
    now = warned()
    for page in (drawn(status.page([now])), watched(now)):
        shown = words_of(page)
        assert "▲ container dashboard: the interface inside the container is down" in shown
        assert "→ bring it up there, or restart the container" in shown
        assert "▲ container gateway: the interface pair was replaced" in shown
        assert "must re-open their socket, or restart the container" in shown
        assert "▲ the bus interface vcan7 has MTU 16 → set its MTU to 72" in shown
        assert "▲ end-down" in shown
        assert "✖" not in shown


def test_a_problem_is_shown_before_a_warning_of_the_same_container() -> None:
    lost = {"bus": "vcan0", "endpoint": engine_id("dashboard"), "kind": "drift", "text": "lost"}
    warning = {**lost, "kind": "pair-replaced", "text": "replaced"}
    now = one_network(1, reasons=[lost], warnings=[warning])
    (member_,) = now.networks[0].members
    assert (member_.state, member_.verdict) == ("drift", Verdict.FAIL)
    page = drawn(status.page([now]))
    assert page.index("lost") < page.index("replaced")


def test_warnings_about_no_network_are_shown_too() -> None:
    other = {"bus": "vcan9", "endpoint": None, "kind": "bus-no-fd", "text": "MTU 16"}
    now = one_network(1, warnings=[other])
    assert "▲ MTU 16" in drawn(status.page([now]))
    assert watched(now).splitlines()[0] == "▲ MTU 16"
    assert now.only(["powertrain"]).warnings == ()


def test_a_plugin_without_warnings_is_read_as_before() -> None:
    assert SHOWN["older"]().warnings == ()
    assert SHOWN["older"]().verdict is Verdict.OK


def test_the_graph_marks_warnings_and_shared_buses() -> None:
    shown = buses(warned().networks)
    assert [bus.verdict for bus in shown] == [Verdict.OK, Verdict.WARN]
    for format_ in ("mermaid", "dot", "json", "svg"):
        text = draw(shown, format_)
        for phrase in ("pair-replaced", "end-down", "one_can shares vcan0 with network two_can"):
            assert phrase in text, (format_, phrase)
        assert text.count("shares vcan0 with") == (2 if format_ == "svg" else 1)  # and a tooltip
        assert "the bus interface vcan7 has MTU 16" in text
    assert ":::warn" in draw(shown, "mermaid")
    assert "must re-open their socket" in draw(shown, "svg")


# --- networks that share a bus ---------------------------------------------------------


def sharing(*options: dict[str, str]) -> list[str]:
    names = [f"n{number}" for number in range(len(options))]
    found = parse_status(
        "p",
        [
            replace(listed(name, 0), options=given)
            for name, given in zip(names, options, strict=True)
        ],
        status_document(*(network_document(name, 0) for name in names)),
    )
    return [network.sharing for network in found.networks]


ZERO = {"vxcan.id": "0"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([{}], [""]),
        ([{}, {}], ["shares vcan0 with network n1", "shares vcan0 with network n0"]),
        ([{}, ZERO], ["shares vcan0 with network n1", "shares vcan0 with network n0"]),
        ([ZERO, ZERO], ["", ""]),  # asked for
        (
            [ZERO, {}, ZERO],
            [
                "shares vcan0 with network n1",
                "shares vcan0 with networks n0, n2",
                "shares vcan0 with network n1",
            ],
        ),
    ],
)
def test_networks_name_those_they_share_a_bus_with_unless_all_chose_it(
    options: list[dict[str, str]], expected: list[str]
) -> None:
    assert sharing(*options) == expected


def test_a_crowded_bus_names_three_networks() -> None:
    assert sharing(*[{}] * 6)[0] == "shares vcan0 with networks n1, n2, n3 and 2 more"


def test_status_and_watch_report_sharing_which_is_no_warning() -> None:
    now = parse_status(
        "p",
        [listed("one", 0), listed("two", 0)],
        status_document(network_document("one", 0), network_document("two", 0)),
    )
    assert now.verdict is Verdict.OK
    for page in (drawn(status.page([now])), watched(now)):
        assert "shares vcan0 with network two" in page
        assert "shares vcan0 with network one" in page
    (selected,) = select_networks([now], ["one"])
    assert "shares vcan0 with network two" in drawn(status.page([selected]))


@pytest.mark.parametrize("page", [status.page, watch_page])
def test_a_member_that_does_not_run_is_grey(
    page: Callable[[list[Overview]], RenderableType],
) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, force_terminal=True, color_system="standard")
    console.print(page([unhealthy()]))
    (line,) = (line for line in stream.getvalue().splitlines() if "not running" in line)
    assert "\x1b[90m○ not running" in line  # bright black
    assert "\x1b[32m●" not in line


def test_watch_shows_a_problem_of_a_bus_once() -> None:
    assert watched(unhealthy()).count("vcan7 is absent") == 1


FIGURES = ("sent/s", "recv/s", "sent", "dropped")


def member(name: str, **more: Any) -> MemberView:
    given = {"host_end": "vxcan2686af9f", "state": "joined", "verdict": Verdict.OK, **more}
    return MemberView(name, engine_id(name), **given)


def rows(page: str) -> list[list[str]]:
    """Return the words of the table's lines, its header first, without bars."""
    lines = [line.strip("│ ").split() for line in page.splitlines() if line.startswith("│")]
    first = next(place for place, line in enumerate(lines) if line[0] == "container")
    return [[word for word in line if not set(word) <= set("█▏▎▍▌▋▊▉")] for line in lines[first:]]


def of(*members: MemberView, **more: Any) -> Overview:
    bus = one_network(0).networks[0]
    return replace(one_network(0), networks=(replace(bus, members=members, **more),))


@pytest.mark.parametrize(
    ("width", "figures"),
    [
        (120, "on the host state sent/s recv/s sent dropped - - 12,345,678 12,345,678"),
        (76, "state sent/s recv/s sent dropped - - 12,345,678 12,345,678"),
        (70, "state sent/s recv/s sent dropped - - 12M 12,345,678"),
        (65, "state sent/s recv/s sent dropped - - 12M 12M"),
        (60, "state sent/s recv/s dropped - - 12M"),  # and a bar
        (58, "state sent/s recv/s dropped - - 12,345,678"),
        (50, "state sent/s recv/s dropped - - 12M"),
        (46, "state sent/s dropped - 12,345,678"),
        (44, "state sent/s dropped - 12M"),
        (36, "state sent/s -"),
    ],
)
def test_watch_leaves_out_columns_that_do_not_fit(width: int, figures: str) -> None:
    found = of(member("battery-charger", sent=12_345_678, dropped=12_345_678))
    header, row = rows(watched(found, width=width))
    assert row[0] == "battery-charger"
    assert " ".join(header[1:] + row[row.index("joined") + 1 :]) == figures


def test_watch_keeps_names_with_the_same_start_different() -> None:
    names = [f"vehicle-of-tomorrow-gateway-service-{number}" for number in range(3)]
    text = watched(of(*map(member, names)), width=36)
    assert len({row[0] for row in rows(text)}) == 1 + len(names)


def test_watch_leaves_out_parts_of_a_heading_that_do_not_fit() -> None:
    bus = {"name": "body", "bus": "can0", "kind": "physical", "state": "error-passive"}
    found = of(member("x"), **bus, controller={"bitrate": 500_000, "dbitrate": 2_000_000})
    headings = {
        width: watched(found, width=width).splitlines()[0].strip("╭─╮ ") for width in (80, 70, 50)
    }
    assert headings == {
        80: "body  can0 (CAN controller)  ● error-passive  1 member, 500 / 2000 kbit/s",
        70: "body  can0 (CAN controller)  ● error-passive  1 member",
        50: "body  can0  ● error-passive",
    }
    long = of(member("x"), name="a-network-with-a-name-of-more-than-thirty-six-columns")
    assert watched(long, width=36).splitlines()[0].endswith("  ● up ─╮")


_COUNTS = st.none() | st.integers(0, 10**12)
_MEMBERS = st.builds(
    member,
    st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,39}", fullmatch=True),
    state=st.sampled_from(["joined", "dormant", "gone", "not on record", "altname-missing"]),
    verdict=st.sampled_from(Verdict),
    sent=_COUNTS,
    received=_COUNTS,
    dropped=_COUNTS,
)


@given(
    now=st.builds(
        lambda members, from_bus: of(*members, from_bus=from_bus),
        st.lists(_MEMBERS, min_size=1, max_size=5, unique_by=lambda member: member.container),
        _COUNTS,
    ),
    seconds=st.floats(0.2, 60),
    width=st.integers(36, 120),  # of a window of 40 columns, and more
)
def test_watch_never_cuts_a_number(now: Overview, seconds: float, width: int) -> None:
    found = rates(half_of(now), now, seconds)
    page = drawn(watch.page([now], Measured(found, History().after(found)), width=width), width)
    (network,) = now.networks
    assert {len(line) for line in page.splitlines()} == {width}

    curve = page.splitlines()[1].strip("│ ").split()
    assert curve[0] == words.rate(found.bus[network.id])
    if "peak" in curve:
        assert curve[-1] == curve[0]

    header, *lines = rows(page)
    shown = [figure for figure in FIGURES if figure in header]
    assert "sent/s" in shown
    assert " ".join(header) in {
        " ".join(("container", *more, *shown)) for more in ((), ("state",), ("on the host state",))
    }
    for member, line in zip(network.members, lines, strict=True):
        name, between, figures = line[0], line[1 : -len(shown)], line[-len(shown) :]
        assert name == member.container or _shortened(name, member.container)
        sign = SIGN[member.verdict] if member.running else NOT_RUNNING_SIGN
        state = shown_state(member.state)
        assert " ".join(between) in {
            sign,
            f"{sign} {state}",
            f"{member.host_end} {sign} {state}",
        }
        for title, figure in zip(shown, figures, strict=True):
            assert (
                figure
                in {
                    "sent/s": {words.rate(found.sent[member.endpoint])},
                    "recv/s": {words.rate(found.received[member.endpoint])},
                    "sent": {words.count(member.sent), words.short_count(member.sent)},
                    "dropped": {words.count(member.dropped), words.short_count(member.dropped)},
                }[title]
            )


def _shortened(name: str, whole: str) -> bool:
    start, _, end = name.partition("…")
    return len(name) >= 14 and whole.startswith(start) and whole.endswith(end)


def test_a_pipe_gets_whole_names() -> None:
    text = drawn(status.page([one_network(30)]), 500)
    for number in range(30):
        assert container_name(number) in text


@pytest.mark.parametrize(
    ("shown", "verdict", "exit_status"),
    [
        ("3", Verdict.OK, 0),
        ("nothing", Verdict.OK, 0),
        ("warned", Verdict.WARN, 0),
        ("unhealthy", Verdict.FAIL, 1),
    ],
)
def test_the_exit_status_reports_failures(shown: str, verdict: Verdict, exit_status: int) -> None:
    found = SHOWN[shown]()
    assert found.verdict is verdict
    assert command.exit_status([found]) == exit_status


# --- pictures --------------------------------------------------------------------

_SVG = "{http://www.w3.org/2000/svg}"


def boxes(picture: ET.Element) -> list[tuple[float, ...]]:
    return [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in picture.iter(f"{_SVG}rect")
        if rect.attrib["class"].split()[0] in ("card", "head")
    ]


@pytest.mark.parametrize("name", SHOWN)
def test_the_picture_shows_all_members_without_overlap(name: str) -> None:
    now = SHOWN[name]()
    text = draw(buses(now.networks), "svg")
    picture = ET.fromstring(text)  # noqa: S314 - drawn here
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    titles = " ".join(element.text or "" for element in picture.iter(f"{_SVG}title"))
    for network in now.networks:
        for member in network.members:
            assert member.container in titles
    found = boxes(picture)
    members = sum(len(network.members) for network in now.networks)
    assert len(found) == members + len(buses(now.networks))
    for number, (x, y, wide, high) in enumerate(found):
        assert 0 <= x < x + wide <= width
        assert 0 <= y < y + high <= height
        for other_x, other_y, other_wide, other_high in found[number + 1 :]:
            apart = (
                x + wide <= other_x
                or other_x + other_wide <= x
                or y + high <= other_y
                or other_y + other_high <= y
            )
            assert apart
    # It is legible on a page: six members side by side at the most.
    assert width <= 1400


@pytest.mark.parametrize("members", range(32))
def test_the_line_of_a_bus_passes_all_members(members: int) -> None:
    picture = ET.fromstring(draw(buses(one_network(members).networks), "svg"))  # noqa: S314 - drawn here
    knots = [circle for circle in picture.iter(f"{_SVG}circle") if circle.attrib["r"] != "6"]
    assert len(knots) == members
    wire = next(path for path in picture.iter(f"{_SVG}path") if path.attrib["class"] == "wire")
    rows = {knot.attrib["cy"] for knot in knots}
    assert len(rows) == max(1, -(-members // 12)) or members == 0
    heights = re.findall(r"[MV] ?(?:\d+ )?(\d+)", wire.attrib["d"])
    assert float(heights[0]) == min((float(row) for row in rows), default=float(heights[0]))


@pytest.mark.parametrize("name", SHOWN)
def test_mermaid_and_dot_show_all_members(name: str) -> None:
    now = SHOWN[name]()
    mermaid, dot = (draw(buses(now.networks), format_) for format_ in ("mermaid", "dot"))
    assert mermaid.startswith("flowchart LR\n")
    for network in now.networks:
        for member in network.members:
            assert member.container in mermaid
            assert member.container in dot
    members = sum(len(network.members) for network in now.networks)
    assert mermaid.count(" --- ") == members
    assert dot.count(" -- ") == members
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=dot.encode(), capture_output=True, check=True)


def test_names_with_special_characters_are_escaped() -> None:
    nasty = 'a"b<c>&\\d]'
    found = parse_status(
        "evercan:latest", [listed(nasty, 1)], status_document(network_document(nasty, 1))
    )
    shown = buses(found.networks)
    ET.fromstring(draw(shown, "svg"))  # noqa: S314 - drawn here
    assert '"a#quot;b#lt;c' in draw(shown, "mermaid")
    if shutil.which("dot"):
        text = draw(shown, "dot").encode()
        subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, check=True)


def test_networks_on_one_interface_are_one_bus() -> None:
    found = parse_status(
        "evercan:latest",
        [listed("one", 1), listed("two", 0)],
        status_document(network_document("one", 1), network_document("two", 0)),
    )
    (bus,) = buses(found.networks)
    assert bus.networks == ("one", "two")


def test_networks_are_selected_by_name() -> None:
    (all_of_them,) = select_networks([unhealthy()], [])
    assert len(all_of_them.networks) == len(unhealthy().networks)
    (selected,) = select_networks([unhealthy()], ["body"])
    assert [network.name for network in selected.networks] == ["body"]
    assert selected.problems == ()
    with pytest.raises(CliError, match=r'no CAN network "x"; networks: .*powertrain$'):
        select_networks([unhealthy()], ["x"])


def test_an_unknown_network_without_any_says_how_to_create_it() -> None:
    empty = parse_status("evercan:0.2", [], status_document())
    with pytest.raises(CliError) as raised:
        select_networks([empty], ["x", "y"])
    assert str(raised.value) == (
        'no CAN network "x"; create it: docker network create -d evercan:0.2 --ipam-driver null x'
    )


# --- rates -----------------------------------------------------------------------


def at(sent: int, from_bus: int = 0) -> Overview:
    frames: dict[str, Any] = {"sent": sent, "received": 0, "dropped": 0, "deleted": 0}
    return parse_status(
        "evercan:latest",
        [listed("powertrain", 1)],
        status_document(
            network_document(
                "powertrain",
                1,
                frames={"from_bus": {"handled": from_bus}},
                endpoints=[endpoint_document("dashboard", frames=frames)],
            )
        ),
    )


def test_rates_are_differences_over_time() -> None:
    found = rates(at(100, 10), at(300, 30), 2.0)
    assert found.sent[engine_id("dashboard")] == 100.0
    assert found.bus[engine_id("powertrain")] == 110.0


def test_a_restarted_counter_counts_from_zero() -> None:
    assert rates(at(1000), at(50), 1.0).sent[engine_id("dashboard")] == 50.0


def test_the_first_overview_and_no_time_have_no_rates() -> None:
    assert rates(None, at(5), 1.0).sent[engine_id("dashboard")] is None
    assert rates(at(1), at(5), 0.0).sent[engine_id("dashboard")] is None


def shared(step: int, names: str = "") -> Overview:
    """Two networks on one interface: 10 frames of each member a step, 30 from the bus itself."""
    moved = {"sent": 10 * step, "received": 0, "dropped": 0, "deleted": 0}
    frames = {"from_bus": {"handled": 3 * 30 * step}}
    there = {f"{names}one": ["dashboard"], f"{names}two": ["gateway", "logger"]}
    return parse_status(
        "evercan:latest",
        [],
        status_document(
            *(
                network_document(
                    network,
                    0,
                    frames=frames,
                    endpoints=[
                        endpoint_document(names + member, frames=moved) for member in members
                    ],
                )
                for network, members in there.items()
            )
        ),
    )


def test_networks_on_one_interface_show_the_rate_of_their_bus() -> None:
    found = rates(shared(1), shared(2), 1.0)
    assert found.bus == {engine_id("one"): 60.0, engine_id("two"): 60.0}


def test_a_network_that_is_new_on_a_bus_shows_its_rate_at_once() -> None:
    before = shared(1)
    before = replace(before, networks=before.networks[:1])
    # What its members sent before is not known yet.
    assert rates(before, shared(2), 1.0).bus[engine_id("two")] == 30.0 + 10.0


def test_a_network_without_members_shows_the_rate_of_its_bus() -> None:
    before, now = (
        replace(
            overview_,
            networks=(replace(overview_.networks[0], members=()), *overview_.networks[1:]),
        )
        for overview_ in (shared(1), shared(2))
    )
    found = rates(before, now, 1.0).bus
    assert found[engine_id("one")] == found[engine_id("two")] == 90.0 / 2 + 20.0


def test_interfaces_of_one_name_under_two_plugins_are_two_buses() -> None:
    """Each plugin counts the frames of its own rules."""
    found = rates(shared(1), shared(2), 1.0) | rates(shared(1, "other-"), shared(3, "other-"), 1.0)
    assert found.bus[engine_id("one")] == 60.0
    assert found.bus[engine_id("other-one")] == 120.0


def test_a_member_that_is_down_gets_no_frames() -> None:
    """Its frames are counted as dropped."""
    before, now = (
        parse_status(
            "evercan:latest",
            [],
            status_document(
                network_document(
                    "powertrain",
                    0,
                    frames={"from_bus": {"handled": 30 * step}},
                    endpoints=[
                        endpoint_document("dashboard"),
                        endpoint_document("gateway", up=False),
                    ],
                )
            ),
        )
        for step in (1, 2)
    )
    assert rates(before, now, 1.0).bus[engine_id("powertrain")] == 30.0


def test_status_names_the_bridged_interfaces_and_those_that_are_not_up() -> None:
    bridge = [
        {"name": "vcan9", "present": True, "up": True},
        {"name": "can1", "present": True, "up": False},
    ]
    document = status_document(network_document("powertrain", 1, bridge=bridge))
    page = drawn(status.page([parse_status("p", [listed("powertrain", 1)], document)]))
    assert "  bridged: vcan9, can1 (down)" in page.splitlines()


def limited() -> Overview:
    """Return a bus with a member that has limits, and one without."""
    access = {
        "send": "123",
        "receive": "all",
        "send_rate": 100,
        "send_burst": 10,
        "filter_interface": "vxcan00000000f",
        "denied": {"send": 12, "receive": 4},
        "over_rate": 5,
    }
    members = [endpoint_document("gateway", 1, access=access), endpoint_document("logger", 2)]
    document = status_document(network_document("powertrain", 2, endpoints=members))
    STATUS_SCHEMA.validate(document)
    return parse_status("evercan:latest", [], document)


def test_what_limits_deny_is_shown_by_member() -> None:
    overview = limited()
    for page in (drawn(status.page([overview])), watched(overview)):
        assert "denied" in page
        assert [row for row in page.splitlines() if re.search(r"\b21\b", row)]
    shown = buses(overview.networks)
    for text in (graph_text.mermaid(shown), graph_text.dot(shown)):
        assert "denied: 17 sent, 4 received" in text
    for page in (drawn(status.page([one_network(3)])), watched(one_network(3))):
        assert "denied" not in page


def test_doctor_says_what_a_member_with_limits_may_do() -> None:
    (check,) = [check for check in health_checks(limited()) if check.id == "health.limits"]
    assert "may send 123, receives all, at most 100 frames/s, 10 at once" in check.text
