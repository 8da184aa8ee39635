"""Prometheus and its promtool: those on the PATH, or Debian's, unpacked and not installed.

An installed package would start a service of its own on the developer's machine.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.common.cache import cache_dir
from tools.common.errors import BuildError
from tools.common.locks import locked

_METRIC = re.compile(r"\bevercan_[a-z0-9_]+")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``.

    Raises:
        BuildError: neither the PATH nor Debian has it.
    """
    return shutil.which(name) or str(_unpacked() / "usr/bin" / name)


def _unpacked() -> Path:
    target = cache_dir("debian") / "prometheus"
    with locked(target.with_suffix(".lock"), "unpacking Debian's prometheus"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            try:
                _run("apt-get", "download", "prometheus", cwd=scratch)
                [package] = Path(scratch).glob("*.deb")
                _run("dpkg-deb", "--extract", package.name, "content", cwd=scratch)
            except (OSError, subprocess.CalledProcessError) as error:
                raise BuildError(
                    f"no promtool on the PATH, and Debian's does not come: {error}",
                    "apt-get update; or put prometheus and promtool on the PATH",
                ) from error
            Path(scratch, "content").rename(target)
    return target


def _run(*argv: str, cwd: str) -> None:
    subprocess.run(argv, cwd=cwd, check=True, capture_output=True)


def promtool(*argv: str, stdin: bytes = b"") -> str:
    """Run promtool; return what it says if it is content, else fail with it."""
    command = [program("promtool"), *argv]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def metrics_of(expression: str) -> set[str]:
    """Name evercan's metrics in a query, as families: without what a histogram appends."""
    return {_SUFFIX.sub("", each) for each in _METRIC.findall(expression)}


class Prometheus:
    """A Prometheus that runs, and its API."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer; an error is one."""
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
        """Evaluate an expression that has one value, or none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """Name the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


@contextmanager
def running(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with a configuration, its data in a folder, on a loopback port."""
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
    """Learn the port from the log, and wait until it serves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        said = log.read_text(errors="replace")
        port = re.search(r"Listening on\W+\S*?127\.0\.0\.1:(\d+)", said)
        if port and "Server is ready" in said:
            return f"127.0.0.1:{port[1]}"
        time.sleep(0.1)
    raise AssertionError(f"Prometheus does not serve: {log.read_text(errors='replace')}")
