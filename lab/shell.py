"""Shell text and errors of commands that run on a testbed's host."""

import shlex
import subprocess
from collections.abc import Sequence
from typing import Final

from lab.errors import TestbedError

JOURNAL: Final = (
    *("journalctl", "--no-pager", "--quiet", "--output=short-iso-precise"),
    "--unit=docker.service",
)
"""The command that prints the engine's log."""

_ENDS_WITH_STDIN: Final = (
    "exec 3<&0; {command} </dev/null 3<&- & p=$!; "
    "{{ cat <&3; kill $p; }} >/dev/null 2>&1 & c=$!; "
    "exec 3<&-; wait $p; s=$?; kill $c 2>/dev/null; exit $s"
)


def ends_with_stdin(argv: Sequence[str]) -> str:
    """Return shell text that runs a command until it ends or its standard input closes.

    So when a connection is closed, the process at its other end stops too.
    """
    return _ENDS_WITH_STDIN.format(command=shlex.join(argv))


def checked(
    argv: Sequence[str], done: subprocess.CompletedProcess[bytes], *, check: bool
) -> subprocess.CompletedProcess[bytes]:
    """Return a finished command.

    Raises:
        TestbedError: It failed and ``check`` is set; the text contains its output.
    """
    if check and done.returncode != 0:
        output = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise TestbedError(
            f"on the host: {shlex.join(argv)}: status {done.returncode}: {output}",
            "run the command on the host to find out why it fails; in the lab: python -m lab ssh",
        )
    return done
