"""``evercan graph``: the topology as a picture, or as text that draws one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evercan.cli.access.reach import Wish
from evercan.cli.access.source import look
from evercan.cli.errors import CliError, NoNetwork
from evercan.cli.pages.svg import svg
from evercan.cli.views.overview import NetworkView
from evercan.cli.views.topology import Bus, buses, dot, mermaid

_BY_ENDING = {".svg": "svg", ".mmd": "mermaid", ".md": "mermaid", ".dot": "dot", ".gv": "dot"}
_WRITERS = {"svg": svg, "mermaid": mermaid, "dot": dot}


def graph(wish: Wish, networks: Sequence[str], format_: str | None, output: str) -> int:
    """Draw all networks, or those that are named.

    Raises:
        CliError: one is not there, or the file cannot be written.
    """
    seen = look(wish)
    chosen = pick([net for each in seen for net in each.networks], networks, seen[0].plugin)
    ending = Path(output).suffix.lower()
    format_ = format_ or _BY_ENDING.get(ending, "svg")
    picture = draw(buses(chosen), format_)
    if (ending, format_) == (".md", "mermaid"):
        # Markdown draws Mermaid only in a fence; what reads a pipe wants it bare.
        picture = f"```mermaid\n{picture}```\n"
    if output == "-":
        sys.stdout.write(picture)
        return 0
    try:
        Path(output).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{output} cannot be written ({error.strerror}); name another") from error
    return 0


def draw(shown: Sequence[Bus], format_: str) -> str:
    """Write a picture; ``format_`` is one of svg, mermaid and dot."""
    return _WRITERS[format_](shown)


def pick(
    views: Sequence[NetworkView], wanted: Sequence[str], plugin: str = "evercan:latest"
) -> list[NetworkView]:
    """Choose networks by name; all if none is named.

    Args:
        views: all that there are.
        wanted: names.
        plugin: whose network one could be that is yet to be made.

    Raises:
        NoNetwork: one of the names is unknown.
    """
    names = {each.name for each in views}
    if missing := [each for each in wanted if each not in names]:
        raise NoNetwork(missing[0], sorted(names), plugin)
    return [each for each in views if not wanted or each.name in wanted]
