"""Test ``evercan watch``: the screen is updated, and continues after outages."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Group
from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from evercan.cli.access.feed import Feed
from evercan.cli.access.reach import Target
from evercan.cli.errors import INTERRUPTED, CliError, NoEngine, NoPlugin
from evercan.cli.pages import watch
from evercan.cli.pages.watch_app import WatchApp
from evercan.cli.views.bits import bits_of_text
from evercan.cli.views.overview import Overview, Verdict
from evercan.cli.views.scene import lateness
from tests.support.engine import engine_id
from tests.support.evercan_host import Host, Terminal
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import container_name, network_document, one_network, status_document
from tests.support.screens import PATIENCE, text_of, until


class ScriptedFeed(Feed):
    """A feed with the answers that a test sets; its clock advances one second a read."""

    def __init__(self) -> None:
        self.reads = self.asked_for_frames = 0
        self.controller: dict[str, Any] = {}
        self.frames: list[str] = []
        self.left = threading.Event()
        self.members = 3
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()

    def read(self) -> list[Overview]:
        self.reads += 1
        self.answers.wait()
        if self.error is not None:
            raise self.error
        now = one_network(self.members)
        networks = tuple(
            replace(
                network,
                controller=self.controller,
                members=tuple(
                    replace(member, sent=100 * (place + 1) * self.reads)
                    for place, member in enumerate(network.members)
                ),
            )
            for network in now.networks
        )
        return [replace(now, now=1000.0 + self.reads, networks=networks)]

    def lines(self) -> Iterator[str]:
        self.asked_for_frames += 1
        yield ""
        yield from self.frames
        assert self.left.wait(PATIENCE)

    def close(self) -> None:
        self.left.set()


def app_of(feed: Feed) -> WatchApp:
    def dump(network: str, sender: str) -> Screen[None]:
        pytest.fail(f"the frames of {sender} on {network} are asked for")

    return WatchApp(feed, 0.05, dump)


def unwrapped(app: WatchApp) -> str:
    return " ".join(text_of(app, "#head").split())


async def test_watch_shows_members_and_rates_and_updates_them() -> None:
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        page = text_of(app, "#page")
        assert "healthy" in text_of(app, "#head")
        for number in range(3):
            assert container_name(number) in page
        feed.members = 5
        await until(app, pilot, lambda: container_name(4) in text_of(app, "#page"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoEngine("no Docker engine answers"), "engine not reachable, retrying"),
        (NoPlugin("plugin evercan:latest is disabled"), "plugin not reachable, retrying"),
        (CliError("the container that leads there is gone"), "plugin not reachable, retrying"),
    ],
)
async def test_an_outage_is_shown_and_the_last_page_stays(
    error: CliError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.RETRY", 0.05)
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        feed.error = error
        # The line of state may wrap, and its second line appears a moment later.
        await until(app, pilot, lambda: words in (shown := unwrapped(app)) and str(error) in shown)
        assert "dashboard" in text_of(app, "#page")
        feed.error = None
        await until(app, pilot, lambda: "healthy" in text_of(app, "#head"))


async def test_keys() -> None:
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        page = text_of(app, "#page")
        assert page.index("dashboard") < page.index("gateway") < page.index("logger")
        await pilot.press("s")
        await until(
            app,
            pilot,
            lambda: (
                text_of(app, "#page").index("logger") < text_of(app, "#page").index("dashboard")
            ),
        )
        await pilot.press("p")
        await until(app, pilot, lambda: "paused" in text_of(app, "#head"))
        dark = app.theme
        await pilot.press("t")
        assert app.theme != dark
        await pilot.press("p", "r")
        await until(app, pilot, lambda: "paused" not in text_of(app, "#head"))
        await pilot.press("q")
    assert app.return_code == 0


async def test_the_filter_is_typed_and_left() -> None:
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "logger" in text_of(app, "#page"))
        await pilot.press("slash", *"gate")
        await until(app, pilot, lambda: "logger" not in text_of(app, "#page"))
        assert "gateway" in text_of(app, "#page")
        assert "1 of 3 members" in text_of(app, "#page")
        # q and s are letters here, not keys.
        await pilot.press("q", "s")
        await until(app, pilot, lambda: "no member has “gateqs”" in text_of(app, "#page"))
        await pilot.press("enter", "escape")
        await until(app, pilot, lambda: "logger" in text_of(app, "#page"))
        # A network's name shows all of its members.
        await pilot.press("slash", *"POWER", "escape")
        await until(app, pilot, lambda: "logger" in text_of(app, "#page"))
        await pilot.press("escape", "escape")
    assert app.return_code == 0


async def test_the_keys_are_explained() -> None:
    app = app_of(ScriptedFeed())
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        await pilot.press("question_mark")
        shown = app.screen.query_one("#keys", Static)
        lines = [shown.render_line(y).text for y in range(shown.size.height)]
        assert any("pause the page" in line for line in lines)
        assert any("since the last refresh" in line for line in lines)
        await pilot.press("q")
        assert not app.screen.query("#keys")
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))


async def test_pause_stops_the_page_and_not_the_line_of_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.RETRY", 0.05)
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        await pilot.press("p")
        await until(app, pilot, lambda: "healthy" in unwrapped(app) and "paused" in unwrapped(app))
        page = text_of(app, "#page")
        feed.error = NoPlugin("plugin evercan:latest is disabled")
        await until(app, pilot, lambda: "plugin not reachable" in unwrapped(app))
        assert "paused" in unwrapped(app)
        feed.error = None
        feed.members = 5
        await until(app, pilot, lambda: "5 members" in unwrapped(app))
        assert "not reachable" not in unwrapped(app)
        await pilot.resize_terminal(90, 30)
        await pilot.resize_terminal(80, 30)
        await until(app, pilot, lambda: text_of(app, "#page") == page)
        await pilot.press("p")
        await until(app, pilot, lambda: container_name(4) in text_of(app, "#page"))


async def test_a_slow_answer_is_shown_and_q_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.views.scene.SLOW", 0.1)
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "healthy" in unwrapped(app))
        feed.answers.clear()
        await until(app, pilot, lambda: "✖ no answer for" in unwrapped(app))
        assert "healthy" not in unwrapped(app)
        assert "dashboard" in text_of(app, "#page")
        feed.answers.set()
        await until(app, pilot, lambda: "healthy" in unwrapped(app))
        feed.answers.clear()
        await until(app, pilot, lambda: "no answer for" in unwrapped(app))
        begun = time.monotonic()
        await pilot.press("q")
    assert time.monotonic() - begun < 10.0
    assert app.return_code == 0
    feed.answers.set()


async def test_an_unexpected_error_ends_the_application() -> None:
    """Without that, the screen would stop without a message."""
    app = app_of(ScriptedFeed())
    with pytest.raises(ZeroDivisionError):
        await _run_into(app, ZeroDivisionError())
    assert app.return_code == 1


async def _run_into(app: WatchApp, error: Exception) -> None:
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        assert isinstance(app.feed, ScriptedFeed)
        app.feed.error = error
        await until(app, pilot, lambda: app.return_code is not None)


async def test_load_error_counters_and_the_last_error_of_a_controller() -> None:
    feed = ScriptedFeed()
    feed.controller = {"bitrate": 500_000, "errors": {"tx": 96, "rx": 3}, "events": {"bus_off": 2}}
    app = app_of(feed)
    now = int(time.time())
    async with app.run_test(size=(100, 30)) as pilot:
        await until(app, pilot, lambda: "load 0.0 %" in text_of(app, "#page"))
        assert "since the driver's start: bus-off 2" in text_of(app, "#page")
        feed.left.set()
        await pilot.press("q")
    feed = ScriptedFeed()
    feed.controller = {"bitrate": 500_000, "errors": {"tx": 96, "rx": 3}, "events": {"bus_off": 2}}
    # Frames of other interfaces are not on this bus.
    feed.frames = [
        *(f"({now}.000000) vcan0 123#00112233445566{number:02X} R" for number in range(256)),
        *(f"({now}.000000) vcan7 123#00112233445566{number:02X} R" for number in range(256)),
        f"({now}.000001) vcan0 20000020#0000000000000000 R",
    ]
    app = app_of(feed)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(app, pilot, lambda: "last error" in text_of(app, "#page"))
        assert "no other node" in text_of(app, "#page")
        page = text_of(app, "#page")
        assert "error counters 96 tx, 3 rx" in page
        peak = re.search(r"peak (\d+\.\d) %", page)
        assert peak is not None
        bits = sum(bits_of_text(f"123#00112233445566{number:02X}").nominal for number in range(256))
        assert float(peak[1]) == pytest.approx(100 * bits / 500_000, abs=0.06)
    assert feed.asked_for_frames == 1
    feed.left.set()


async def test_a_host_without_controllers_reads_no_frames() -> None:
    feed = ScriptedFeed()
    app = app_of(feed)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        assert "load" not in text_of(app, "#page")
    assert feed.asked_for_frames == 0


@pytest.mark.parametrize(
    ("seconds", "interval", "verdict"),
    [
        (1.9, 0.2, Verdict.OK),
        (2.1, 0.2, Verdict.WARN),
        (2.9, 1.0, Verdict.OK),
        (3.1, 1.0, Verdict.WARN),
        (9.1, 1.0, Verdict.FAIL),
        # With one refresh a minute, three minutes would be too long.
        (6.1, 60.0, Verdict.WARN),
        (18.1, 60.0, Verdict.FAIL),
    ],
)
def test_severity_of_a_slow_answer(seconds: float, interval: float, verdict: Verdict) -> None:
    assert lateness(seconds, interval) is verdict


@pytest.mark.parametrize(("late", "colour"), [(Verdict.WARN, "yellow"), (Verdict.FAIL, "red")])
def test_the_colour_shows_the_severity_of_a_slow_answer(late: Verdict, colour: str) -> None:
    line = watch.state_line([one_network(1)], lost=None, seconds=5.2, late=late, paused=False)
    assert isinstance(line, Group)
    (text,) = line.renderables
    assert isinstance(text, Text)
    assert "no answer for 5 s" in text.plain
    assert colour in str(text.style)


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("escape", 0), ("ctrl+c", INTERRUPTED)])
async def test_keys_that_end_it(key: str, status: int) -> None:
    app = app_of(ScriptedFeed())
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        await pilot.press(key)
    assert app.return_code == status


@pytest.mark.parametrize("members", [0, 1, 30])
async def test_a_long_page_can_be_scrolled(members: int) -> None:
    feed = ScriptedFeed()
    feed.members = members
    app = app_of(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, lambda: "powertrain" in text_of(app, "#page"))
        await pilot.press("pagedown", "j", "down")
        buses = app.query_one("#body")
        assert (buses.max_scroll_y > 0) is (members == 30)


@pytest.mark.parametrize("members", [0, 1, 30])
@pytest.mark.parametrize("columns", [40, 44, 50, 60, 80, 120])
async def test_nothing_is_cut_off_at_the_right(columns: int, members: int) -> None:
    feed = ScriptedFeed()
    feed.members = members
    app = app_of(feed)
    async with app.run_test(size=(columns, 24)) as pilot:
        await until(app, pilot, lambda: "powertrain" in text_of(app, "#page"))
        lines = text_of(app, "#page").splitlines()
        frame = [line.rstrip() for line in lines if line.startswith(("╭", "│", "╰"))]
        assert len(frame) >= 3 + members
        assert {line[-1] for line in frame} == {"╮", "│", "╯"}


# --- the feed -------------------------------------------------------


class HangingSource:
    """A source whose reads wait until it is closed."""

    def __init__(self) -> None:
        self.asked, self.closed = threading.Event(), threading.Event()

    def read(self) -> list[Overview]:
        self.asked.set()
        assert self.closed.wait(PATIENCE)
        raise CliError("it was closed meanwhile")

    def close(self) -> None:
        self.closed.set()


def reading(feed: Feed) -> tuple[threading.Thread, list[CliError]]:
    failed: list[CliError] = []

    def read() -> None:
        try:
            feed.read()
        except CliError as error:
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    return thread, failed


def test_closing_ends_a_read_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    source = HangingSource()
    monkeypatch.setattr("evercan.cli.access.feed.OverviewSource", lambda _: source)
    feed = Feed(Target())
    thread, failed = reading(feed)
    assert source.asked.wait(PATIENCE)
    feed.close()
    assert source.closed.is_set()
    thread.join(PATIENCE)
    assert [str(error) for error in failed] == ["it was closed meanwhile"]


def test_closing_waits_briefly_for_a_connection_that_is_being_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.access.feed.CLOSE_TIMEOUT", 0.05)
    source, connecting, connects = HangingSource(), threading.Event(), threading.Event()

    def connect(_: Target) -> HangingSource:
        connecting.set()
        assert connects.wait(PATIENCE)
        return source

    monkeypatch.setattr("evercan.cli.access.feed.OverviewSource", connect)
    feed = Feed(Target())
    thread, failed = reading(feed)
    assert connecting.wait(PATIENCE)
    feed.close()
    assert not source.closed.is_set()
    connects.set()
    thread.join(PATIENCE)
    assert failed
    assert source.closed.is_set()
    assert not source.asked.is_set()


# --- on a terminal ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda terminal: terminal.press("q"), 0),
        (lambda terminal: terminal.press("\x03"), INTERRUPTED),
        (lambda terminal: terminal.send(signal.SIGINT), INTERRUPTED),
    ],
    ids=["q", "ctrl-c", "SIGINT"],
)
def test_watch_ends_at_once_while_the_plugin_hangs(
    host: Host, monkeypatch: pytest.MonkeyPatch, end: Callable[[Terminal], None], status: int
) -> None:
    # The answer comes after the command has ended.
    monkeypatch.setattr("socketserver.BaseServer.handle_error", lambda *_: None)
    first_reads, answers = iter(range(3)), threading.Event()

    def answer(_: str) -> object:
        if next(first_reads, None) is None:
            answers.wait(PATIENCE)
        return status_document(network_document("powertrain", 1))

    there = {"dashboard": engine_id("dashboard")}
    host.engine(
        [network_entry(engine_id("powertrain"), "powertrain", there)],
        [plugin_entry("evercan:latest")],
    )
    host.plugin(answer)
    try:
        with host.terminal("watch", "-n", "0.2") as terminal:
            terminal.wait_for("dashboard")
            terminal.wait_for("no answer for")
            begun = time.monotonic()
            end(terminal)
            assert terminal.ends() == status
            assert time.monotonic() - begun < 10.0
    finally:
        answers.set()
