"""``evercan graph``: write the buses and their members as a picture, or as text that draws one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from evercan.cli.access.reach import Target
from evercan.cli.access.source import read_overviews
from evercan.cli.errors import CliError
from evercan.cli.pages.graph_text import dot, mermaid
from evercan.cli.pages.svg import svg
from evercan.cli.views.overview import select_networks
from evercan.cli.views.topology import BusView, buses, document

ENDINGS = {
    ".svg": "svg",
    ".mmd": "mermaid",
    ".md": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
}
"""Endings of files, and the format of each."""


def graph(target: Target, networks: Sequence[str], format_: str | None, output: str) -> int:
    """Draw all networks, or those that are named.

    Raises:
        CliError: a name or the file's ending is unknown, the engine or a plugin does not answer,
            or the file cannot be written.
    """
    chosen_format = format_ or format_of(output)
    overviews = select_networks(read_overviews(target), networks)
    shown = buses([network for overview in overviews for network in overview.networks])
    picture = draw(shown, chosen_format)
    if chosen_format == "mermaid" and Path(output).suffix.lower() == ".md":
        # Markdown draws Mermaid only in a fence; programs that read a pipe need it without.
        picture = f"```mermaid\n{picture}```\n"
    if output == "-":
        sys.stdout.write(picture)
        return 0
    try:
        Path(output).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {output} ({error.strerror})", "name another file") from error
    return 0


def format_of(output: str) -> str:
    """Return the format of a file by its ending; SVG without an ending.

    Raises:
        CliError: the ending is unknown.
    """
    ending = Path(output).suffix
    if not ending:
        return "svg"
    if ending.lower() not in ENDINGS:
        raise CliError(
            f"{output} has the unknown ending {ending}",
            f"known endings: {', '.join(ENDINGS)}; or choose with --format",
        )
    return ENDINGS[ending.lower()]


def draw(shown: Sequence[BusView], format_: str) -> str:
    """Write buses in a format: svg, mermaid, dot or json."""
    return _WRITERS[format_](shown)


def _json(shown: Sequence[BusView]) -> str:
    return json.dumps(document(shown), indent=2, ensure_ascii=False) + "\n"


_WRITERS: dict[str, Callable[[Sequence[BusView]], str]] = {
    "svg": svg,
    "mermaid": mermaid,
    "dot": dot,
    "json": _json,
}
