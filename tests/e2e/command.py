"""``evercan`` as a person on this machine would run it against the testbed's engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import evercan

if TYPE_CHECKING:
    from lab.testbed import Testbed

_PATIENCE = 90
"""Seconds; the container that leads to the lab's host starts in 5 under emulation."""


class Diagnosis(NamedTuple):
    """What the doctor said.

    Attributes:
        status: its exit status.
        checks: what was looked at.
    """

    status: int
    checks: list[dict[str, Any]]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that fail."""
        return [check for check in self.checks if check["result"] == "fail"]

    @property
    def text(self) -> str:
        """All that is not well, in one text."""
        return "\n".join(
            f"{check['id']} {check['title']}: {check['text']} -> {check['remedy']}"
            for check in self.checks
            if check["result"] in ("fail", "warn")
        )


class Command:
    """The command, with DOCKER_HOST for the testbed."""

    def __init__(self, testbed: Testbed) -> None:
        self.environment = {
            **os.environ,
            "DOCKER_HOST": testbed.docker_host,
            "PYTHONPATH": str(Path(evercan.__file__).parents[1]),
            "COLUMNS": "120",  # the engine gives names of up to 30 letters, which 80 may break
        }

    @staticmethod
    def line(*arguments: str) -> list[str]:
        """Return the words that run it."""
        return [sys.executable, "-m", "evercan.cli", *arguments]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run it; return the exit status and what it said."""
        ended = subprocess.run(
            self.line(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        told = ended.stdout + ended.stderr
        assert "Traceback" not in told, told
        return ended.returncode, told

    def doctor(self) -> Diagnosis:
        """Ask the doctor."""
        status, told = self.run("doctor", "--json")
        return Diagnosis(status, json.loads(told)["checks"])

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start it; its output comes through pipes, and it ends with the block at the latest."""
        with subprocess.Popen(
            self.line(*arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
