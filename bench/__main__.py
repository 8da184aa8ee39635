"""``python -m bench``: measures, prints a table and writes it as JSON.

Exit status 0: all budgets are kept; 1: the table names the budgets that are not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import link, long_run, on_host, on_machine, pages, play
from bench.figures import HEADINGS, Figure, markdown, row
from evercan import __version__
from tools import plugin
from tools.common.checkout import DIST
from tools.common.progress import report

PARTS: dict[str, Callable[[bool], list[Figure]]] = {
    "size": on_machine.size,
    "start": on_machine.start,
    "memory": on_machine.memory,
    "lasting": long_run.memory,
    "turn": long_run.passes,
    "members": on_host.members,
    "frames": on_host.frames,
    "wires": on_host.wires,
    "link": link.figures,
    "play": play.figures,
}


def main() -> int:
    """Measure, print the table and write the files."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, for a test")
    parser.add_argument("--only", metavar="PARTS", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--json", type=Path, default=DIST / "bench.json", metavar="FILE")
    parser.add_argument(
        "--write", action="store_true", help="write the pages' tables and pictures, too"
    )
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write needs all parts with all repetitions: leave out --quick and --only")
    names = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; parts: {', '.join(PARTS)}")
    built = plugin.build()
    figures: list[Figure] = []
    for name in names:
        report(f"measuring {name}")
        figures += PARTS[name](options.quick)
        # After each part: a run takes more than an hour.
        _save(figures, built.key, options)
    table = Table(*HEADINGS, title=f"evercan {__version__}, build {built.key}")
    where = ""
    for figure in figures:
        if figure.where != where:
            where = figure.where
            table.add_section()
            table.add_row(f"on {where}")
        table.add_row(*row(figure))
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    if options.write:
        pages.write(options.json)
    return 1 if any(figure.met is False for figure in figures) else 0


def _save(figures: Sequence[Figure], build: str, options: argparse.Namespace) -> None:
    """Write the figures as JSON, and as a table beside it."""
    document = {
        "version": __version__,
        "build": build,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, kernel {platform.release()}",
        "load": os.getloadavg()[2],
        "quick": options.quick,
        "figures": [figure.as_json() for figure in figures],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    options.json.with_suffix(".md").write_text(markdown(figures))


if __name__ == "__main__":
    sys.exit(main())
