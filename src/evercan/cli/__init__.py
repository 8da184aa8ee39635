"""``evercan``: the command for people, on the engine's host or anywhere that reaches the engine.

It comes with ``pip install 'evercan[cli]'``; nothing of the daemon is imported
here, and nothing of this is in the plugin. Pure modules decide what is shown
(`overview`, `topology`, `traffic`, the checks of `doctor`, …); `engine`, `host`
and `helper` are the ways to whatever is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_NEEDED = {"click", "docker", "requests", "rich", "rich_click", "textual"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status, 2 for an error told in one sentence."""
    try:
        from evercan.cli.run import run  # noqa: PLC0415 - only here its absence can be told
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        print(
            f"evercan: the Python package {error.name} is missing; install the command with what "
            "it needs: pip install 'evercan[cli]'",
            file=sys.stderr,
        )
        return 2
    return run(arguments)
