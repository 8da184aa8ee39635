"""A box over a full-screen application that says what its keys do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static


class KeysScreen(ModalScreen[None]):
    """The box; it closes with the next key of its own."""

    CSS = """
    KeysScreen { align: center middle; }
    #keys { width: auto; max-width: 95%; height: auto; padding: 1 2; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter,space", "dismiss", show=False)
    ]

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Take the keys, and what each of them does."""
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Create the box."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for key, effect in self._keys.items():
            table.add_row(Text(key, style="bold"), Text(effect))
        table.add_row(Text("Esc", style="dim"), Text("close this", style="dim"))
        yield Static(table, id="keys")
