"""``evercan watch``: the screen follows what is seen, and outlives those who are away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.widgets import Static

from evercan.cli.app import INTERRUPTED
from evercan.cli.errors import CliError, NoEngine, NoPlugin
from evercan.cli.overview import Overview
from evercan.cli.watch import Feed, Watch
from tests.support.overviews import container_name, seen

_PATIENCE = 30.0
"""Seconds that the screen has to follow, on a machine that is busy with other things."""


class Told(Feed):
    """A feed that says what it is told to; the clock moves on a second a look."""

    def __init__(self) -> None:
        self.looks = 0
        self.members = 3
        self.away: CliError | None = None

    def look(self) -> list[Overview]:
        self.looks += 1
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
    monkeypatch.setattr("evercan.cli.watch.RETRY", 0.05)
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
