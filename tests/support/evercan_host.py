"""The command on a host whose engine and plugins answer what they are told to."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evercan.cli import main
from tests.support.json_server import Asked, engine_answers, serving


@dataclass
class Ended:
    """How the command ended."""

    status: int
    out: str
    err: str


class Host:
    """A host, its engine on a socket of its own, its plugins' sockets in a folder."""

    def __init__(self, folder: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._stack, self._capsys = folder, stack, capsys
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
        socket = self._folder / folder / "evercan.sock"
        return self._stack.enter_context(serving(socket, {page: (status, answer)}))[0]

    def run(self, *arguments: str) -> Ended:
        command, *rest = arguments
        return self.run_elsewhere(command, "--sockets", str(self._folder), *rest)

    def run_elsewhere(self, *arguments: str) -> Ended:
        """Run it where the plugins' sockets are not at hand."""
        status = main(arguments)
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ended(status, shown.out, shown.err)
