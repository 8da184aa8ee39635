"""Draw the page of ``evercan top``: a line for each id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

from evercan.cli.pages.bus_line import bus_line, health_line
from evercan.cli.pages.terminal import end_of, one_line
from evercan.cli.views import words
from evercan.cli.views.bus_state import BusState
from evercan.cli.views.decoding import Decoded
from evercan.cli.views.ids import IdView

MOST = 500
"""Lines that are drawn, so that a screen of many ids stays quick."""

_NAME = 14
"""Columns of a sender's name, unless the window is wide."""

_WIDE = 150
"""Columns from which on the decoded frame is behind its data, not below it."""

_DATA = 23
"""Columns of 8 bytes of data."""

_BETWEEN = " "
_CHANGED = "bold yellow"


@dataclass(frozen=True)
class TopScene:
    """What the page shows.

    Attributes:
        state: the bus.
        views: the ids, filtered and sorted.
        total: how many there are without the filter.
        decoded: what the last frame of each of `views` means; None if it is in no database.
        lost: frames that were lost because reading was too slow.
        begun: whether frames are being read; not while the first connection is made.
    """

    state: BusState
    views: Sequence[IdView] = ()
    total: int = 0
    decoded: Sequence[Decoded | None] = field(default_factory=tuple)
    lost: int = 0
    begun: bool = True


def head(
    scene: TopScene, network: str, *, sort: str, words_wanted: str, frozen: bool, failed: str
) -> RenderableType:
    """Draw the lines at the top: the bus, its errors, and how the ids are chosen."""
    first = Text(f"{network}  ", style="bold cyan").append_text(bus_line(scene.state))
    if frozen:
        first.append("  ‖ frozen", style="bold yellow")
    lines = [first]
    if failed:
        lines.append(Text(f"✖ {failed}", style="bold red"))
    if health := health_line(scene.state):
        lines.append(health)
    shown = words.number_of(scene.total, "id")
    if words_wanted:
        shown = f"{len(scene.views)} of {shown} with “{words_wanted}”"
    facts = [shown, f"sorted by {sort}"]
    line = Text(", ".join(facts), style="dim")
    if scene.lost:
        line.append(f"  {words.count(scene.lost)} frames lost: reading is too slow", style="yellow")
    lines.append(line)
    return Group(*lines)


def page(scene: TopScene, *, width: int, decode: bool) -> RenderableType:
    """Draw the ids.

    Args:
        scene: the ids.
        width: columns.
        decode: show what the frames mean.
    """
    if not scene.views:
        return Text(_hint(scene), style="dim")
    columns = _columns(scene, width, decode=decode)
    lines = [columns.title()]
    for view, decoded in zip(scene.views[:MOST], scene.decoded[:MOST], strict=True):
        lines += columns.lines(view, decoded if decode else None, scene.state.now)
    if len(scene.views) > MOST:
        more = words.count(len(scene.views) - MOST)
        lines.append(Text(f"… and {more} more: press / to filter", style="dim"))
    return Group(*lines)


def _hint(scene: TopScene) -> str:
    """Return why there is no id."""
    if scene.total:
        return "no id has all of these words"
    return "no frames yet" if scene.begun else "connecting …"


@dataclass(frozen=True)
class _Columns:
    """The widths of the columns; a width of 0 leaves a column out."""

    width: int
    id: int
    sender: int
    jitter: int
    data: int
    beside: bool

    def title(self) -> Text:
        parts = ["id".ljust(self.id), "sender".ljust(self.sender), " count", "   period"]
        if self.jitter:
            parts.append("  jitter")
        parts += ["len", "data".ljust(self.data)]
        if self.beside:
            parts.append("decoded")
        return one_line(Text(_BETWEEN.join(parts), style="dim"), self.width)

    def lines(self, view: IdView, decoded: Decoded | None, now: int) -> list[Text]:
        line = Text(style="dim" if view.silent(now) else "")
        line.append(view.id_text.rjust(self.id), style="bold")
        line.append(_BETWEEN + end_of(view.sender, self.sender).ljust(self.sender), "cyan")
        line.append(_BETWEEN + words.short_count(view.count).rjust(6))
        line.append(_BETWEEN + time_words(view.period).rjust(9))
        if self.jitter:
            line.append(_BETWEEN + time_words(view.jitter).rjust(8), "dim")
        line.append(f"{_BETWEEN}{view.frame.length:>3}{_BETWEEN}")
        line.append_text(data_text(view, self.data))
        if decoded is None:
            return [one_line(line, self.width)]
        meaning = Text(str(decoded), style="dim" if view.silent(now) else "green")
        if self.beside:
            line.append(_BETWEEN).append_text(meaning)
            return [one_line(line, self.width)]
        below = Text(" " * (self.id + 1)).append_text(meaning)
        return [one_line(line, self.width), one_line(below, self.width)]


def _columns(scene: TopScene, width: int, *, decode: bool) -> _Columns:
    shown = scene.views[:MOST]
    id_ = max(len(view.id_text) for view in shown)
    longest = max(len("sender"), *(len(view.sender) for view in shown))
    sender = min(longest, max(_NAME, width // 6))
    jitter = 8
    used = id_ + 1 + sender + 1 + 6 + 1 + 9 + 1 + jitter + 1 + 3 + 1
    if width - used < _DATA:
        used, jitter = used - jitter - 1, 0
    if width - used < _DATA:
        fewer = min(sender - len("sender"), _DATA - (width - used))
        used, sender = used - fewer, sender - fewer
    room = max(1, width - used)
    bytes_ = max(len(view.frame.data) for view in shown)
    needed = max(len("data"), 3 * bytes_ - 1)
    beside = decode and any(scene.decoded) and width >= _WIDE
    data = min(room, needed, _DATA) if beside else min(room, needed)
    return _Columns(width, id_, sender, jitter, data, beside)


def data_text(view: IdView, width: int) -> Text:
    """Draw the payload with changed bytes marked; a longer one is cut."""
    if view.frame.remote:
        return Text("remote request"[:width].ljust(width), style="dim")
    fits = (width + 1) // 3
    if len(view.frame.data) > fits:
        fits = max(0, (width - 1) // 3)
    line = Text()
    for place, byte in enumerate(view.frame.data[:fits]):
        line.append(" " if place else "")
        line.append(f"{byte:02X}", style=_CHANGED if place in view.changed else "")
    if len(view.frame.data) > fits:
        line.append("…", style="dim")
    line.append(" " * max(0, width - line.cell_len))
    return line


def time_words(seconds: float | None) -> str:
    """Format a period in at most 8 characters."""
    if seconds is None:
        return words.NOTHING
    if seconds < 0.0995:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 9.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.0f} s"
