"""What the full-screen applications have in common: a page that scrolls, a filter, and keys."""

from __future__ import annotations

import signal
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from evercan.cli.errors import INTERRUPTED
from evercan.cli.pages.keys import KeysScreen
from evercan.cli.signals import at_signals

NARROWEST = 28
"""Columns of a page, at least; a narrower window cuts it off at the right."""


class LiveApp(App[None]):
    """A head, a page that scrolls, a line for the filter, and the keys."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None  # else the closed line of the filter would take the keys
    CSS = """
    Screen { background: $background; }
    #head { height: auto; padding: 0 1; background: $panel; }
    #body { padding: 0 1; scrollbar-size-vertical: 1; }
    #filter { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("escape", "leave", show=False),
        # It replaces the screen's own ctrl+c, which copies the selection.
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("t", "theme", show=False),
        Binding("question_mark", "keys", "keys", key_display="?"),
        Binding("up,k", "scroll('up')", show=False),
        Binding("down,j", "scroll('down')", show=False),
        Binding("pageup", "scroll('page_up')", show=False),
        Binding("pagedown", "scroll('page_down')", show=False),
        Binding("home", "scroll('home')", show=False),
        Binding("end", "scroll('end')", show=False),
    ]
    FILTER_HINT: ClassVar[str] = ""
    """What the filter's line shows while it is empty."""

    KEYS: ClassVar[dict[str, str]] = {}
    """What each key does, for the box of the key ?."""

    def __init__(self) -> None:
        """Start without a filter."""
        super().__init__()
        self._words = ""

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(id="head")
        with VerticalScroll(id="body", can_focus=False):
            yield Static(id="page")
        yield Input(placeholder=self.FILTER_HINT, id="filter")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Use the dark theme, and end at a SIGINT.

        asyncio has no handler of its own in a process that was started with SIGINT ignored,
        as shells start background commands.
        """
        self.theme = "textual-dark"
        at_signals(self.action_interrupt, signal.SIGINT)

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._draw()

    def _draw(self) -> None:
        """Draw the head and the page; the widgets are missing while the screen is created."""
        raise NotImplementedError

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
    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self.set_focus(None)

    def action_leave(self) -> None:
        """Leave the filter's line; else remove the filter; else quit."""
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

    def action_scroll(self, where: str) -> None:
        """Scroll the page; ``where`` names a method of Textual."""
        getattr(self.query_one("#body"), f"scroll_{where}")(animate=False)

    def action_interrupt(self) -> None:
        """End with the exit status of Ctrl-C, which is a key here; a SIGINT does the same."""
        self.exit(return_code=INTERRUPTED)
