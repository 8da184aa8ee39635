"""Run Prometheus and promtool: those on the PATH, or those of Debian's package.

An installed package would start a service on the developer's machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import debian_package

_METRIC = re.compile(r"\bevercan_[a-z0-9_]+")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``.

    Raises:
        BuildError: it is not on the PATH, and the package cannot be downloaded.
    """
    return debian_package.program(name, "prometheus")


def promtool(*argv: str, stdin: bytes = b"") -> str:
    """Run promtool and return its output; fail with that output if its exit status is not 0."""
    command = [program("promtool"), *argv]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def metrics_of(expression: str) -> set[str]:
    """Return evercan's metrics in a query, without the suffixes of histograms."""
    return {_SUFFIX.sub("", name) for name in _METRIC.findall(expression)}


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer; fail if Prometheus answers with an error."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}?{query}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Evaluate an expression and return its value, None if it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@contextmanager
def running(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus on a free loopback port, with its data in a folder."""
    log = folder / "prometheus.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=stream,
            stderr=stream,
        )
        try:
            yield Prometheus(_address(process, log))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until Prometheus is ready, and read its port from the log."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        lines = log.read_text(errors="replace")
        port = re.search(r"Listening on\W+\S*?127\.0\.0\.1:(\d+)", lines)
        if port and "Server is ready" in lines:
            return f"127.0.0.1:{port[1]}"
        time.sleep(0.1)
    raise AssertionError(f"Prometheus is not ready: {log.read_text(errors='replace')}")
