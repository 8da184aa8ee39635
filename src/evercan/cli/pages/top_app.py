"""The full-screen application of ``evercan top``."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.widgets import Static

from evercan.cli.access.databases import Databases
from evercan.cli.pages import top
from evercan.cli.pages.live_app import NARROWEST, LiveApp
from evercan.cli.pages.top import TopScene
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
    def begun(self) -> bool:
        """Whether frames have been read, or the first one is waited for."""
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


class TopApp(LiveApp):
    """The screen: the bus, its ids, and the keys."""

    TITLE = "evercan top"
    FILTER_HINT = "words of an id, a sender or a message"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f,p,space", "freeze", "freeze", key_display="f"),
        Binding("s", "sort", "sort"),
        Binding("d", "decode", "decode"),
        Binding("c", "clear", "clear"),
    ]
    KEYS: ClassVar[dict[str, str]] = {
        "q": "quit",
        "f, p, Space": "freeze the page, and continue",
        "s": f"sort by {', '.join(SORTS)}",
        "/": "show only ids that have some words in their id, sender or message",
        "Esc": "leave the filter's line; then show all ids again; then quit",
        "d": "show or hide what the frames mean (with --dbc)",
        "c": "count from now on",
        "t": "light or dark",
        "arrows, j k, page keys": "scroll",
    }

    def __init__(self, bus: Bus, databases: Databases, interval: float, sort: str) -> None:
        """Take what is shown, the seconds from one drawing to the next, and the first order."""
        super().__init__()
        self._bus, self._databases, self._interval = bus, databases, interval
        self._sort = sort
        self._decode = bool(databases)
        self._frozen: tuple[list[IdView], BusState] | None = None

    def on_mount(self) -> None:
        """Start drawing."""
        self.set_interval(self._interval, self._draw)
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
        scene = TopScene(state, begun=self._bus.begun, total=len(views), lost=self._bus.lost)
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
