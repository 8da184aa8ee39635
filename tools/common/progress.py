"""Says on stderr what the lab is doing and for how long."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_LIVE_REFRESH_PER_S: Final = 4.0
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WIDTH: Final = 60


class Phase:
    """One phase under way; `detail` says what it waits for just now."""

    def __init__(self, live: Progress | None = None) -> None:
        self._live = live

    def detail(self, text: str) -> None:
        """Show ``text`` beside the phase; only where the line can be redrawn."""
        if self._live is not None:
            # A guest's console writes colours and brackets of its own.
            plain = "".join(c for c in _COLOURS.sub("", text) if c.isprintable())
            self._live.update(self._live.task_ids[0], detail=escape(plain[-_WIDTH:].strip()))


@contextmanager
def phase(text: str) -> Iterator[Phase]:
    """Announce a phase, and when it ends how long it took.

    On a terminal the elapsed time runs; elsewhere one plain line is written.
    """
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("lab: {task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
        )
        live = Progress(
            *columns, console=console, transient=True, refresh_per_second=_LIVE_REFRESH_PER_S
        )
        with live:
            live.add_task(text, detail="")
            yield Phase(live)
    else:
        print(f"lab: {text} ...", file=sys.stderr, flush=True)
        yield Phase()
    note(f"{text}: {time.monotonic() - started:.0f} s")


def note(text: str) -> None:
    """Write one plain line to stderr."""
    print(f"lab: {text}", file=sys.stderr, flush=True)
