"""Test what ``evercan watch`` shows of a selected member: its details, and frames as they pass."""

from __future__ import annotations

import re

import pytest
from textual.screen import Screen
from textual.widgets import Static

from evercan.cli.access.databases import Databases
from evercan.cli.commands.tail import Tail
from evercan.cli.pages.dump_screen import DumpScreen
from evercan.cli.pages.member_table import is_selected
from evercan.cli.pages.watch_app import WatchApp
from evercan.cli.views.overview import Overview
from evercan.cli.views.status_document import parse_status
from evercan.cli.views.traffic import BusFrame, SentFrame
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.overviews import (
    container_name,
    endpoint_document,
    named,
    status_document,
)
from tests.support.screens import text_of, until
from tests.unit.cli.conftest import frames_of
from tests.unit.cli.test_decoding import CAR
from tests.unit.cli.test_top import LINES, target_of, wait_for
from tests.unit.cli.test_watch import ScriptedFeed

START = 1_790_000_000_123_000


class ScriptedTail:
    """The frames that a test gives."""

    def __init__(self, network: str, sender: str, frames: list[SentFrame]) -> None:
        self.network, self.sender, self.frames = network, sender, frames
        self.bus, self.failed, self.lost, self.begun = "", "", 0, False
        self.error: Exception | None = None
        self.closed = False

    @property
    def count(self) -> int:
        return len(self.frames)

    def start(self) -> None:
        self.bus = "vcan0"

    def last(self) -> list[SentFrame]:
        return list(self.frames)

    def close(self) -> None:
        self.closed = True


class Bench:
    """The application, and the tails that it opens."""

    def __init__(self, feed: ScriptedFeed, *, dbc: bool = False) -> None:
        self.tails: list[ScriptedTail] = []
        self.frames: list[SentFrame] = []
        self._databases = Databases([CAR] if dbc else [])
        self.app = WatchApp(feed, 0.05, self._dump)

    def _dump(self, network: str, sender: str) -> Screen[None]:
        self.tails.append(ScriptedTail(network, sender, self.frames))
        return DumpScreen(self.tails[-1], self._databases)

    def selected(self) -> str:
        page = self.app.query_one("#page", Static)
        for y in range(page.size.height):
            line = page.render_line(y)
            if any(is_selected(segment.style) for segment in line):
                return line.text
        return ""

    def shown(self, widget: str) -> str:
        found = self.app.screen.query(widget).results(Static)
        lines = (shown.render_line(y).text for shown in found for y in range(shown.size.height))
        return "\n".join(line.rstrip() for line in lines)


def frame(text: str, sender: str = "dashboard", after: int = 0) -> SentFrame:
    return SentFrame(BusFrame(START + after, sender, text), sender)


async def test_arrows_select_a_member_which_stays_selected() -> None:
    feed = ScriptedFeed()
    feed.members = 30
    bench = Bench(feed)
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "abs-controller" in bench.selected())
        await pilot.press("down", "j", "up")
        await until(bench.app, pilot, lambda: "abs-controller-2" in bench.selected())
        # The order changes, the selected member does not.
        await pilot.press("s")
        await until(bench.app, pilot, lambda: "abs-controller-2" in bench.selected())
        await pilot.press("s", *["down"] * 40)
        await until(bench.app, pilot, lambda: bool(bench.selected()))
        body = bench.app.query_one("#body")
        await until(bench.app, pilot, lambda: body.scroll_y > 0)
        last = max(container_name(number) for number in range(30))
        assert last[:12] in bench.selected()
        # It leaves: the row that takes its place is selected.
        feed.members = 3
        await until(bench.app, pilot, lambda: "logger" in bench.selected())


async def test_enter_shows_a_member_as_it_is_now() -> None:
    feed = ScriptedFeed()
    bench = Bench(feed)
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "dashboard" in bench.selected())
        await pilot.press("down", "enter")
        await until(bench.app, pilot, lambda: "gateway" in bench.shown("#member"))
        shown = bench.shown("#member")
        assert f"vxcan{engine_id('gateway')[:8]}" in shown
        assert re.search(r"limits +none", shown)
        assert re.search(r"sent +200 +\d", shown)
        assert "denied" not in shown
        reads = feed.reads
        await until(bench.app, pilot, lambda: feed.reads > reads + 5)
        await until(bench.app, pilot, lambda: bench.shown("#member") != shown)
        feed.members = 1
        await until(
            bench.app, pilot, lambda: "gateway has left powertrain" in bench.shown("#member")
        )
        await pilot.press("escape")
        await until(bench.app, pilot, lambda: "dashboard" in bench.selected())


class LimitedFeed(ScriptedFeed):
    """A member with limits, an altname and a warning."""

    def read(self) -> list[Overview]:
        access = {
            "send": "100-1FF",
            "receive": "none",
            "send_rate": 50,
            "send_burst": 5,
            "filter_interface": "vcx1234567",
            "denied": {"send": 12, "receive": 34},
            "over_rate": 3,
        }
        endpoint = endpoint_document("tester", access=access, altname="diagnosis")
        network, document = named("powertrain", "tester", endpoints=[endpoint])
        warning = {
            "kind": "bus-no-fd",
            "bus": "vcan0",
            "endpoint": endpoint["endpoint"],
            "text": "it sends CAN FD frames",
            "remedy": "set vxcan.fd",
        }
        status = status_document(document, warnings=[warning])
        return [parse_status("evercan:latest", [network], status)]


async def test_details_have_interfaces_limits_and_denied_frames() -> None:
    bench = Bench(LimitedFeed())
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "tester" in bench.selected())
        await pilot.press("enter")
        await until(bench.app, pilot, lambda: "tester" in bench.shown("#member"))
        shown = bench.shown("#member")
        assert "vcx1234567" in shown
        assert "canN (the engine chooses N), also diagnosis" in shown
        assert "may send 100-1FF, receives none, at most 50 frames/s" in " ".join(shown.split())
        assert re.search(r"denied by its limits: sent +15", shown)
        assert re.search(r"denied by its limits: received +34", shown)
        assert "it sends CAN FD frames" in shown
        assert "→ set vxcan.fd" in shown
        await pilot.resize_terminal(80, 12)
        body = bench.app.screen.query_one("#member-body")
        await until(bench.app, pilot, lambda: body.max_scroll_y > 0)
        await pilot.press("end")
        await until(bench.app, pilot, lambda: body.scroll_y == body.max_scroll_y)


async def test_d_shows_the_frames_of_the_network_and_in_details_of_the_member() -> None:
    bench = Bench(ScriptedFeed())
    bench.frames = [frame("123#C0FFEE"), frame("18FEF100#R4", "gateway", 1_000)]
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "dashboard" in bench.selected())
        await pilot.press("d")
        await until(bench.app, pilot, lambda: "C0 FF EE" in bench.shown("#dump-page"))
        first, second = bench.shown("#dump-page").splitlines()[:2]
        assert re.fullmatch(r"\d\d:\d\d:20\.123 dashboard      123   3  C0 FF EE", first)
        assert second.endswith(" gateway   18FEF100   4  remote request")
        assert "powertrain  vcan0  all senders  2 frames" in bench.shown("#dump-head")
        await pilot.press("q")
        await until(bench.app, pilot, lambda: bench.tails[0].closed)
        await pilot.press("down", "enter", "d")
        await until(bench.app, pilot, lambda: "vcan0  gateway" in bench.shown("#dump-head"))
        await pilot.press("question_mark")
        await until(bench.app, pilot, lambda: "back to the members" in bench.shown("#keys"))
        await pilot.press("escape", "escape")
        await until(bench.app, pilot, lambda: "gateway" in bench.selected())
    assert [(tail.network, tail.sender) for tail in bench.tails] == [
        ("powertrain", ""),
        ("powertrain", "gateway"),
    ]
    wait_for(lambda: all(tail.closed for tail in bench.tails))


async def test_the_newest_frames_are_shown_and_all_of_them_in_a_pause() -> None:
    bench = Bench(ScriptedFeed())
    bench.frames = [frame(f"123#{number:04X}") for number in range(100)]
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "dashboard" in bench.selected())
        await pilot.press("d")
        await until(bench.app, pilot, lambda: "00 63" in bench.shown("#dump-page"))
        lines = bench.shown("#dump-page").splitlines()
        assert len(lines) < 24
        await pilot.press("p")
        await until(bench.app, pilot, lambda: "00 00" in bench.shown("#dump-page"))
        body = bench.app.screen.query_one("#dump-body")
        await until(bench.app, pilot, lambda: body.scroll_y > 70)
        await pilot.press("home")
        await until(bench.app, pilot, lambda: body.scroll_y == 0)
        bench.frames.append(frame("123#FFFF"))
        await until(bench.app, pilot, lambda: "101 frames  ‖ paused" in bench.shown("#dump-head"))
        assert "FF FF" not in bench.shown("#dump-page")
        await pilot.press("p")
        await until(bench.app, pilot, lambda: "FF FF" in bench.shown("#dump-page"))


@pytest.mark.parametrize("columns", [40, 80, 200])
async def test_frames_are_decoded_in_any_width(columns: int) -> None:
    bench = Bench(ScriptedFeed(), dbc=True)
    bench.frames = [
        frame("123#0010320280FF0000"),
        frame("20000040#0000000000000000", "can0"),
        frame("123##1" + "AB" * 64),
    ]
    async with bench.app.run_test(size=(columns, 24)) as pilot:
        await until(bench.app, pilot, lambda: "powertrain" in text_of(bench.app, "#page"))
        await pilot.press("d")
        await until(bench.app, pilot, lambda: "20000040" in bench.shown("#dump-page"))
        lines = bench.shown("#dump-page").splitlines()
        assert max(map(len, lines)) <= columns
        decoded = [line for line in lines if "EngineData(" in line]
        assert len(decoded) == 2
        shown = " ".join(bench.shown("#dump-page").split())
        assert "bus-off" in shown
        assert "Gear: Second gear, Throttle: 12.8 %)" in shown
        assert ("dashboard" in decoded[0]) is (columns == 200)


async def test_what_goes_wrong_while_frames_are_shown() -> None:
    bench = Bench(ScriptedFeed())
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "dashboard" in bench.selected())
        await pilot.press("d")
        await until(bench.app, pilot, lambda: "connecting" in bench.shown("#dump-head"))
        (tail,) = bench.tails
        tail.begun, tail.failed, tail.lost = True, "no frames (candump has ended), retrying", 7
        await until(bench.app, pilot, lambda: "candump has ended" in bench.shown("#dump-head"))
        await until(bench.app, pilot, lambda: "7 frames lost" in bench.shown("#dump-head"))


async def test_a_network_without_members_has_frames_and_no_details() -> None:
    feed = ScriptedFeed()
    feed.members = 0
    bench = Bench(feed)
    async with bench.app.run_test(size=(80, 24)) as pilot:
        await until(bench.app, pilot, lambda: "no container has joined" in bench.selected())
        await pilot.press("enter", "d")
        await until(bench.app, pilot, lambda: [tail.sender for tail in bench.tails] == [""])


def test_a_tail_keeps_the_frames_of_a_sender(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_of(monkeypatch, *LINES)
    for sender, texts in (
        ("", ["123#", "456#", "123#", "2000"]),
        ("dashboard", ["456#"]),
        ("vcan0", ["123#", "123#", "2000"]),
    ):
        tail = Tail(target_of(powertrain), "powertrain", sender)
        tail.start()
        try:
            wait_for(lambda: tail.count == len(texts))  # noqa: B023 - called at once
            assert [kept.frame.text[:4] for kept in tail.last()] == texts
            assert (tail.bus, tail.begun) == ("vcan0", True)
        finally:
            tail.close()
