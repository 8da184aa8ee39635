"""``evercan watch``: show the buses live, full screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evercan.cli.access.databases import Databases
from evercan.cli.access.feed import Feed
from evercan.cli.access.reach import Target
from evercan.cli.commands.tail import Tail
from evercan.cli.errors import INTERRUPTED, CliError
from evercan.cli.pages.dump_screen import DumpScreen
from evercan.cli.pages.watch_app import WatchApp


def watch(target: Target, networks: Sequence[str], interval: float, dbc: Sequence[str] = ()) -> int:
    """Show all networks, or those that are named, until q is pressed.

    Raises:
        CliError: there is no terminal, a database cannot be read, or the first refresh fails.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("watch needs a terminal", "'evercan status' prints the same once")
    databases = Databases(dbc)

    def dump(network: str, sender: str) -> DumpScreen:
        return DumpScreen(Tail(target, network, sender), databases)

    app = WatchApp(Feed(target, networks), interval, dump)
    try:
        # An error of the first refresh ends the command; later ones are retried.
        app.feed.read()
        app.run()
    finally:
        app.feed.close()
    # None: a SIGINT has ended it before its screen was there.
    return INTERRUPTED if app.return_code is None else app.return_code
