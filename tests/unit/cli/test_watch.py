"""``evercan watch``: the screen follows what is seen, and outlives those who are away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Group
from rich.text import Text
from textual.widgets import Static

from evercan.cli.access.reach import Wish
from evercan.cli.errors import INTERRUPTED, CliError, NoEngine, NoPlugin
from evercan.cli.pages import watch as screen
from evercan.cli.pages.watch_app import Feed, Watch, lateness
from evercan.cli.views.overview import Overview, Verdict
from tests.support.engine import engine_id
from tests.support.evercan_host import Host, Terminal
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import container_name, network_document, seen, status_document

_PATIENCE = 30.0
"""Seconds that the screen has to follow, on a machine that is busy with other things."""


class Told(Feed):
    """A feed that says what it is told to; the clock moves on a second a look."""

    def __init__(self) -> None:
        self.looks = 0
        self.members = 3
        self.away: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()

    def look(self) -> list[Overview]:
        self.looks += 1
        self.answers.wait()
        if self.away is not None:
            raise self.away
        now = seen(self.members)
        networks = tuple(
            replace(
                net,
                members=tuple(
                    replace(each, sent=100 * (place + 1) * self.looks)
                    for place, each in enumerate(net.members)
                ),
            )
            for net in now.networks
        )
        return [replace(now, now=1000.0 + self.looks, networks=networks)]

    def close(self) -> None:
        pass


def text_of(app: Watch, widget: str) -> str:
    shown = app.query_one(widget, Static)
    return "\n".join(
        "".join(segment.text for segment in shown.render_line(y)) for y in range(shown.size.height)
    )


def unwrapped(app: Watch) -> str:
    return " ".join(text_of(app, "#state").split())


async def until(app: Watch, pilot: object, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        await pilot.pause(0.02)  # type: ignore[attr-defined] # a Pilot of whatever type
        if true():
            return
    pytest.fail(f"the screen shows {text_of(app, '#state')}\n{text_of(app, '#page')}")


async def test_members_and_rates_are_shown_and_follow() -> None:
    feed = Told()
    app = Watch(feed, 0.05)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        page = text_of(app, "#page")
        assert "healthy" in text_of(app, "#state")
        for each in range(3):
            assert container_name(each) in page
        feed.members = 5
        await until(app, pilot, lambda: container_name(4) in text_of(app, "#page"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoEngine("no Docker engine answers"), "engine away, retrying"),
        (NoPlugin("plugin evercan:latest is disabled"), "plugin away, retrying"),
        (CliError("the container that leads there is gone"), "plugin away, retrying"),
    ],
)
async def test_who_is_away_is_told_and_what_was_seen_last_stays(
    error: CliError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.RETRY", 0.05)
    feed = Told()
    app = Watch(feed, 0.05)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        feed.away = error
        # The line of state may wrap, and its second line is laid out a moment later.
        await until(app, pilot, lambda: words in (shown := unwrapped(app)) and str(error) in shown)
        assert "dashboard" in text_of(app, "#page")
        feed.away = None
        await until(app, pilot, lambda: "healthy" in text_of(app, "#state"))


async def test_keys() -> None:
    feed = Told()
    app = Watch(feed, 0.05)
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
        await until(app, pilot, lambda: "paused" in text_of(app, "#state"))
        dark = app.theme
        await pilot.press("t")
        assert app.theme != dark
        await pilot.press("p", "r")
        await until(app, pilot, lambda: "paused" not in text_of(app, "#state"))
        await pilot.press("q")
    assert app.return_code == 0


async def test_pause_keeps_the_figures_and_not_the_line_of_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.RETRY", 0.05)
    feed = Told()
    app = Watch(feed, 0.05)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "300" in text_of(app, "#page"))
        await pilot.press("p")
        await until(app, pilot, lambda: "healthy" in unwrapped(app) and "paused" in unwrapped(app))
        page = text_of(app, "#page")
        feed.away = NoPlugin("plugin evercan:latest is disabled")
        await until(app, pilot, lambda: "plugin away" in unwrapped(app))
        assert "paused" in unwrapped(app)
        feed.away = None
        feed.members = 5
        await until(app, pilot, lambda: "5 members" in unwrapped(app))
        assert "away" not in unwrapped(app)
        await pilot.resize_terminal(90, 30)
        await pilot.resize_terminal(80, 30)
        await until(app, pilot, lambda: text_of(app, "#page") == page)
        await pilot.press("p")
        await until(app, pilot, lambda: container_name(4) in text_of(app, "#page"))


async def test_who_does_not_answer_is_told_and_q_does_not_wait_for_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.SLOW", 0.1)
    feed = Told()
    app = Watch(feed, 0.05)
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


async def test_a_fault_of_our_own_ends_it() -> None:
    """Or the screen would stand still for good."""
    app = Watch(Told(), 0.05)
    with pytest.raises(ZeroDivisionError):
        await _run_into(app, ZeroDivisionError())
    assert app.return_code == 1


async def _run_into(app: Watch, fault: Exception) -> None:
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        assert isinstance(app.feed, Told)
        app.feed.away = fault
        await until(app, pilot, lambda: app.return_code is not None)


@pytest.mark.parametrize(
    ("seconds", "interval", "verdict"),
    [
        (1.9, 0.2, Verdict.OK),
        (2.1, 0.2, Verdict.WARN),
        (2.9, 1.0, Verdict.OK),
        (3.1, 1.0, Verdict.WARN),
        (9.1, 1.0, Verdict.FAIL),
        # Whoever looks once a minute only does not wait three of them.
        (6.1, 60.0, Verdict.WARN),
        (18.1, 60.0, Verdict.FAIL),
    ],
)
def test_how_long_an_answer_may_take(seconds: float, interval: float, verdict: Verdict) -> None:
    assert lateness(seconds, interval) is verdict


@pytest.mark.parametrize(("late", "colour"), [(Verdict.WARN, "yellow"), (Verdict.FAIL, "red")])
def test_the_longer_the_more_alarming(late: Verdict, colour: str) -> None:
    line = screen.state_line([seen(1)], away="", for_seconds=5.2, late=late, paused=False)
    assert isinstance(line, Group)
    (text,) = line.renderables
    assert isinstance(text, Text)
    assert "no answer for 5 s" in text.plain
    assert colour in str(text.style)


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("escape", 0), ("ctrl+c", INTERRUPTED)])
async def test_keys_that_end_it(key: str, status: int) -> None:
    app = Watch(Told(), 0.05)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(app, pilot, lambda: "dashboard" in text_of(app, "#page"))
        await pilot.press(key)
    assert app.return_code == status


@pytest.mark.parametrize("members", [0, 1, 30])
async def test_any_number_of_members_can_be_scrolled_to(members: int) -> None:
    feed = Told()
    feed.members = members
    app = Watch(feed, 0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, lambda: "powertrain" in text_of(app, "#page"))
        await pilot.press("pagedown", "j", "down")
        buses = app.query_one("#buses")
        assert (buses.max_scroll_y > 0) is (members == 30)


@pytest.mark.parametrize("members", [0, 1, 30])
@pytest.mark.parametrize("columns", [40, 44, 50, 60, 80, 120])
async def test_nothing_is_cut_off_at_the_right(columns: int, members: int) -> None:
    feed = Told()
    feed.members = members
    app = Watch(feed, 0.05)
    async with app.run_test(size=(columns, 24)) as pilot:
        await until(app, pilot, lambda: "powertrain" in text_of(app, "#page"))
        lines = text_of(app, "#page").splitlines()
        frame = [line.rstrip() for line in lines if line.startswith(("╭", "│", "╰"))]
        assert len(frame) >= 3 + members
        assert {line[-1] for line in frame} == {"╮", "│", "╯"}


# --- where looks come from -------------------------------------------------------


class Hung:
    """A source whose looks take until it is closed."""

    def __init__(self) -> None:
        self.asked, self.closed = threading.Event(), threading.Event()

    def look(self) -> list[Overview]:
        self.asked.set()
        assert self.closed.wait(_PATIENCE)
        raise CliError("it was closed meanwhile")

    def close(self) -> None:
        self.closed.set()


def looking(feed: Feed) -> tuple[threading.Thread, list[CliError]]:
    failed: list[CliError] = []

    def look() -> None:
        try:
            feed.look()
        except CliError as error:
            failed.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    return thread, failed


def test_closing_ends_a_look_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hung()
    monkeypatch.setattr("evercan.cli.pages.watch_app.Source", lambda _: source)
    feed = Feed(Wish())
    thread, failed = looking(feed)
    assert source.asked.wait(_PATIENCE)
    feed.close()
    assert source.closed.is_set()
    thread.join(_PATIENCE)
    assert [str(each) for each in failed] == ["it was closed meanwhile"]


def test_who_is_still_connecting_is_waited_for_a_little_and_cleared_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evercan.cli.pages.watch_app.PARTING", 0.05)
    source, connecting, connects = Hung(), threading.Event(), threading.Event()

    def connect(_: Wish) -> Hung:
        connecting.set()
        assert connects.wait(_PATIENCE)
        return source

    monkeypatch.setattr("evercan.cli.pages.watch_app.Source", connect)
    feed = Feed(Wish())
    thread, failed = looking(feed)
    assert connecting.wait(_PATIENCE)
    feed.close()
    assert not source.closed.is_set()
    connects.set()
    thread.join(_PATIENCE)
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
def test_it_ends_at_once_though_the_plugin_hangs(
    host: Host, monkeypatch: pytest.MonkeyPatch, end: Callable[[Terminal], None], status: int
) -> None:
    # The answer comes when nobody is there to take it any more.
    monkeypatch.setattr("socketserver.BaseServer.handle_error", lambda *_: None)
    looks, answers = iter(range(3)), threading.Event()

    def answer(_: str) -> object:
        if next(looks, None) is None:
            answers.wait(_PATIENCE)
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
