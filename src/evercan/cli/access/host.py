"""Access to the engine's host, which has the plugin's socket and the CAN interfaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from evercan.cli.access import can_socket, player
from evercan.cli.access.program import LocalProgram, Program
from evercan.cli.errors import CliError, NoAccess, NoAnswer

TIMEOUT = 30.0
"""Seconds that a plugin's answer, or a script on the host, may take."""


@dataclass(frozen=True)
class ScriptResult:
    """The result of a script.

    Attributes:
        status: its exit status.
        out: its standard output; bytes that are not UTF-8 are replaced.
        err: its standard error.
    """

    status: int
    out: str
    err: str = ""


class HostAccess(Protocol):
    """Access to the engine's host."""

    @property
    def name(self) -> str:
        """The host's name in messages."""
        ...

    @property
    def root(self) -> str:
        """The folder under which the host's files are mounted; empty on the host itself."""
        ...

    def run(self, script: str, *arguments: str) -> ScriptResult:
        """Run a POSIX shell script that changes nothing.

        Raises:
            CliError: the host cannot be reached any more.
        """
        ...

    def exchange(self, path: str, request: bytes) -> bytes:
        """Send bytes to a unix socket and return everything until it is closed.

        Raises:
            NoAccess: root is required.
            NoAnswer: nothing listens there.
            CliError: the host cannot be reached any more.
        """
        ...

    def frames(self, *, errors: bool = False) -> Iterator[str]:
        """Yield the frames of all CAN interfaces of the host, as ``candump -L -x`` writes them.

        With ``errors``, the error frames of controllers are among them.
        The first line is empty, and comes when the reading begins. Ends only with an error, or
        when `close` is called.

        Raises:
            CliError: the frames cannot be read.
        """
        ...

    def player(self, interface: str) -> Program:
        """Start the program that sends the frames it reads at their times on an interface.

        `evercan.cli.access.sending` writes its input and reads its output.

        Raises:
            CliError: the program is missing, or does not start.
        """
        ...

    def close(self) -> None:
        """Remove what was created for the access."""
        ...


class LocalHost:
    """Access to the machine that this process runs on."""

    name = "this host"
    root = ""

    def __init__(self, hint: Callable[[], str] = lambda: "") -> None:
        """Take what to append to the remedy when a privilege is missing."""
        self._hint = hint

    def run(self, script: str, *arguments: str) -> ScriptResult:
        """Run a script with this machine's shell."""
        try:
            done = subprocess.run(  # noqa: S603 - the script is ours
                ["/bin/sh", "-c", script, "sh", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CliError(f"cannot run a script on this host ({error})") from error
        return ScriptResult(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def exchange(self, path: str, request: bytes) -> bytes:
        """Connect to the socket."""
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(path)
                connection.sendall(request)
                while chunk := connection.recv(65536):
                    answer += chunk
        except PermissionError as error:
            raise NoAccess(
                f"no permission on {path}", f"run this as root (sudo){self._hint()}"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoAnswer("nothing listens on its socket") from error
        except OSError as error:
            raise NoAnswer(str(error)) from error
        return bytes(answer)

    def frames(self, *, errors: bool = False) -> Iterator[str]:
        """Read all interfaces through one socket, which needs no privilege."""
        return can_socket.frames(errors=errors)

    def player(self, interface: str) -> Program:
        """Run it with this process's Python."""
        if sys.platform != "linux":
            raise can_socket.no_socket_can()
        return LocalProgram(sys.executable, "-I", player.__file__, interface)

    def close(self) -> None:
        """Do nothing: nothing was created."""


def is_root() -> bool:
    """Return whether this process runs as root."""
    return os.geteuid() == 0
