"""Runs commands in the guest over one kept connection.

A new ssh connection costs more than a second where every instruction is
translated; a session over a kept one costs a sixth of that.
"""

import contextlib
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.errors import TestbedError
from lab.image import Image
from lab.paths import tool
from lab.shell import leashed

_LOST: Final = 255
"""ssh's own exit status when the connection failed."""


class Ssh:
    """The way into one guest, as root."""

    def __init__(self, image: Image, port: int, control: Path) -> None:
        """Remember the way; nothing is opened yet.

        Args:
            image: The image that the guest was booted from.
            port: Loopback port that leads to the guest's ssh.
            control: Socket of the kept connection. May be shared by processes.
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
            TestbedError: The guest cannot be reached.
            subprocess.TimeoutExpired: It took longer than ``timeout`` seconds.
        """
        self._open()
        # Not None as input: ssh must not read what is meant for others.
        done = subprocess.run(
            self._command(shlex.join(argv)),
            input=stdin or b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode == _LOST:
            raise TestbedError(
                f"no answer from the lab's ssh: {done.stderr.decode(errors='replace').strip()}"
            )
        return done

    def popen(self, argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start a command; it ends when the returned process is ended."""
        self._open()
        return subprocess.Popen(
            self._command(leashed(argv)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextlib.contextmanager
    def forwarded(self, port: int) -> Iterator[int]:
        """Let a loopback port of this machine lead to one of the guest; yields the former.

        Raises:
            TestbedError: The guest cannot be reached.
        """
        self._open()
        with socket.create_server(("127.0.0.1", 0)) as free:
            here: int = free.getsockname()[1]
        way = f"127.0.0.1:{here}:127.0.0.1:{port}"
        if not self._control_command("forward", "-L", way):
            raise TestbedError(f"the lab's ssh does not forward to the guest's port {port}")
        try:
            yield here
        finally:
            self._control_command("cancel", "-L", way)

    def wait(self, timeout: float) -> None:
        """Wait until the guest lets us in.

        Raises:
            TestbedError: It does not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.run(("true",), timeout=max(5.0, deadline - time.monotonic()))
            except (TestbedError, subprocess.TimeoutExpired):
                if time.monotonic() > deadline:
                    raise
                self.close()
                time.sleep(0.5)
            else:
                return

    def close(self) -> None:
        """Give up the kept connection, if there is one."""
        if self._control.exists():
            self._control_command("exit")
            self._control.unlink(missing_ok=True)

    def command(self, argv: tuple[str, ...]) -> list[str]:
        """Command line that runs ``argv`` in the guest with the caller's own streams."""
        self._open()
        return self._command(shlex.join(argv))

    def interactive(self) -> list[str]:
        """Command line that opens a shell in the guest on the caller's terminal."""
        self._open()
        return [*self._base(), "-t", "lab"]

    def _open(self) -> None:
        if self._control.exists():
            return
        # The kept connection is a process of its own. Its output must lead
        # nowhere: it would hold open the pipes of the first command's caller.
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
        """Say something to the process of the kept connection; return whether it obeyed."""
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
            # The guest may lose power in the middle of a word.
            "ServerAliveCountMax": "4",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "yes",
            "User": "root",
            "UserKnownHostsFile": str(self._image.known_hosts),
        }
        pairs = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        # -F none: whatever the user's own ssh configuration says, not here.
        return [tool("ssh"), "-F", "none", *pairs]
