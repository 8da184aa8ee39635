"""``evercan watch``: the buses live, full screen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from rich.console import RenderableType
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Footer, Static

from evercan.cli.access.reach import Wish
from evercan.cli.access.source import Source
from evercan.cli.errors import INTERRUPTED, CliError, NoAccess, NoEngine, NoPlugin, Silent
from evercan.cli.pages import watch as screen
from evercan.cli.views.overview import Overview, Verdict
from evercan.cli.views.rates import History, Rates, rates

RETRY = 2.0
"""Seconds from a failed look to the next try."""

SLOW = 2.0
"""Seconds for which nobody is alarmed, however short the interval is."""

NARROWEST = 28
"""Columns of a page at least; in a window that has less it is cut off at the right."""

PARTING = 2.0
"""Seconds that clearing away may take at the end; what leads to a host ends by itself, too."""


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
    # None: it was neither a key nor a fault that ended it, but a SIGINT from elsewhere.
    return INTERRUPTED if app.return_code is None else app.return_code


class Feed:
    """Looks, and connects anew after a look that failed."""

    def __init__(self, wish: Wish) -> None:
        """Connect at the first look."""
        self._wish = wish
        self._source: Source | None = None
        self._lock = threading.Lock()
        self._over = False

    def look(self) -> list[Overview]:
        """Look once.

        Raises:
            CliError: that failed; the next look starts from the beginning.
        """
        with self._lock:
            try:
                return self._connected().look()
            except (NoPlugin, Silent):
                raise  # the way there is as good as it was
            except BaseException:
                self._drop()
                raise

    def _connected(self) -> Source:
        if self._source is None and not self._over:
            self._source = Source(self._wish)
        if self._source is None or self._over:
            raise CliError("the screen has been left")
        return self._source

    def close(self) -> None:
        """Clear away what led to the host, from under a look that may still wait for an answer."""
        self._over = True
        leaving = threading.Thread(target=self._leave, daemon=True)
        leaving.start()
        leaving.join(PARTING)

    def _leave(self) -> None:
        if self._source is None:  # or it is just being made
            with self._lock:
                self._drop()
        else:
            self._drop()

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()


@dataclass(frozen=True)
class Scene:
    """What is to be seen.

    Attributes:
        overviews: the last look that went well.
        rates: since the look before it.
        history: of the rates until then.
        at: when that look ended, on the steady clock.
    """

    overviews: Sequence[Overview] = ()
    rates: Rates = field(default_factory=Rates)
    history: History = field(default_factory=History)
    at: float = 0.0

    def after(self, found: Sequence[Overview], at: float) -> Scene:
        """What is to be seen after one look more."""
        together = Rates()
        earlier = {each.plugin: each for each in self.overviews}
        for each in found:
            before = earlier.get(each.plugin)
            seconds = at - self.at
            if before is not None and before.now is not None and each.now is not None:
                seconds = each.now - before.now
            together |= rates(before, each, seconds)
        return Scene(found, together, self.history.after(together), at)


@dataclass
class Seen(Message):
    """A look went well."""

    found: Sequence[Overview]
    at: float


@dataclass
class Failed(Message):
    """A look, begun at some time, did not."""

    error: Exception
    begun: float


def lateness(seconds: float, interval: float) -> Verdict:
    """How bad it is to wait for an answer for some seconds, to one who looks at an interval."""
    few = min(max(SLOW, 3 * interval), 3 * SLOW)
    if seconds <= few:
        return Verdict.OK
    return Verdict.WARN if seconds <= 3 * few else Verdict.FAIL


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
        self._interval = interval
        self._scene = Scene()
        self._held: Scene | None = None  # while paused
        self._away = ""
        self._since = 0.0  # when looks began to fail
        self._asked: float | None = None  # when the look under way began
        self._by_rate = False
        self._stale = False
        self._wake = threading.Event()
        self._over = threading.Event()

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
        # Not one of Textual's workers: the end would wait for the look that is under way,
        # and whoever hangs keeps it waiting.
        threading.Thread(target=self._look_on, daemon=True).start()

    def on_unmount(self) -> None:
        """Look no more."""
        self._over.set()
        self._wake.set()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw()

    def _look_on(self) -> None:
        """Look again and again, beside the screen."""
        while not self._over.is_set():
            pause = self._interval
            self._asked = begun = time.monotonic()
            try:
                found = self.feed.look()
            except CliError as error:
                pause = RETRY
                self._tell(Failed(error, begun))
            except Exception as error:  # noqa: BLE001 - whatever it is, the app ends by it
                self._tell(Failed(error, begun))
                return
            else:
                self._tell(Seen(found, time.monotonic()))
            self._asked = None
            self._wake.wait(pause)
            self._wake.clear()

    def _tell(self, what: Message) -> None:
        # A look may come home when the screen has been left, and there is no loop any more.
        with suppress(RuntimeError):
            self.post_message(what)

    @on(Seen)
    def _seen(self, seen: Seen) -> None:
        self._away = ""
        self._scene = self._scene.after(seen.found, seen.at)
        self._draw()

    @on(Failed)
    def _failed(self, failed: Failed) -> None:
        if not isinstance(failed.error, CliError):
            raise failed.error
        self._since = self._since if self._away else failed.begun
        self._away = away(failed.error)
        self._draw()

    def _draw(self) -> None:
        self._draw_state()
        self._draw_page()

    def _draw_page(self) -> None:
        # Not there yet, or not any more, when the screen is being made or left.
        for page in self.query("#page").results(Static):
            page.update(self._page(max(NARROWEST, self.size.width - 4)))

    def _page(self, width: int) -> RenderableType:
        scene = self._held or self._scene
        return screen.page(
            scene.overviews,
            scene.rates,
            scene.history,
            width=width,
            by_rate=self._by_rate,
            stale=self._stale,
        )

    def _draw_state(self) -> None:
        """Draw the line of state; the page too, if that looks otherwise for it."""
        since = self._since if self._away else self._asked
        seconds = 0.0 if since is None else time.monotonic() - since
        late = lateness(seconds, self._interval)
        line = screen.state_line(
            self._scene.overviews,
            away=self._away,
            for_seconds=seconds,
            late=late,
            paused=self._held is not None,
        )
        for state in self.query("#state").results(Static):
            state.update(line)
        stale = bool(self._away) or late is not Verdict.OK
        if stale is not self._stale:
            self._stale = stale
            self._draw_page()

    def action_pause(self) -> None:
        """Keep the figures as they are, or go on; how all is goes on being told."""
        self._held = self._scene if self._held is None else None
        self._draw()

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

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends any command; it comes as a key here, and not as a signal."""
        self.exit(return_code=INTERRUPTED)


def away(error: CliError) -> str:
    """Say in a few words who is away; the sentence follows."""
    if isinstance(error, NoEngine):
        return f"engine away, retrying: {error}"
    if isinstance(error, NoAccess):
        return f"no access, retrying: {error}"
    return f"plugin away, retrying: {error}"
