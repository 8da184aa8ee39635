"""What the demo shows: headings, frames as they pass, the verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.table import Table

from lab.frames import Verdict

console = Console(highlight=False)


def heading(text: str) -> None:
    """Begin a chapter."""
    console.print()
    console.rule(f"[bold]{text}", align="left")


def say(text: str) -> None:
    """Say one thing."""
    console.print(text)


def frames(sources: Mapping[str, Iterable[bytes]], seconds: float, most: int) -> int:
    """Print candump lines of several listeners as they come; return how many were printed.

    Args:
        sources: streams of lines, by the name that stands before each line.
        seconds: how long to watch.
        most: lines to print of each source.
    """
    printed = 0
    lock = threading.Lock()
    until = time.monotonic() + seconds
    width = max(map(len, sources))

    def follow(name: str, stream: Iterable[bytes]) -> None:
        nonlocal printed
        left = most
        for line in stream:
            if time.monotonic() > until or not left:
                return
            left -= 1
            with lock:
                printed += 1
                console.print(
                    f"  [cyan]{name:>{width}}[/]  {line.decode(errors='replace').strip()}"
                )

    threads = [threading.Thread(target=follow, args=each, daemon=True) for each in sources.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return printed


def waiting(what: str, action: Callable[[], object]) -> float:
    """Do something that takes its time, showing what is waited for; return the seconds."""
    begun = time.monotonic()
    with console.status(what) if console.is_terminal else _nothing():
        if not console.is_terminal:
            console.print(f"… {what}")
        action()
    return time.monotonic() - begun


class _nothing:  # noqa: N801 - stands for a context manager
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def verdict(rows: Mapping[str, Verdict], figures: Mapping[str, str]) -> None:
    """Print the figures and the judgement."""
    table = Table(title="Verdict", title_justify="left")
    table.add_column("")
    for name in ("sent", "deliveries expected", "received", "lost", "doubled"):
        table.add_column(name, justify="right")
    for name, each in rows.items():
        table.add_row(
            name,
            *(str(n) for n in (each.sent, each.expected, each.received, each.lost, each.doubled)),
        )
    console.print(table)
    for name, value in figures.items():
        console.print(f"  {name}: [bold]{value}[/]")
    for each in rows.values():
        for fault in each.faults:
            console.print(f"  [red]{fault}[/]")
