"""Run ``evercan`` on this machine with the testbed's engine."""

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
"""Seconds; the helper container on the lab's host starts in 5 under emulation."""


class Diagnosis(NamedTuple):
    """The result of ``evercan doctor``.

    Attributes:
        status: the exit status.
        checks: the checks.
    """

    status: int
    checks: list[dict[str, Any]]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that fail."""
        return [check for check in self.checks if check["result"] == "fail"]

    @property
    def text(self) -> str:
        """The checks that fail or warn, in one text."""
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
            "COLUMNS": "120",  # the engine's names have up to 30 characters, which 80 may break
        }

    @staticmethod
    def line(*arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "evercan.cli", *arguments]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run it; return the exit status and the output."""
        ended = subprocess.run(
            self.line(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        output = ended.stdout + ended.stderr
        assert "Traceback" not in output, output
        return ended.returncode, output

    def doctor(self) -> Diagnosis:
        """Run ``evercan doctor``."""
        status, output = self.run("doctor", "--json")
        return Diagnosis(status, json.loads(output)["checks"])

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start it with its output in pipes; end it with the block."""
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
