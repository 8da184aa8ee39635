"""``python -m bench``: the table, and the same as JSON.

Exit status 0: every budget is kept; 1: some are not, and the table says which.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import lasting, native, on_host
from bench.figures import HEADINGS, Figure, markdown, row
from evercan import __version__
from tools import plugin
from tools.common.checkout import DIST

PARTS: dict[str, Callable[[bool], list[Figure]]] = {
    "size": native.size,
    "start": native.start,
    "memory": native.memory,
    "lasting": lasting.memory,
    "turn": lasting.turns,
    "host": on_host.measure,
}


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: does it work?")
    parser.add_argument("--only", metavar="PARTS", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--json", type=Path, default=DIST / "bench.json", metavar="FILE")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    built = plugin.build()
    figures: list[Figure] = []
    for name in names:
        figures += PARTS[name](options.quick)
    table = Table(*HEADINGS, title=f"evercan {__version__}, build {built.key}")
    where = ""
    for each in figures:
        if each.where != where:
            where = each.where
            table.add_section()
            table.add_row(f"on {where}")
        table.add_row(*row(each))
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    document = {
        "version": __version__,
        "build": built.key,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, kernel {platform.release()}",
        "load": os.getloadavg()[2],
        "quick": options.quick,
        "figures": [each.as_json() for each in figures],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    options.json.with_suffix(".md").write_text(markdown(figures))
    return 1 if any(each.met is False for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
