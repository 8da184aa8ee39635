"""The full-screen application of ``evercan watch``."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Footer, Input, Static

from evercan.cli.access.feed import Feed
from evercan.cli.access.wires import Wires
from evercan.cli.errors import INTERRUPTED, CliError, NoAccess, NoEngine
from evercan.cli.pages import watch
from evercan.cli.pages.keys import KeysScreen
from evercan.cli.pages.watch import Lost, Measured
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.overview import Overview, Verdict, matching
from evercan.cli.views.rates import Rates, rates

RETRY = 2.0
"""Seconds from a failed refresh to the next one."""

SLOW = 2.0
"""Seconds that a refresh may take without a warning, however short the interval is."""

NARROWEST = 28
"""Columns of a page, at least; a narrower window cuts it off at the right."""


@dataclass(frozen=True)
class Scene:
    """What the page shows.

    Attributes:
        overviews: the overviews of the last refresh that succeeded.
        measured: the rates since the refresh before it, those until then, and the load of buses.
        at: when that refresh ended, on the monotonic clock.
    """

    overviews: Sequence[Overview] = ()
    measured: Measured = field(default_factory=Measured)
    at: float = 0.0

    def after(self, found: Sequence[Overview], at: float, states: Mapping[str, BusState]) -> Scene:
        """Return the scene after another refresh, with the states of buses by network id."""
        together = Rates()
        earlier = {overview.plugin: overview for overview in self.overviews}
        for overview in found:
            before = earlier.get(overview.plugin)
            seconds = at - self.at
            if before is not None and before.now is not None and overview.now is not None:
                seconds = overview.now - before.now
            together |= rates(before, overview, seconds)
        return Scene(found, Measured(together, self.measured.history.after(together), states), at)


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


def lateness(seconds: float, interval: float) -> Verdict:
    """Return the severity of a refresh that takes some seconds, with this refresh interval."""
    patience = min(max(SLOW, 3 * interval), 3 * SLOW)
    if seconds <= patience:
        return Verdict.OK
    return Verdict.WARN if seconds <= 3 * patience else Verdict.FAIL


class WatchApp(App[None]):
    """The screen: a line of state, the buses, and the keys."""

    TITLE = "evercan watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #state { height: auto; padding: 0 1; background: $panel; }
    #filter { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
    #filter.open { display: block; }
    #buses { padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("escape", "leave", show=False),
        # It replaces the screen's own ctrl+c, which copies the selection.
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("p,space", "pause", "pause", key_display="p"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("t", "theme", "light / dark"),
        Binding("r", "refresh_now", "refresh"),
        Binding("question_mark", "keys", "keys", key_display="?"),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
    ]

    KEYS: ClassVar[dict[str, str]] = {
        "q": "quit",
        "p, Space": "pause the page, and continue",
        "s": "sort members by name or by rate",
        "/": "show only members that have some words in their name, state or network",
        "Esc": "leave the filter's line; then show all members again; then quit",
        "t": "light or dark",
        "r": "refresh now",
        "arrows, j k, page keys": "scroll",
        "sent/s, recv/s": "frames per second since the last refresh",
        "total": "frames so far, as in 'evercan status'",
    }

    def __init__(self, feed: Feed, interval: float) -> None:
        """Take the source of overviews, and the seconds from one refresh to the next."""
        super().__init__()
        self.feed = feed
        self._wires = Wires(feed)
        self._interval = interval
        self._scene = Scene()
        self._paused: Scene | None = None
        self._lost: Lost | None = None
        self._since = 0.0  # when refreshes began to fail
        self._begun: float | None = None  # when the current refresh began
        self._by_rate = False
        self._words = ""
        self._stale = False
        self._wake = threading.Event()
        self._left = threading.Event()

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(id="state")
        with VerticalScroll(id="buses"):
            yield Static(id="page")
        yield Input(placeholder="words of a member or a network", id="filter")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start refreshing."""
        self.theme = "textual-dark"
        self.query_one("#buses").focus()
        self.set_interval(0.5, self._draw_state)
        # Not a worker of Textual: at its end the application would wait for the current
        # refresh, which may hang.
        threading.Thread(target=self._refresh_loop, daemon=True).start()

    def on_unmount(self) -> None:
        """Stop refreshing."""
        self._left.set()
        self._wake.set()
        self._wires.close()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw()

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
        if self._words and not any(overview.networks for overview in shown):
            return Text(f"no member has “{self._words}”: press / or Esc", style="dim")
        return watch.page(
            shown,
            scene.measured,
            width=width,
            by_rate=self._by_rate,
            stale=self._stale,
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
        for state in self.query("#state").results(Static):
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

    def action_filter(self) -> None:
        """Open the line for the filter."""
        line = self.query_one("#filter", Input)
        line.add_class("open")
        line.focus()

    @on(Input.Changed)
    def _filter_changed(self, changed: Input.Changed) -> None:
        self._words = changed.value.strip()
        self._draw_page()

    @on(Input.Submitted)
    def _filter_submitted(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self.query_one("#buses").focus()

    def action_leave(self) -> None:
        """Leave the filter's line; else show all members again; else quit."""
        line = self.query_one("#filter", Input)
        if line.has_class("open"):
            self._close_filter()
        elif self._words:
            line.value = ""
        else:
            self.exit(return_code=0)

    def action_keys(self) -> None:
        """Show what the keys do."""
        self.push_screen(KeysScreen(self.KEYS))

    def action_theme(self) -> None:
        """Switch between dark and light."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"

    def action_refresh_now(self) -> None:
        """Refresh now."""
        self._wake.set()

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#buses").scroll_relative(y=lines * 2, animate=False)

    def action_interrupt(self) -> None:
        """End with the exit status of Ctrl-C, which is a key here and not a signal."""
        self.exit(return_code=INTERRUPTED)


def lost(error: CliError) -> Lost:
    """Return what does not answer, and why."""
    if isinstance(error, NoEngine):
        return Lost("engine not reachable", str(error))
    if isinstance(error, NoAccess):
        return Lost("no access to the plugin", str(error))
    return Lost("plugin not reachable", str(error))
