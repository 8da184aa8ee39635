"""Prints the demo's output: headings, frames as they arrive, the result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

from rich.console import Console
from rich.table import Table

from lab.frames import Deliveries

console = Console(highlight=False)


def heading(text: str) -> None:
    """Print a heading."""
    console.print()
    console.rule(f"[bold]{text}", align="left")


def line(text: str) -> None:
    """Print one line."""
    console.print(text)


def frames(sources: Mapping[str, Iterable[bytes]], seconds: float, most: int) -> int:
    """Print candump lines of several members as they arrive; return how many were printed.

    Args:
        sources: Streams of lines, by the name to print before each line.
        seconds: How long to print.
        most: The largest number of lines of each source.
    """
    printed = 0
    lock = threading.Lock()
    until = time.monotonic() + seconds
    width = max(map(len, sources))

    def follow(name: str, stream: Iterable[bytes]) -> None:
        nonlocal printed
        left = most
        for text in stream:
            if time.monotonic() > until or not left:
                return
            left -= 1
            with lock:
                printed += 1
                console.print(
                    f"  [cyan]{name:>{width}}[/]  {text.decode(errors='replace').strip()}"
                )

    threads = [
        threading.Thread(target=follow, args=source, daemon=True) for source in sources.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return printed


def waiting(what: str, action: Callable[[], object]) -> float:
    """Run an action while showing what is waited for; return the seconds it took."""
    started = time.monotonic()
    with console.status(what) if console.is_terminal else nullcontext():
        if not console.is_terminal:
            console.print(f"… {what}")
        action()
    return time.monotonic() - started


def deliveries(rows: Mapping[str, Deliveries], figures: Mapping[str, str]) -> None:
    """Print a table of deliveries, the figures, and the problems."""
    table = Table(title="Deliveries", title_justify="left")
    table.add_column("")
    for name in ("sent", "deliveries expected", "received", "lost", "doubled"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(
            name,
            *(str(n) for n in (row.sent, row.expected, row.received, row.lost, row.doubled)),
        )
    console.print(table)
    for name, value in figures.items():
        console.print(f"  {name}: [bold]{value}[/]")
    for row in rows.values():
        for problem in row.problems:
            console.print(f"  [red]{problem}[/]")
