"""``evercan``: the command for people, on the engine's host or any machine that reaches it.

``pip install 'evercan[cli]'`` installs it. It imports nothing of the daemon, and
the plugin contains none of it. `app` and `frames` read the command line and call `commands`;
these reach the engine, its host and the plugin through `access`, and show `views`
with `pages`. `checks` is what ``evercan doctor`` judges.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_NEEDED = {"click", "docker", "requests", "rich", "rich_click", "textual"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status."""
    try:
        from evercan.cli.run import run  # noqa: PLC0415 - only here can its absence be reported
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        print(
            f"evercan: the Python package {error.name} is missing; install the command with its "
            "dependencies: pip install 'evercan[cli]'",
            file=sys.stderr,
        )
        return 2
    return run(arguments)
