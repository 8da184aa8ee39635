"""Programs of the testbed's host, as commands of a shell on this machine.

A folder for the front of ``PATH`` has a stand-in for each; it hands its words and its
standard input over a socket to this process, which runs the program on the host.
"""

from __future__ import annotations

import base64
import json
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.testbed import Testbed

PROGRAMS = (
    *("docker", "ip", "cangw", "candump", "cansend", "canplayer", "log2asc"),
    *("modprobe", "tee", "journalctl", "systemctl", "curl"),
)
"""What runs on the host."""

_PATIENCE = 120
"""Seconds for one program; a container start under emulation takes 7."""

_STAND_IN = """#!{python} -ISE
import base64, json, os, socket, sys
me = os.path.basename(sys.argv[0])
words = sys.argv[1:] if me == "sudo" else [me, *sys.argv[1:]]
if me == "sudo" and os.path.basename(words[0]) in ("evercan", "python"):
    os.execvp(words[0], words)
stdin = base64.b64encode(b"" if sys.stdin.isatty() else sys.stdin.buffer.read()).decode()
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
with connection, connection.makefile("rwb") as stream:
    stream.write(json.dumps([words, stdin]).encode() + b"\\n")
    stream.flush()
    status, out, err = json.loads(stream.readline())
sys.stdout.buffer.write(base64.b64decode(out))
sys.stderr.buffer.write(base64.b64decode(err))
sys.stdout.flush()
sys.exit(status)
"""

_CURL = """
import http.client, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
connection = Connection("x")
connection.request("GET", sys.argv[2])
sys.stdout.buffer.write(connection.getresponse().read())
"""
"""What asks a socket on a host that has no curl, as the lab's has none."""


@contextmanager
def host_programs(testbed: Testbed, folder: Path) -> Iterator[Path]:
    """Yield a folder for the front of ``PATH``, whose programs run on the testbed's host.

    Args:
        testbed: where they run.
        folder: an empty one, for them and the socket.
    """
    address = folder / "socket"
    text = _STAND_IN.format(python=sys.executable, address=str(address))
    programs = folder / "bin"
    programs.mkdir()
    for name in (*PROGRAMS, "sudo"):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    # `make` makes no environment: the one that tests run in is used as it is.
    (programs / "make").write_text(f'#!/bin/sh\nexec {shutil.which("make")} -o .venv "$@"\n')
    (programs / "evercan").write_text(f'#!/bin/sh\nexec {sys.executable} -m evercan.cli "$@"\n')
    for name in ("make", "evercan"):
        (programs / name).chmod(0o755)
    with _Server(str(address), testbed) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield programs
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    """Runs what stand-ins ask for."""

    daemon_threads = True

    def __init__(self, address: str, testbed: Testbed) -> None:
        self.testbed = testbed
        self.has_curl = testbed.host("which", "curl", check=False).returncode == 0
        super().__init__(address, _Handler)

    def run(self, words: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        if words[0] == "curl" and not self.has_curl:
            socket, url = words[-2:]
            path = "/" + url.split("//")[1].partition("/")[2]
            words = ["python3", "-c", _CURL, socket, path]
        ran = self.testbed.host(*words, stdin=stdin, check=False, timeout=_PATIENCE)
        if words == ["cangw", "-L"]:
            ran.returncode = 0  # its status is the length of the kernel's last message
        return ran


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        words, stdin = json.loads(self.rfile.readline())
        try:
            ran = self.server.run(words, base64.b64decode(stdin))
            status, out, err = ran.returncode, ran.stdout, ran.stderr
        except (LabError, subprocess.TimeoutExpired) as error:
            status, out, err = 255, b"", f"{error}\n".encode()
        answer = [status, base64.b64encode(out).decode(), base64.b64encode(err).decode()]
        self.wfile.write(json.dumps(answer).encode() + b"\n")
