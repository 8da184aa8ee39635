"""What a shell may complete a word to."""

from __future__ import annotations

import rich_click as click

from evercan.cli.access.engine import Engine
from evercan.cli.errors import CliError


def plugins(context: click.Context, _: object, begun: str) -> list[str]:
    """Name the plugins whose names begin so; none if no engine says."""
    try:
        found = Engine(context.params.get("engine") or "").plugins()
    except CliError:
        return []
    return [each.name for each in found if each.name.startswith(begun)]


def networks(context: click.Context, _: object, begun: str) -> list[str]:
    """Name the networks whose names begin so; none if no engine says."""
    try:
        engine = Engine(context.params.get("engine") or "")
        names = [net.name for each in engine.plugins() for net in engine.networks(each.name)]
    except CliError:
        return []
    return [each for each in names if each.startswith(begun)]
