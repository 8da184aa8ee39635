"""The full-screen application of ``evercan watch``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from evercan.cli.access.feed import RETRY, Feed
from evercan.cli.access.wires import Wires
from evercan.cli.errors import CliError
from evercan.cli.pages import watch
from evercan.cli.pages.live_app import NARROWEST, LiveApp
from evercan.cli.pages.member import member_page
from evercan.cli.pages.member_screen import MemberScreen
from evercan.cli.pages.member_table import is_selected
from evercan.cli.pages.rows import Cursor, Row, rows
from evercan.cli.views.matching import matching
from evercan.cli.views.overview import Overview, Verdict
from evercan.cli.views.scene import Lost, Scene, lateness, lost


@dataclass
class Refreshed(Message):
    """A refresh succeeded."""

    found: Sequence[Overview]
    at: float


@dataclass
class RefreshFailed(Message):
    """A refresh failed."""

    error: Exception
    begun: float


class WatchApp(LiveApp):
    """The screen: a line of state, the buses, and the keys."""

    TITLE = "evercan watch"
    FILTER_HINT = "words of a member or a network"
    CSS = f"{LiveApp.CSS} #body {{ padding: 1 1 0 1; }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "select(-1)", show=False),
        Binding("down,j", "select(1)", show=False),
        Binding("enter", "details", "details", key_display="Enter"),
        Binding("d", "dump", "dump"),
        Binding("p,space", "pause", "pause", key_display="p"),
        Binding("s", "sort", "sort"),
        Binding("r", "refresh_now", show=False),
    ]

    KEYS: ClassVar[dict[str, str]] = {
        "q": "quit",
        "arrows, j k": "select a member",
        "Enter": "show what is known of the selected member",
        "d": "show the frames on its bus; after Enter, only those that it sent",
        "p, Space": "pause the page, and continue",
        "s": "sort members by name or by rate",
        "/": "show only members that have some words in their name, state or network",
        "Esc": "leave the filter's line; then show all members again; then quit",
        "t": "light or dark",
        "r": "refresh now",
        "page keys, Home, End": "scroll",
        "sent/s, recv/s": "frames per second since the last refresh",
        "total": "frames so far, as in 'evercan status'",
    }

    def __init__(
        self, feed: Feed, interval: float, dump: Callable[[str, str], Screen[None]]
    ) -> None:
        """Take what is shown.

        Args:
            feed: the source of overviews.
            interval: seconds from one refresh to the next.
            dump: creates the screen with the frames of a network, and of a member if one is named.
        """
        super().__init__()
        self.feed, self._dump = feed, dump
        self._wires = Wires(feed)
        self._interval = interval
        self._scene = Scene()
        self._paused: Scene | None = None
        self._lost: Lost | None = None
        self._since = 0.0  # when refreshes began to fail
        self._begun: float | None = None  # when the current refresh began
        self._by_rate = False
        self._cursor = Cursor()
        self._stale = False
        self._wake = threading.Event()
        self._left = threading.Event()

    def on_mount(self) -> None:
        """Start refreshing."""
        self.set_interval(0.5, self._draw_state)
        # Not a worker of Textual: at its end the application would wait for the current
        # refresh, which may hang.
        threading.Thread(target=self._refresh_loop, daemon=True).start()

    def on_unmount(self) -> None:
        """Stop refreshing."""
        self._left.set()
        self._wake.set()
        self._wires.close()

    def _refresh_loop(self) -> None:
        """Refresh repeatedly, in a thread of its own."""
        while not self._left.is_set():
            pause = self._interval
            self._begun = begun = time.monotonic()
            try:
                found = self.feed.read()
            except CliError as error:
                pause = RETRY
                self._post(RefreshFailed(error, begun))
            except Exception as error:  # noqa: BLE001 - any error ends the application
                self._post(RefreshFailed(error, begun))
                return
            else:
                self._post(Refreshed(found, time.monotonic()))
            self._begun = None
            self._wake.wait(pause)
            self._wake.clear()

    def _post(self, message: Message) -> None:
        # A refresh may end when the screen was closed and its event loop has ended.
        with suppress(RuntimeError):
            self.post_message(message)

    @on(Refreshed)
    def _refreshed(self, refreshed: Refreshed) -> None:
        self._lost = None
        self._wires.follow(refreshed.found)
        states = {
            network.id: self._wires.state(network)
            for overview in refreshed.found
            for network in overview.networks
        }
        self._scene = self._scene.after(refreshed.found, refreshed.at, states)
        self._draw()

    @on(RefreshFailed)
    def _refresh_failed(self, failed: RefreshFailed) -> None:
        if not isinstance(failed.error, CliError):
            raise failed.error
        self._since = self._since if self._lost else failed.begun
        self._lost = lost(failed.error)
        self._draw()

    def _draw(self) -> None:
        self._draw_state()
        self._draw_page()

    def _draw_page(self) -> None:
        # The widget is missing while the screen is being created or closed.
        for page in self.query("#page").results(Static):
            page.update(self._page(max(NARROWEST, self.size.width - 4)))

    def _page(self, width: int) -> RenderableType:
        scene = self._paused or self._scene
        shown = matching(scene.overviews, self._words)
        self._cursor = self._cursor.among(rows(shown, scene.measured.rates, by_rate=self._by_rate))
        if self._words and not any(overview.networks for overview in shown):
            return Text(f"no member has “{self._words}”: press / or Esc", style="dim")
        return watch.page(
            shown,
            scene.measured,
            width=width,
            by_rate=self._by_rate,
            stale=self._stale,
            selected=self._cursor.key,
        )

    def _draw_state(self) -> None:
        """Draw the line of state, and the page if it becomes outdated or current."""
        since = self._since if self._lost else self._begun
        seconds = 0.0 if since is None else time.monotonic() - since
        late = lateness(seconds, self._interval)
        line = watch.state_line(
            self._scene.overviews,
            lost=self._lost,
            seconds=seconds,
            late=late,
            paused=self._paused is not None,
        )
        for state in self.query("#head").results(Static):
            state.update(line)
        stale = self._lost is not None or late is not Verdict.OK
        if stale is not self._stale:
            self._stale = stale
            self._draw_page()

    def action_pause(self) -> None:
        """Pause the page, or continue; the line of state continues to change."""
        self._paused = self._scene if self._paused is None else None
        self._draw()

    def action_sort(self) -> None:
        """Sort members by name or by rate."""
        self._by_rate = not self._by_rate
        self._draw()

    def action_refresh_now(self) -> None:
        """Refresh now."""
        self._wake.set()

    def _rows(self) -> list[Row]:
        scene = self._paused or self._scene
        shown = matching(scene.overviews, self._words)
        return rows(shown, scene.measured.rates, by_rate=self._by_rate)

    def action_select(self, step: int) -> None:
        """Select the next or the former member, and scroll to it."""
        self._cursor = self._cursor.moved(self._rows(), step)
        self._draw_page()
        self.call_after_refresh(self._scroll_to_selected)

    def _scroll_to_selected(self) -> None:
        page, body = self.query_one("#page", Static), self.query_one("#body")
        for y in range(page.size.height):
            if any(is_selected(segment.style) for segment in page.render_line(y)):
                body.scroll_to_region(Region(0, y, 1, 1), animate=False)
                return

    def action_details(self) -> None:
        """Show what is known of the selected member."""
        row = self._cursor.row(self._rows())
        if row is None or row.member is None:
            self.notify("there is no member to select")
            return
        name = row.member.container

        def next_(wanted: str | None) -> None:
            if wanted == "dump":
                self._push_dump(row.network.name, name)
            self._draw()

        self.push_screen(MemberScreen(partial(self._details, row)), next_)

    def _details(self, row: Row) -> RenderableType:
        """Draw a member as it is now."""
        scene = self._paused or self._scene
        for now in rows(scene.overviews, scene.measured.rates, by_rate=False):
            if now.key == row.key and now.member is not None:
                return member_page(now.network, now.member, scene.measured.rates)
        return Text(f"{row.member and row.member.container} has left {row.network.name}")

    def action_dump(self) -> None:
        """Show the frames on the bus of the selected member."""
        row = self._cursor.row(self._rows())
        if row is None:
            self.notify("there is no network")
        else:
            self._push_dump(row.network.name)

    def _push_dump(self, network: str, sender: str = "") -> None:
        self.push_screen(self._dump(network, sender), lambda _: self._draw())
