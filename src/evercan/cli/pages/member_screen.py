"""The box of ``evercan watch`` with what is known of one member."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

_INTERVAL = 0.5


class MemberScreen(ModalScreen[Literal["dump"] | None]):
    """The box; its result says what is wanted next."""

    CSS = """
    MemberScreen { align: center middle; }
    #member-body { width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2;
        background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "back", key_display="Esc"),
        Binding("d", "dump", "dump its frames"),
        Binding("t", "app.theme", show=False),
    ]

    def __init__(self, draw: Callable[[], RenderableType]) -> None:
        """Take what draws the member as it is now."""
        super().__init__()
        self._drawn = draw

    def compose(self) -> ComposeResult:
        """Create the box."""
        with VerticalScroll(id="member-body"):
            yield Static(id="member")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start drawing; the arrows scroll in a low window."""
        self.query_one("#member-body").focus()
        self.set_interval(_INTERVAL, self._draw)
        self._draw()

    def _draw(self) -> None:
        self.query_one("#member", Static).update(self._drawn())

    def action_dump(self) -> None:
        """Close the box, and ask for the member's frames."""
        self.dismiss("dump")
