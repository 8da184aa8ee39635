"""Test how a command ends when its output cannot be written, or its environment is unusual."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest

from tests.support.evercan_host import Host
from tests.support.json_server import network_entry, plugin_entry
from tests.support.overviews import network_document, status_document

SOURCE = Path(__file__).parents[3] / "src"
EVERCAN = plugin_entry("evercan:latest")
POWERTRAIN = network_entry(
    network_document("powertrain", 1)["network"],
    "powertrain",
    {"dashboard": network_document("powertrain", 1)["endpoints"][0]["endpoint"]},
)


@pytest.fixture
def served(host: Host) -> Host:
    host.engine([POWERTRAIN], [EVERCAN])
    host.plugin(status_document(network_document("powertrain", 1)))
    return host


def line(host: Host, *arguments: str) -> list[str]:
    command, *rest = arguments
    folder = str(host.engine_socket.parent)
    return [sys.executable, "-m", "evercan.cli", command, "--sockets", folder, *rest]


def ran(
    host: Host, *arguments: str, out: int | IO[bytes] = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        line(host, *arguments),
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [("status",), ("doctor",), ("graph",)])
def test_a_closed_pipe_ends_the_command_without_a_message(
    served: Host, arguments: tuple[str, ...]
) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = ran(served, *arguments, out=write)
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [("status",), ("graph",), ("status", "--json")])
def test_a_full_disk_is_one_sentence(served: Host, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = ran(served, *arguments, out=full)
    error = ended.stderr.decode()
    assert (ended.returncode, error.count("\n")) == (2, 1)
    assert "No space left on device" in error


def test_a_terminal_without_the_signs_gets_the_words(served: Host) -> None:
    ended = ran(served, "status", PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"? healthy" in ended.stdout


@pytest.mark.parametrize("columns", ["abc", "0", "-5", ""])
def test_an_invalid_width_is_ignored(served: Host, columns: str) -> None:
    for arguments in (("status",), ("status", "--help")):
        ended = ran(served, *arguments, COLUMNS=columns)
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert len(ended.stdout.splitlines()) > 3


def test_an_engine_that_closes_the_connection_is_one_sentence(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(host.engine_socket))
        server.listen()

        def closing() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=closing, daemon=True)
        thread.start()
        for _ in range(5):
            ended = ran(host, "status")
            error = ended.stderr.decode()
            assert (ended.returncode, ended.stdout, error.count("\n")) == (2, b"", 1), error
            assert "closes the connection" in error or "Docker engine" in error
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)
