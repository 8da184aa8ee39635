"""Test ``evercan top``: what is counted, drawn, and printed as JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Static

from evercan.cli.access.databases import Databases
from evercan.cli.access.reach import Target
from evercan.cli.access.source import OverviewSource
from evercan.cli.commands.bus_reader import BusReader
from evercan.cli.errors import INTERRUPTED, CliError, NoAnswer
from evercan.cli.pages.top_app import TopApp
from evercan.cli.views.bits import bits_of_text
from evercan.cli.views.bus_state import BusState, LastError, bitrates_of
from evercan.cli.views.ids import WINDOW, IdTable, IdView, matching, sort_views
from evercan.cli.views.load import Bitrates, LoadMeter
from evercan.cli.views.overview import Overview
from evercan.cli.views.traffic import BusFrame
from tests.support import screens
from tests.support.engine import engine_id
from tests.support.evercan_host import Host
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import (
    named,
    network_document,
    one_network,
    overview_of,
    status_document,
)
from tests.support.screens import PATIENCE, until
from tests.unit.cli.conftest import frames_of
from tests.unit.cli.test_decoding import CAR

START = 1_790_000_000_000_000


def table_of(*frames: tuple[int, str, str]) -> IdTable:
    table = IdTable()
    for stamp, sender, text in frames:
        table.add(BusFrame(START + stamp, sender, text), sender)
    return table


# --- counting ----------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=3 * WINDOW))
def test_count_period_and_jitter(distances: list[int]) -> None:
    table, stamp = IdTable(), START
    table.add(BusFrame(stamp, "a", "123#01"), "a")
    for distance in distances:
        stamp += distance
        table.add(BusFrame(stamp, "a", "123#01"), "a")
    (view,) = table.views()
    seconds = [distance / 1e6 for distance in distances[-WINDOW:]]
    assert (view.count, view.first, view.last) == (len(distances) + 1, START, stamp)
    assert view.period == pytest.approx(statistics.fmean(seconds))
    assert view.jitter == pytest.approx(statistics.pstdev(seconds), abs=1e-9)


def test_an_id_has_a_line_for_each_sender_and_for_each_of_its_lengths() -> None:
    table = table_of((0, "a", "123#01"), (1, "b", "123#01"), (2, "a", "00000123#01"))
    assert [(view.sender, view.id_text, view.frame.extended) for view in table.views()] == [
        ("a", "123", False),
        ("b", "123", False),
        ("a", "00000123", True),
    ]
    assert table.views()[0].period is None
    table.clear()
    assert not table.views()


def test_changed_bytes_are_marked_for_a_second() -> None:
    table = table_of((0, "a", "123#010203"), (10, "a", "123#01FF03"), (20, "a", "123#01FF0304"))
    assert table.views()[0].changed == {1, 3}
    table.add(BusFrame(START + 1_000_015, "a", "123#01FF0304"), "a")
    assert table.views()[0].changed == {3}
    table.add(BusFrame(START + 1_000_016, "a", "123#01FF"), "a")
    assert table.views()[0].changed == frozenset()


def test_the_flags_of_a_fd_frame_are_no_byte_of_it() -> None:
    table = table_of((0, "a", "123##1AABB"), (1, "a", "123##1AACC"))
    (view,) = table.views()
    assert (view.frame.data.hex(), set(view.changed)) == ("aacc", {1})


def test_an_id_is_silent_after_five_periods_and_two_seconds() -> None:
    quick, slow = table_of((0, "a", "1AA#"), (10_000, "a", "1AA#"), (0, "a", "2AA#"),
                           (1_000_000, "a", "2AA#")).views()  # fmt: skip
    assert [view.silent(START + 2_500_000) for view in (quick, slow)] == [True, False]
    assert slow.silent(START + 7_000_000)


def ids(views: list[IdView]) -> list[tuple[str, str]]:
    return [(view.id_text, view.sender) for view in views]


def test_order_and_filter() -> None:
    frames = [(0, "b", "7FF#"), (0, "a", "00000001#"), (0, "a", "123#"), (1, "a", "123#"),
              (0, "b", "123#"), (9, "b", "123#"), (10, "b", "123#")]  # fmt: skip
    views = table_of(*frames).views()
    assert ids(sort_views(views, "id")) == [
        ("123", "a"), ("123", "b"), ("7FF", "b"), ("00000001", "a")]  # fmt: skip
    assert ids(sort_views(views, "sender"))[:2] == [("123", "a"), ("00000001", "a")]
    assert ids(sort_views(views, "rate"))[:2] == [("123", "a"), ("123", "b")]
    assert ids(sort_views(views, "count"))[0] == ("123", "b")
    names = ["Lights", "", "EngineData", "EngineData"]
    assert ids(matching(views, "engine A", names)) == [("123", "a"), ("123", "b")]
    assert ids(matching(views, "7ff", names)) == [("7FF", "b")]
    assert not matching(views, "nothing", names)


# --- load --------------------------------------------------------------------


def test_load_of_the_last_second() -> None:
    meter, rates = LoadMeter(), Bitrates(500_000)
    for number in range(3000):
        meter.add("123#0011223344556677", number / 1000)
    bits = bits_of_text("123#0011223344556677").nominal
    assert meter.share(2.999, rates) == pytest.approx(1000 * bits / 500_000, rel=0.11)
    assert meter.rate(2.999) == pytest.approx(1000, rel=0.11)
    assert meter.share(5.0, rates) == 0.0
    assert meter.share(5.0, Bitrates()) is None


# --- the screen --------------------------------------------------------------


class ScriptedBus:
    """A bus whose ids a test sets."""

    def __init__(self) -> None:
        self.network, self.lost, self.failed = "powertrain", 0, ""
        self.error: Exception | None = None
        self.cleared, self.begun = 0, True
        controller = {"state": "error-warning", "bitrate": 500_000, "errors": {"tx": 96, "rx": 3}}
        overview = overview_of(
            named("powertrain", "dashboard", bus="can0", kind="physical", controller=controller)
        )
        self.network_view = overview.networks[0]
        self.table = table_of(
            (0, "dashboard", "123#0010320280FF0000"),
            (20_000, "dashboard", "123#0011320280FF0000"),
            (0, "a-gateway-with-a-very-long-name", "18FEF100#1122334455667788"),
            (0, "can0", "7FF##1" + "AB" * 64),
            (0, "can0", "7FE#R4"),
        )

    def views(self) -> list[IdView]:
        return self.table.views()

    def state(self) -> BusState:
        return BusState(
            "can0",
            self.network_view,
            bitrates_of(self.network_view),
            1234.0,
            0.873,
            0.9,
            LastError(START - 3_000_000, "bus-off"),
            START + 40_000,
        )

    def clear(self) -> None:
        self.cleared += 1


def text_of(app: TopApp, widget: str) -> str:
    return "\n".join(line.rstrip() for line in screens.text_of(app, widget).splitlines())


def app_of(bus: ScriptedBus, *files: str) -> TopApp:
    return TopApp(bus, Databases(files), 0.05, "id")


async def until_shown(app: TopApp, pilot: Pilot[None], words: str, where: str = "#page") -> None:
    await until(app, pilot, lambda: words in text_of(app, where))


async def test_the_screen_has_the_bus_and_a_line_for_each_id_at_80_columns() -> None:
    app = app_of(ScriptedBus())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "dashboard")
        head, page = text_of(app, "#head"), text_of(app, "#page")
        for words in ("error-warning", "500 kbit/s", "1.2k frames/s", "load 87 % (peak 90 %)",
                      "96 tx, 3 rx", "last error 3 s ago: bus-off", "4 ids"):  # fmt: skip
            assert words in " ".join(head.split())
        lines = page.splitlines()
        assert lines[1].split() == [
            *("123", "dashboard", "2", "20.00", "ms", "0.00", "ms", "8"),
            *("00", "11", "32", "02", "80", "FF", "00", "00"),
        ]
        assert "11 22 33 44 55 66 77 88" in lines[4]
        assert "remote request" in lines[2]
        assert lines[3].endswith("…")
        assert max(map(len, lines)) <= 78


@pytest.mark.parametrize("columns", [28, 40, 80, 120, 200])
async def test_no_line_is_too_long(columns: int) -> None:
    app = app_of(ScriptedBus(), CAR)
    async with app.run_test(size=(columns, 24)) as pilot:
        await until_shown(app, pilot, "123")
        page = text_of(app, "#page")
        assert max(map(len, page.splitlines())) <= columns
        assert ("EngineData(" in page) or columns < 60


async def test_decoded_frames_are_below_or_beside_their_data() -> None:
    for columns, beside in ((80, False), (160, True)):
        app = app_of(ScriptedBus(), CAR)
        async with app.run_test(size=(columns, 24)) as pilot:
            await until_shown(app, pilot, "EngineData(EngineSpeed")
            lines = text_of(app, "#page").splitlines()
            line = next(line for line in lines if "EngineData(EngineSpeed" in line)
            assert ("dashboard" in line) is beside
            await pilot.press("d")
            assert "EngineData" not in text_of(app, "#page")


async def test_changed_bytes_are_marked() -> None:
    app = app_of(ScriptedBus())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "dashboard")
        page = app.query_one("#page", Static)
        marked = [
            segment.text
            for segment in page.render_line(1)
            if segment.style and segment.style.bold and segment.text.strip() in ("00", "11")
        ]
        assert marked == ["11"]


async def test_keys() -> None:
    bus = ScriptedBus()
    app = app_of(bus)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "dashboard")
        await pilot.press("s")
        assert "sorted by sender" in text_of(app, "#head")
        await pilot.press("f")
        bus.table.clear()
        await pilot.pause(0.1)
        assert "frozen" in text_of(app, "#head")
        assert "dashboard" in text_of(app, "#page")
        await pilot.press("f")
        await until_shown(app, pilot, "no frames yet")
        await pilot.press("c")
        assert bus.cleared == 1
        await pilot.press("question_mark")
        await pilot.pause()
        shown = app.screen.query_one("#keys", Static)
        lines = [shown.render_line(y).text for y in range(shown.size.height)]
        assert any("freeze the page" in line for line in lines)
        await pilot.press("escape")
        theme = app.theme
        await pilot.press("t")
        assert app.theme != theme
        await pilot.press("q")
    assert app.return_code == 0


async def test_the_filter_is_typed_and_left() -> None:
    app = app_of(ScriptedBus(), CAR)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"enginedata")
        await until_shown(app, pilot, "1 of 4 ids with “enginedata”", "#head")
        assert "18FEF100" not in text_of(app, "#page")
        # q and s are letters here, not keys.
        await pilot.press("q", "s", "enter")
        await until_shown(app, pilot, "no id has all of these words")
        await pilot.press("escape")
        await until_shown(app, pilot, "18FEF100")
        await pilot.press("escape")
    assert app.return_code == 0


async def test_a_page_without_ids_says_whether_frames_are_read() -> None:
    bus = ScriptedBus()
    bus.begun = False
    bus.table.clear()
    app = app_of(bus)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "connecting …")
        bus.begun = True
        await until_shown(app, pilot, "no frames yet")


async def test_what_does_not_answer_is_shown_and_frames_go_on() -> None:
    bus = ScriptedBus()
    app = app_of(bus)
    async with app.run_test(size=(80, 24)) as pilot:
        bus.lost = 12  # before the text that is waited for
        bus.failed = "plugin not reachable, retrying"
        await until_shown(app, pilot, "plugin not reachable, retrying", "#head")
        await until_shown(app, pilot, "12 frames lost", "#head")
        assert "dashboard" in text_of(app, "#page")


@pytest.mark.parametrize(
    "inherited", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background"]
)
async def test_a_sigint_ends_the_application(
    inherited: Callable[..., object] | signal.Handlers,
) -> None:
    former = signal.signal(signal.SIGINT, inherited)
    try:
        app = app_of(ScriptedBus())
        async with app.run_test(size=(80, 24)) as pilot:
            await until_shown(app, pilot, "dashboard")
            signal.raise_signal(signal.SIGINT)
            await until(app, pilot, lambda: app.return_code == INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, former)


async def test_the_application_runs_where_the_loop_takes_no_signal_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_handlers(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", no_handlers)
    app = app_of(ScriptedBus())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "dashboard")


async def test_an_unexpected_error_ends_the_application() -> None:
    bus = ScriptedBus()
    bus.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        async with app_of(bus).run_test(size=(80, 24)) as pilot:
            await pilot.pause(0.2)


async def test_hundreds_of_ids_are_drawn_and_more_are_counted() -> None:
    bus = ScriptedBus()
    bus.table = table_of(*((0, "a", f"{number:08X}#") for number in range(700)))
    app = app_of(bus)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, pilot, "and 200 more: press / to filter")


# --- the command -------------------------------------------------------------

LINES = [
    "",
    "(1790000001.000000) vcan0 123#0010320280FF0000 R",
    f"(1790000001.010000) vxcan{engine_id('dashboard')[:8]} 456#01 R",
    "(1790000001.020000) vcan0 456#01 R",
    "(1790000001.020000) vcan0 123#0011320280FF0000 R",
    "(1790000001.030000) vcan0 20000040#0000000000000000 R",
]


def test_json_is_one_document(powertrain: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    frames_of(monkeypatch, *LINES)
    ended = powertrain.run(
        *("top", "powertrain", "--json", "-t", "0.3", "--dbc", CAR, "--bitrate", "500000")
    )
    assert ended.status == 0, ended.err
    document = json.loads(ended.out)
    assert (document["schema"], document["network"], document["bus"]) == (1, "powertrain", "vcan0")
    assert (document["frames"], document["lost"], document["state"]) == (3, 0, "up")
    bits = sum(bits_of_text(text).nominal for text in (
        "123#0010320280FF0000", "456#01", "123#0011320280FF0000"))  # fmt: skip
    assert document["load"] == pytest.approx(bits / 500_000 / document["seconds"], abs=1e-4)
    assert document["error_frames"] == 1
    assert document["last_error"] == {"time": 1790000001.03, "text": "bus-off"}
    first, second = document["ids"]
    assert (first["id"], first["sender"], first["count"]) == (0x123, "vcan0", 2)
    assert (first["period"], first["jitter"], first["changed"]) == (0.02, 0.0, [1])
    assert first["signals"]["EngineSpeed"]["unit"] == "rpm"
    assert (second["id"], second["sender"], second["period"]) == (0x456, "dashboard", None)


def test_json_of_one_sender_still_has_the_load_of_all(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_of(monkeypatch, *LINES)
    ended = powertrain.run(
        *("top", "powertrain", "--json", "-t", "0.3", "--from", "dashboard", "--filter", "456")
    )
    document = json.loads(ended.out)
    assert document["frames"] == 3
    assert [line["id"] for line in document["ids"]] == [0x456]
    assert document["load"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("powertrain",), "top needs a terminal"),
        (("nosuch", "--json"), "nosuch"),
        (("powertrain", "--json", "--from", "nobody"), "--from nobody is not on network"),
        (("powertrain", "--json", "--filter", "x"), "--filter x is neither"),
        (("powertrain", "--duration", "1"), "--duration needs --json"),
        (("powertrain", "--dbitrate", "2000000"), "--dbitrate needs --bitrate"),
        (("powertrain", "--json", "--dbc", "nothing.dbc"), "cannot read --dbc nothing.dbc"),
    ],
)
def test_errors(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    frames_of(monkeypatch, *LINES)
    ended = powertrain.run("top", *arguments)
    assert ended.status == 2
    assert words in " ".join(ended.err.split())


def test_on_a_terminal_it_shows_the_bus_and_ends_with_q(host: Host) -> None:
    members = {"dashboard": engine_id("dashboard")}
    host.engine(
        [network_entry(engine_id("powertrain"), "powertrain", members)],
        [plugin_entry("evercan:latest")],
    )
    host.plugin(status_document(network_document("powertrain", 1)))
    with host.terminal("top", "powertrain") as terminal:
        terminal.wait_for("vcan0")
        terminal.press("q")
        assert terminal.ends() == 0


def test_a_bus_without_an_answer_of_the_plugin_has_no_controller() -> None:
    assert bitrates_of(None) == Bitrates()
    assert BusState("vcan0").counters is None
    assert one_network(1).networks[0].controller == {}


# --- reading -----------------------------------------------------------------


def target_of(host: Host) -> Target:
    return Target(engine=f"unix://{host.engine_socket}", sockets=str(host.folder))


def reader_of(powertrain: Host) -> BusReader:
    return BusReader(target_of(powertrain), "powertrain")


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_connects_again_after_an_error_and_counts_on(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.cli.commands.frame_reader.RETRY", 0.3)
    goes_on = threading.Event()
    tries = []

    def frames(**_: bool) -> Iterator[str]:
        tries.append(1)
        yield from LINES
        if len(tries) == 1:
            raise CliError("candump has ended")
        assert goes_on.wait(PATIENCE)

    monkeypatch.setattr("evercan.cli.access.host.can_socket.frames", frames)
    reader = reader_of(powertrain)
    try:
        reader.start()
        wait_for(lambda: "no frames (candump has ended)" in reader.failed)
        wait_for(lambda: reader.failed == "" and reader.frames >= 3)
        assert len(tries) == 2
        assert reader.error is None
        (last,) = {view.last for view in reader.views() if view.id_text == "123"}
        assert last == START + 1_020_000
    finally:
        goes_on.set()
        reader.close()


def test_frames_go_on_while_the_plugin_does_not_answer(
    powertrain: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.cli.commands.bus_reader._REFRESH", 0.05)
    frames_of(monkeypatch, *LINES)
    answers = OverviewSource.read

    def read(source: OverviewSource) -> list[Overview]:
        if plugin_answers:
            return answers(source)
        raise NoAnswer("plugin evercan:latest is enabled and does not answer")

    plugin_answers = True
    monkeypatch.setattr(OverviewSource, "read", read)
    reader = reader_of(powertrain)
    try:
        reader.start()
        plugin_answers = False
        wait_for(lambda: reader.failed == "plugin not reachable, retrying")
        wait_for(lambda: reader.frames == 3)
        plugin_answers = True
        wait_for(lambda: reader.failed == "")
    finally:
        reader.close()
