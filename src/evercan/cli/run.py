"""Runs a command line; how it ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import rich_click as click
from click.exceptions import Exit

from evercan.cli.app import evercan
from evercan.cli.errors import ENDED_BY_ERROR, INTERRUPTED, UNREAD, CliError
from evercan.cli.pages.terminal import console


def run(arguments: Sequence[str] | None) -> int:
    """Run a command line; every error is one sentence on standard error.

    Returns:
        The exit status: the command's, or 2 for an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack the signs
    try:
        result = evercan.main(
            None if arguments is None else list(arguments),
            prog_name="evercan",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except CliError as error:
        _complain(str(error))
        return ENDED_BY_ERROR
    except (BrokenPipeError, SystemExit) as error:
        # click makes the one into the other.
        if not isinstance(error.__context__ or error, BrokenPipeError):
            raise
        # As for any filter: `evercan dump net | head` ends without a word.
        _leave_unwritten()
        return UNREAD
    except OSError as error:
        _leave_unwritten()
        _complain(f"the output cannot be written ({error.strerror}); make room, or write elsewhere")
        return ENDED_BY_ERROR
    except Exit as left:
        return left.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _leave_unwritten() -> None:
    """Keep the interpreter from writing at its end what could not be written."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    with suppress(OSError):
        sys.stdout.flush()
    stream = console(stderr=True)
    stream.print(f"evercan: {text}", soft_wrap=True)
