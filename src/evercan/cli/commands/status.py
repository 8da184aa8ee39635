"""``evercan status``: show networks, their buses, and the containers on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evercan.cli.access.reach import Target
from evercan.cli.access.source import read_overviews
from evercan.cli.pages.status import page
from evercan.cli.pages.terminal import console, print_json
from evercan.cli.views.overview import Overview, Verdict, select_networks, worst

HEALTHY, UNHEALTHY = 0, 1
"""Exit statuses."""


def status(target: Target, networks: Sequence[str], *, json: bool) -> int:
    """Show all networks, or those that are named; return the exit status.

    Raises:
        CliError: the engine or a plugin does not answer, or a name is unknown.
    """
    overviews = select_networks(read_overviews(target), networks)
    if json:
        print_json(document(overviews))
    else:
        console().print(page(overviews))
    return exit_status(overviews)


def exit_status(overviews: Sequence[Overview]) -> int:
    """Return 1 if something fails; a warning is no failure."""
    fails = worst([overview.verdict for overview in overviews]) is Verdict.FAIL
    return UNHEALTHY if fails else HEALTHY


def document(overviews: Sequence[Overview]) -> dict[str, Any]:
    """Return overviews as a JSON document."""
    plugins = [{**asdict(overview), "verdict": overview.verdict} for overview in overviews]
    return {"schema": 1, "plugins": _published(plugins)}


def _published(value: Any) -> Any:
    """Return a value with the names of keys that the schema has: its problems are "troubles"."""
    if isinstance(value, dict):
        return {
            "troubles" if key == "problems" else key: _published(part)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_published(part) for part in value]
    return value
