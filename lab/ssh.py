"""Runs commands in the guest over one shared ssh connection.

Under emulation a new ssh connection takes more than a second; a session over a shared one takes a
sixth of that.
"""

import contextlib
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.errors import TestbedError, UnreachableError
from lab.image import Image
from lab.shell import ends_with_stdin
from tools.common.polling import attempts
from tools.common.programs import find_program

_NOT_CONNECTED: Final = 255
"""ssh's exit status if the connection failed."""

_REMEDY: Final = "see whether the lab runs: python -m lab status"


class Ssh:
    """Access to one guest, as root."""

    def __init__(self, image: Image, port: int, control: Path) -> None:
        """Set the addresses; the connection is opened by the first command.

        Args:
            image: The image that the guest was booted from.
            port: Loopback port that leads to the guest's ssh.
            control: Socket of the shared connection. Several processes may use it.
        """
        self._image = image
        self._port = port
        self._control = control

    def run(
        self,
        argv: tuple[str, ...],
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command and wait for it.

        Raises:
            UnreachableError: The guest does not answer.
            subprocess.TimeoutExpired: It took longer than ``timeout`` seconds.
        """
        self._open()
        # Not None as input: ssh would read this process's standard input.
        done = subprocess.run(
            self._command(shlex.join(argv)),
            input=stdin or b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode == _NOT_CONNECTED:
            raise UnreachableError(
                f"no answer from the lab's ssh: {done.stderr.decode(errors='replace').strip()}",
                _REMEDY,
            )
        return done

    def popen(self, argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start a command; it ends when the returned process ends."""
        self._open()
        return subprocess.Popen(
            self._command(ends_with_stdin(argv)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextlib.contextmanager
    def forwarded(self, port: int) -> Iterator[int]:
        """Forward a loopback port of this machine to a port of the guest; yield the former.

        Raises:
            TestbedError: The guest cannot be reached.
        """
        self._open()
        with socket.create_server(("127.0.0.1", 0)) as free:
            here: int = free.getsockname()[1]
        with self._forward("-L", f"127.0.0.1:{here}:127.0.0.1:{port}"):
            yield here

    @contextlib.contextmanager
    def exposed(self, port: int) -> Iterator[None]:
        """Forward a loopback port of the guest to the same one of this machine.

        Raises:
            TestbedError: The guest cannot be reached, or the port is taken there.
        """
        self._open()
        with self._forward("-R", f"127.0.0.1:{port}:127.0.0.1:{port}"):
            yield

    @contextlib.contextmanager
    def _forward(self, option: str, ports: str) -> Iterator[None]:
        if not self._control_command("forward", option, ports):
            raise TestbedError(f"the lab's ssh does not forward {option} {ports}", _REMEDY)
        try:
            yield
        finally:
            self._control_command("cancel", option, ports)

    def wait(self, timeout: float) -> None:
        """Wait until the guest accepts logins.

        Raises:
            TestbedError: It does not within ``timeout`` seconds.
        """
        for left in attempts(timeout, 0.5):
            try:
                self.run(("true",), timeout=max(5.0, left))
            except (TestbedError, subprocess.TimeoutExpired):
                if not left:
                    raise
                self.close()
            else:
                return

    def close(self) -> None:
        """Close the shared connection, if there is one."""
        if self._control.exists():
            self._control_command("exit")
            self._control.unlink(missing_ok=True)

    def command(self, argv: tuple[str, ...]) -> list[str]:
        """Return a command line that runs ``argv`` in the guest with the caller's own streams."""
        self._open()
        return self._command(shlex.join(argv))

    def interactive(self) -> list[str]:
        """Return a command line that opens a shell in the guest on the caller's terminal."""
        self._open()
        return [*self._base(), "-t", "lab"]

    def _open(self) -> None:
        if self._control.exists():
            return
        # The shared connection is a process of its own. Without these redirections it would
        # keep the pipes of the first command's caller open.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*self._base(), "-f", "-N", "-M", "lab"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=30,
                check=False,
            )

    def _control_command(self, word: str, *more: str) -> bool:
        """Send a command to the process of the shared connection; return whether it succeeded."""
        command = [*self._base(), "-O", word, *more, "lab"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, timeout=5, check=False)
            return done.returncode == 0
        return False

    def _command(self, text: str) -> list[str]:
        return [*self._base(), "lab", "--", text]

    def _base(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "ControlPath": str(self._control),
            "HostKeyAlias": "lab",
            "HostName": "127.0.0.1",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self._image.ssh_key),
            "LogLevel": "ERROR",
            "Port": str(self._port),
            # The guest may lose its power at any moment.
            "ServerAliveCountMax": "4",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "yes",
            "User": "root",
            "UserKnownHostsFile": str(self._image.known_hosts),
        }
        pairs = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        # -F none: the user's own ssh configuration does not apply.
        return [find_program("ssh"), "-F", "none", *pairs]
