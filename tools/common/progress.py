"""Progress lines on stderr: what runs, and how long it has taken."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_REFRESHES_PER_SECOND: Final = 4.0
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DETAIL_WIDTH: Final = 60
_STARTED: Final = time.monotonic()


def report(text: str) -> None:
    """Write one line, with the seconds since the process started its work."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


class Phase:
    """A phase that runs; `detail` shows what it waits for at the moment."""

    def __init__(self, live: Progress | None = None) -> None:
        self._live = live

    def detail(self, text: str) -> None:
        """Show ``text`` beside the phase, on a terminal only."""
        if self._live is not None:
            # A guest's console writes colours and brackets of its own.
            plain = "".join(char for char in _COLOURS.sub("", text) if char.isprintable())
            detail = escape(plain[-_DETAIL_WIDTH:].strip())
            self._live.update(self._live.task_ids[0], detail=detail)


@contextmanager
def phase(text: str) -> Iterator[Phase]:
    """Announce a phase; when it ends, report how long it took.

    On a terminal the elapsed time is shown meanwhile; elsewhere plain lines are written.
    """
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
        )
        with Progress(
            *columns, console=console, transient=True, refresh_per_second=_REFRESHES_PER_SECOND
        ) as live:
            live.add_task(text, detail="")
            yield Phase(live)
    else:
        report(f"{text} ...")
        yield Phase()
    report(f"{text}: done in {time.monotonic() - started:.0f} s")
