"""``evercan``: the command for people, on the engine's host.

Standard library alone, and nothing of the daemon: it runs on a bare host with
``PYTHONPATH=src python3 -m evercan.cli``. A subcommand is a module with
``add_to``, which registers it, and a function that returns the exit status.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from evercan.cli import adopt
from evercan.cli.errors import CliError

_SUBCOMMANDS = (adopt,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status, 2 for an error told in one sentence."""
    parser = argparse.ArgumentParser(
        prog="evercan", description="CAN buses as Docker networks: the command for the host."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for each in _SUBCOMMANDS:
        each.add_to(commands)
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except CliError as error:
        print(f"evercan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status
