"""The engine's host: where the plugin's socket, the kernel and its CAN interfaces are."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from evercan.cli.access import can_socket
from evercan.cli.errors import CliError, NoAccess, Silent

PATIENCE = 30.0
"""Seconds that a plugin's answer, or a look at the host, may take."""


@dataclass(frozen=True)
class Ended:
    """How a script ended.

    Attributes:
        status: its exit status.
        out: its standard output; what is not UTF-8 is replaced.
        err: its standard error.
    """

    status: int
    out: str
    err: str = ""


class Host(Protocol):
    """A way to the engine's host."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def root(self) -> str:
        """Path under which the host's files are seen; empty where they are seen as they are."""
        ...

    def run(self, script: str, *arguments: str) -> Ended:
        """Run a POSIX shell script that only looks.

        Raises:
            CliError: there is no way to the host any more.
        """
        ...

    def exchange(self, path: str, request: bytes) -> bytes:
        """Send bytes to a unix socket and return all that comes until it is closed.

        Raises:
            NoAccess: this needs root.
            Silent: nobody listens there.
            CliError: there is no way to the host any more.
        """
        ...

    def frames(self) -> Iterator[str]:
        """Yield the frames of all CAN interfaces of the host, as ``candump -L -x`` writes them.

        Ends only by an error, or when `close` is called.

        Raises:
            CliError: they cannot be read.
        """
        ...

    def close(self) -> None:
        """Clear away what was made to get there."""
        ...


class ThisHost:
    """The machine that this process runs on."""

    name = "this host"
    root = ""

    def __init__(self, hint: Callable[[], str] = lambda: "") -> None:
        """Take what to add to the advice when a privilege is missing."""
        self._hint = hint

    def run(self, script: str, *arguments: str) -> Ended:
        """Run a script with this machine's shell."""
        try:
            done = subprocess.run(  # noqa: S603 - a script of ours
                ["/bin/sh", "-c", script, "sh", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CliError(f"this host cannot be looked at ({error})") from error
        return Ended(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def exchange(self, path: str, request: bytes) -> bytes:
        """Connect to the socket."""
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(path)
                connection.sendall(request)
                while chunk := connection.recv(65536):
                    answer += chunk
        except PermissionError as error:
            raise NoAccess(f"no permission on {path}; run this as root (sudo){self._hint()}") from (
                error
            )
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise Silent("nobody listens on its socket") from error
        except OSError as error:
            raise Silent(str(error)) from error
        return bytes(answer)

    def frames(self) -> Iterator[str]:
        """Listen on one socket for all interfaces, which needs no privilege."""
        return can_socket.frames()

    def close(self) -> None:
        """Nothing was made."""


def is_root() -> bool:
    """Whether this process may do what root may."""
    return os.geteuid() == 0
