"""``evercan watch``: the buses live, full screen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from rich.console import RenderableType
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static
from textual.worker import get_current_worker

from evercan.cli import screen
from evercan.cli.app import INTERRUPTED
from evercan.cli.errors import CliError, NoAccess, NoEngine, NoPlugin, Silent
from evercan.cli.overview import Overview
from evercan.cli.rates import History, Rates, rates
from evercan.cli.reach import Wish
from evercan.cli.source import Source

RETRY = 2.0
"""Seconds from a failed look to the next try."""


def watch(wish: Wish, interval: float) -> int:
    """Watch until q is pressed.

    Raises:
        CliError: there is no terminal, or the first look fails.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("watch needs a terminal; 'evercan status' prints what there is once")
    # What fails at once is told in a sentence; what fails later may come back.
    app = Watch(Feed(wish), interval)
    try:
        app.feed.look()
        app.run()
    finally:
        app.feed.close()
    if app.feed_error is not None:
        raise app.feed_error
    return app.return_code or 0


class Feed:
    """Looks, and connects anew after a look that failed."""

    def __init__(self, wish: Wish) -> None:
        """Connect at the first look."""
        self._wish = wish
        self._source: Source | None = None
        self._lock = threading.Lock()

    def look(self) -> list[Overview]:
        """Look once.

        Raises:
            CliError: that failed; the next look starts from the beginning.
        """
        with self._lock:
            try:
                if self._source is None:
                    self._source = Source(self._wish)
                return self._source.look()
            except (NoPlugin, Silent):
                raise  # the way there is as good as it was
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Clear away what led to the host."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()


@dataclass(frozen=True)
class Scene:
    """What the screen shows.

    Attributes:
        overviews: the last look that went well.
        rates: since the look before it.
        away: why the last look failed; empty if it went well.
        since: when it began to fail, on the steady clock.
    """

    overviews: Sequence[Overview] = ()
    rates: Rates = field(default_factory=Rates)
    away: str = ""
    since: float = 0.0


class Watch(App[None]):
    """The screen: a line of state, the buses, the keys."""

    TITLE = "evercan watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #state { height: auto; padding: 0 1; background: $panel; }
    #buses { padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape", "quit", "quit", key_display="q"),
        # Before the screen's own, which copies what is selected, and then only tells of ctrl+q.
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("p,space", "pause", "pause", key_display="p"),
        Binding("s", "sort", "sort by name / rate"),
        Binding("t", "theme", "light / dark"),
        Binding("r", "again", "look now"),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
    ]

    def __init__(self, feed: Feed, interval: float) -> None:
        """Take where looks come from, and the seconds from one to the next."""
        super().__init__()
        self.feed = feed
        self.feed_error: CliError | None = None
        self._interval = interval
        self._scene = Scene()
        self._history = History()
        self._looked_at = 0.0
        self._paused = False
        self._by_rate = False
        self._wake = threading.Event()

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="state")
        with VerticalScroll(id="buses"):
            yield Static(id="page")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.theme = "textual-dark"
        self.set_interval(0.5, self._draw_state)
        self._look_on()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw()

    @work(thread=True, exclusive=True)
    def _look_on(self) -> None:
        """Look again and again, beside the screen."""
        worker = get_current_worker()
        while not worker.is_cancelled:
            pause = self._interval
            try:
                found = self.feed.look()
                if not worker.is_cancelled:
                    self.call_from_thread(self._seen, found, time.monotonic())
            except CliError as error:
                pause = RETRY
                if not worker.is_cancelled:
                    self.call_from_thread(self._missed, error)
            self._wake.wait(pause)
            self._wake.clear()

    def _seen(self, found: list[Overview], at: float) -> None:
        if self._paused:
            return
        together = Rates()
        earlier = {each.plugin: each for each in self._scene.overviews}
        for each in found:
            before = earlier.get(each.plugin)
            seconds = at - self._looked_at
            if before is not None and before.now is not None and each.now is not None:
                seconds = each.now - before.now
            together |= rates(before, each, seconds)
        self._history.add(together)
        self._looked_at = at
        self._scene = Scene(found, together)
        self._draw()

    def _missed(self, error: CliError) -> None:
        since = self._scene.since if self._scene.away else time.monotonic()
        self._scene = replace(self._scene, away=away(error), since=since)
        self._draw()

    def _draw(self) -> None:
        self._draw_state()
        # A look may come home when the screen is being left, and nothing is there any more.
        for page in self.query("#page").results(Static):
            page.update(self._page(max(40, self.size.width - 4)))

    def _page(self, width: int) -> RenderableType:
        return screen.page(
            self._scene.overviews,
            self._scene.rates,
            self._history,
            width=width,
            by_rate=self._by_rate,
            stale=bool(self._scene.away),
        )

    def _draw_state(self) -> None:
        scene = self._scene
        for_seconds = time.monotonic() - scene.since if scene.away else 0.0
        line = screen.state_line(
            scene.overviews, away=scene.away, for_seconds=for_seconds, paused=self._paused
        )
        for state in self.query("#state").results(Static):
            state.update(line)

    def action_pause(self) -> None:
        """Keep the screen as it is, or go on."""
        self._paused = not self._paused
        self._draw_state()

    def action_sort(self) -> None:
        """Sort members by name, or the busiest first."""
        self._by_rate = not self._by_rate
        self._draw()

    def action_theme(self) -> None:
        """Change between dark and light."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"

    def action_again(self) -> None:
        """Look at once."""
        self._wake.set()

    def action_scroll(self, lines: int) -> None:
        """Move the page."""
        self.query_one("#buses").scroll_relative(y=lines * 2, animate=False)

    async def action_quit(self) -> None:
        """End; the look that is under way is waited for, not its next."""
        self._end()

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends any command; it comes as a key here, and not as a signal."""
        self._end(INTERRUPTED)

    def _end(self, status: int = 0) -> None:
        self.workers.cancel_all()
        self._wake.set()
        self.exit(return_code=status)


def away(error: CliError) -> str:
    """Say in a few words who is away; the sentence follows."""
    if isinstance(error, NoEngine):
        return f"engine away, retrying: {error}"
    if isinstance(error, NoAccess):
        return f"no access, retrying: {error}"
    return f"plugin away, retrying: {error}"
