"""The full-screen application of ``evercan top``."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from evercan.cli.access.databases import Databases
from evercan.cli.errors import INTERRUPTED
from evercan.cli.pages import top
from evercan.cli.pages.keys import KeysScreen
from evercan.cli.pages.top import TopScene
from evercan.cli.pages.watch_app import NARROWEST
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.ids import SORTS, IdView, matching, sort_views


class Bus(Protocol):
    """What the application shows."""

    network: str
    error: Exception | None
    """An unexpected error, which ends the application."""

    @property
    def lost(self) -> int:
        """Frames that were lost."""
        ...

    @property
    def failed(self) -> str:
        """What does not answer; empty if all do."""
        ...

    def views(self) -> list[IdView]:
        """Return all ids."""
        ...

    def state(self) -> BusState:
        """Return the state of the bus."""
        ...

    def clear(self) -> None:
        """Count from now on."""
        ...


class TopApp(App[None]):
    """The screen: the bus, its ids, and the keys."""

    TITLE = "evercan top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #head { height: auto; padding: 0 1; background: $panel; }
    #ids { padding: 0 1; scrollbar-size-vertical: 1; }
    #filter { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("escape", "leave", show=False),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("f,p,space", "freeze", "freeze", key_display="f"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("d", "decode", "decode"),
        Binding("c", "clear", "clear"),
        Binding("t", "theme", "light / dark"),
        Binding("question_mark", "keys", "keys", key_display="?"),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
    ]
    KEYS: ClassVar[dict[str, str]] = {
        "q": "quit",
        "f, p, Space": "freeze the page, and continue",
        "s": f"sort by {', '.join(SORTS)}",
        "/": "show only ids that have some words in their id, sender or message",
        "Esc": "leave the filter's line; without it, show all ids again",
        "d": "show or hide what the frames mean (with --dbc)",
        "c": "count from now on",
        "t": "light or dark",
        "arrows, j k, page keys": "scroll",
    }

    def __init__(self, bus: Bus, databases: Databases, interval: float, sort: str) -> None:
        """Take what is shown, the seconds from one drawing to the next, and the first order."""
        super().__init__()
        self._bus, self._databases, self._interval = bus, databases, interval
        self._sort, self._words = sort, ""
        self._decode = bool(databases)
        self._frozen: tuple[list[IdView], BusState] | None = None

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(id="head")
        with VerticalScroll(id="ids"):
            yield Static(id="page")
        yield Input(placeholder="words of an id, a sender or a message", id="filter")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start drawing."""
        self.theme = "textual-dark"
        self.query_one("#ids").focus()
        self.set_interval(self._interval, self._draw)
        self._draw()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw()

    def _draw(self) -> None:
        if self._bus.error is not None:
            raise self._bus.error
        scene = self._scene()
        # The widgets are missing while the screen is being created or closed.
        for head in self.query("#head").results(Static):
            head.update(
                top.head(
                    scene,
                    self._bus.network,
                    sort=self._sort,
                    words_wanted=self._words,
                    frozen=self._frozen is not None,
                    failed=self._bus.failed,
                )
            )
        for page in self.query("#page").results(Static):
            width = max(NARROWEST, self.size.width - 3)
            page.update(top.page(scene, width=width, decode=self._decode))

    def _scene(self) -> TopScene:
        views, state = self._frozen or (self._bus.views(), self._bus.state())
        scene = TopScene(state, total=len(views), lost=self._bus.lost)
        if self._words:
            names = [self._databases.name_of(view.frame) for view in views]
            views = matching(views, self._words, names)
        views = sort_views(views, self._sort)
        shown = views[: top.MOST]
        decoded = [self._databases.decode(view.frame) if self._decode else None for view in shown]
        return replace(scene, views=views, decoded=decoded)

    def action_freeze(self) -> None:
        """Freeze the page, or continue."""
        frozen = self._bus.views(), self._bus.state()
        self._frozen = frozen if self._frozen is None else None
        self._draw()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._draw()

    def action_filter(self) -> None:
        """Open the line for the filter."""
        line = self.query_one("#filter", Input)
        line.add_class("open")
        line.focus()

    @on(Input.Changed)
    def _filter_changed(self, changed: Input.Changed) -> None:
        self._words = changed.value.strip()
        self._draw()

    @on(Input.Submitted)
    def _filter_submitted(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.remove_class("open")
        self.query_one("#ids").focus()

    def action_leave(self) -> None:
        """Leave the filter's line; else show all ids again; else quit."""
        line = self.query_one("#filter", Input)
        if line.has_class("open"):
            self._close_filter()
        elif self._words:
            line.value = ""
        else:
            self.exit(return_code=0)

    def action_decode(self) -> None:
        """Show or hide what the frames mean."""
        if not self._databases:
            self.notify("name a database of messages: evercan top NETWORK --dbc FILE")
        self._decode = bool(self._databases) and not self._decode
        self._draw()

    def action_clear(self) -> None:
        """Count from now on."""
        self._bus.clear()
        self._draw()

    def action_theme(self) -> None:
        """Switch between dark and light."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"

    def action_keys(self) -> None:
        """Show what the keys do."""
        self.push_screen(KeysScreen(self.KEYS))

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#ids").scroll_relative(y=lines * 2, animate=False)

    def action_interrupt(self) -> None:
        """End with the exit status of Ctrl-C, which is a key here and not a signal."""
        self.exit(return_code=INTERRUPTED)
