"""What the ways to run a command on a testbed's host have in common."""

import shlex
import subprocess
from collections.abc import Sequence
from typing import Final

from lab.errors import TestbedError

JOURNAL: Final = (
    *("journalctl", "--no-pager", "--quiet", "--output=short-iso-precise"),
    "--unit=docker.service",
)
"""Prints the engine's log."""

_LEASHED: Final = (
    "exec 3<&0; {command} </dev/null 3<&- & p=$!; "
    "{{ cat <&3; kill $p; }} >/dev/null 2>&1 & c=$!; "
    "exec 3<&-; wait $p; s=$?; kill $c 2>/dev/null; exit $s"
)


def leashed(argv: Sequence[str]) -> str:
    """Shell text that runs a command until it ends or its standard input closes.

    So ending the near end of a connection ends the far process too.
    """
    return _LEASHED.format(command=shlex.join(argv))


def checked(
    argv: Sequence[str], done: subprocess.CompletedProcess[bytes], *, check: bool
) -> subprocess.CompletedProcess[bytes]:
    """The finished command, if it succeeded or nobody minds.

    Raises:
        TestbedError: It failed and ``check`` is set; carries what it said.
    """
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise TestbedError(f"on the host: {shlex.join(argv)}: status {done.returncode}: {said}")
    return done
