"""The screen of ``evercan watch`` that shows the frames of a bus as they pass."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar, Protocol

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from evercan.cli.access.databases import Databases
from evercan.cli.pages.dump import dump_lines
from evercan.cli.pages.keys import KeysScreen
from evercan.cli.pages.live_app import NARROWEST
from evercan.cli.views import words
from evercan.cli.views.traffic import SentFrame

_INTERVAL = 0.2


class Tail(Protocol):
    """What the screen shows: the last frames of a bus."""

    network: str
    sender: str
    bus: str
    error: Exception | None

    @property
    def count(self) -> int:
        """Frames so far."""
        ...

    @property
    def begun(self) -> bool:
        """Whether frames are being read."""
        ...

    @property
    def lost(self) -> int:
        """Frames that were lost."""
        ...

    @property
    def failed(self) -> str:
        """What does not answer; empty if all do."""
        ...

    def start(self) -> None:
        """Connect and read in the background."""
        ...

    def last(self) -> list[SentFrame]:
        """Return the last frames, oldest first."""
        ...

    def close(self) -> None:
        """Read no further frames."""
        ...


class DumpScreen(ModalScreen[None]):
    """The frames of a network, or of one member; the newest is at the bottom."""

    CSS = """
    DumpScreen { background: $background; }
    DumpScreen #dump-head { height: auto; padding: 0 1; background: $panel; }
    DumpScreen #dump-body { padding: 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "dismiss", "back", key_display="Esc"),
        Binding("p,space", "pause", "pause", key_display="p"),
        Binding("t", "app.theme", show=False),
        Binding("question_mark", "keys", "keys", key_display="?"),
    ]
    KEYS: ClassVar[dict[str, str]] = {
        "Esc, q, d": "back to the members",
        "p, Space": "pause, to look back with the arrows and page keys; continue",
        "t": "light or dark",
    }

    def __init__(self, tail: Tail, databases: Databases) -> None:
        """Take the frames, and what they mean."""
        super().__init__()
        self._tail, self._databases = tail, databases
        self._paused: Sequence[SentFrame] | None = None

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(id="dump-head")
        with VerticalScroll(id="dump-body"):
            yield Static(id="dump-page")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start reading and drawing."""
        self._tail.start()
        self.set_interval(_INTERVAL, self._draw)
        self._draw()

    def on_unmount(self) -> None:
        """Stop reading; the screen does not wait for it."""
        threading.Thread(target=self._tail.close, daemon=True).start()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._draw()

    def _draw(self) -> None:
        if self._tail.error is not None:
            raise self._tail.error
        self.query_one("#dump-head", Static).update(self._head())
        if self._paused is None:
            height = self.query_one("#dump-body").size.height
            self._show(self._tail.last()[-height:], height)

    def _show(self, frames: Sequence[SentFrame], height: int | None = None) -> None:
        width = max(NARROWEST, self.size.width - 3)
        lines = dump_lines(frames, self._databases.decode, width)
        shown = lines if height is None else lines[-height:]
        self.query_one("#dump-page", Static).update(Text("\n").join(shown))

    def _head(self) -> Group:
        tail = self._tail
        line = Text(tail.network, style="bold cyan")
        line.append(f"  {tail.bus}", style="bold")
        line.append(f"  {tail.sender or 'all senders'}")
        line.append(f"  {words.number_of(tail.count, 'frame')}", style="dim")
        if self._paused is not None:
            line.append("  ‖ paused", style="bold yellow")
        lines = [line]
        if tail.failed:
            lines.append(Text(f"✖ {tail.failed}", style="bold red"))
        elif not tail.begun:
            lines.append(Text("connecting …", style="dim"))
        if tail.lost:
            lost = f"{words.count(tail.lost)} frames lost: reading is too slow"
            lines.append(Text(lost, style="yellow"))
        return Group(*lines)

    def action_pause(self) -> None:
        """Pause with all frames that are kept, or continue."""
        if self._paused is None:
            self._paused = self._tail.last()
            self._show(self._paused)
            body = self.query_one("#dump-body")
            body.focus()
            self.call_after_refresh(body.scroll_end, animate=False)
        else:
            self._paused = None
        self._draw()

    def action_keys(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(KeysScreen(self.KEYS))
