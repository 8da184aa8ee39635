"""The command on a host whose engine and plugins answer what they are told to."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import evercan
from evercan.cli import main
from tests.support.json_server import Asked, engine_answers, serving


@dataclass
class Ended:
    """How the command ended."""

    status: int
    out: str
    err: str


_TERMINAL_PATIENCE = 30.0
"""Seconds that a command on a terminal has to start, and to show what is waited for."""


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, command: subprocess.Popen[bytes], screen: int) -> None:
        self._command, self._screen = command, screen
        self._shown = b""

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def send(self, number: int) -> None:
        self._command.send_signal(number)

    def wait_for(self, text: str) -> None:
        """Read on until a text comes; what has been read is gone."""
        deadline = time.monotonic() + _TERMINAL_PATIENCE
        while text.encode() not in self._shown:
            assert time.monotonic() < deadline, self._shown.decode(errors="replace")
            self._read()
        self._shown = b""

    def ends(self) -> int:
        """Return the exit status."""
        deadline = time.monotonic() + _TERMINAL_PATIENCE
        while (status := self._command.poll()) is None:
            assert time.monotonic() < deadline, self._shown.decode(errors="replace")
            self._read()  # who writes to a terminal that nobody reads is held up
        return status

    def _read(self) -> None:
        if select.select([self._screen], [], [], 0.02)[0]:
            self._shown += os.read(self._screen, 65536)


class Host:
    """A host, its engine on a socket of its own, its plugins' sockets in a folder."""

    def __init__(self, folder: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._stack, self._capsys = folder, stack, capsys
        self.engine_socket = folder / "docker.sock"

    def engine(self, *arguments: Any) -> Asked:
        return self.engine_that(engine_answers(*arguments))

    def engine_that(self, answers: Any) -> Asked:
        return self._stack.enter_context(serving(self.engine_socket, answers))[0]

    def engine_on_tcp(self, *arguments: Any) -> int:
        return self._stack.enter_context(serving(None, engine_answers(*arguments)))[1]

    def engine_on_tcp_that(self, answers: Any) -> int:
        return self._stack.enter_context(serving(None, answers))[1]

    def plugin(
        self, answer: Any, *, status: int = 200, page: str = "/status", folder: str = "evercan"
    ) -> Asked:
        socket = self.folder / folder / "evercan.sock"
        return self._stack.enter_context(serving(socket, {page: (status, answer)}))[0]

    def run(self, *arguments: str) -> Ended:
        command, *rest = arguments
        return self.run_elsewhere(command, "--sockets", str(self.folder), *rest)

    def run_elsewhere(self, *arguments: str) -> Ended:
        """Run it where the plugins' sockets are not at hand."""
        status = main(arguments)
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ended(status, shown.out, shown.err)

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Terminal]:
        """Run the command on a terminal of 80 columns."""
        command, *rest = arguments
        screen, tty = pty.openpty()
        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        words = [command, "--sockets", str(self.folder), *rest]
        code = "import sys; from evercan.cli import main; sys.exit(main())"
        running = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=tty,
            stdout=tty,
            stderr=tty,
            env={
                **{key: os.environ[key] for key in os.environ if key not in ("COLUMNS", "LINES")},
                "PYTHONPATH": str(Path(evercan.__file__).parents[1]),
                "TERM": "xterm-256color",
            },
            start_new_session=True,
        )
        try:
            yield Terminal(running, screen)
        finally:
            running.kill()
            running.wait()
            os.close(tty)
            os.close(screen)
