"""Run a command line, and end it with the right exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import rich_click as click
from click.exceptions import Exit

from evercan.cli.app import evercan
from evercan.cli.errors import ENDED_BY_ERROR, INTERRUPTED, OUTPUT_CLOSED, CliError
from evercan.cli.pages.terminal import console


def run(arguments: Sequence[str] | None) -> int:
    """Run a command line; print an error as one sentence on standard error.

    Returns:
        The exit status: the command's, or 2 for an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal's encoding may lack the signs
    try:
        result = evercan.main(
            None if arguments is None else list(arguments),
            prog_name="evercan",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except CliError as error:
        _print_error(str(error))
        return ENDED_BY_ERROR
    except (BrokenPipeError, SystemExit) as error:
        # click turns the first into the second.
        if not isinstance(error.__context__ or error, BrokenPipeError):
            raise
        # `evercan dump net | head` ends without a message, as any filter does.
        _discard_output()
        return OUTPUT_CLOSED
    except OSError as error:
        _discard_output()
        _print_error(
            f"cannot write the output ({error.strerror}); free space, or write to another place"
        )
        return ENDED_BY_ERROR
    except Exit as left:
        return left.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _discard_output() -> None:
    """Keep the interpreter from flushing, at its exit, what could not be written."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(text: str) -> None:
    with suppress(OSError):
        sys.stdout.flush()
    console(stderr=True).print(f"evercan: {text}", soft_wrap=True)
