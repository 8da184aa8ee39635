"""Programs of the testbed's host, as commands of a shell on this machine.

`host_programs` makes a folder for the front of ``PATH``. It has one script for each program. The
script sends its arguments and its standard input over a socket to this process, which runs the
program on the host. ``make``, Python and ``evercan`` are not among them: they are this machine's.
"""

from __future__ import annotations

import base64
import json
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

_TIMEOUT = 120
"""Seconds for one program; a container start under emulation takes 7."""

_SCRIPT = """#!{python} -ISE
import base64, json, os, socket, sys
name = os.path.basename(sys.argv[0])
words = sys.argv[1:] if name == "sudo" else [name, *sys.argv[1:]]
if name == "sudo":
    if "/" in words[0]:
        # A program of the checkout runs here.
        os.execv(words[0], words)
    if words[0] not in {programs!r}:
        # sudo has a PATH of its own, without the checkout's .venv/bin.
        sys.exit("sudo: " + words[0] + ": command not found")
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
"""Replaces curl on a host without it, such as the lab's."""


@contextmanager
def host_programs(testbed: Testbed, folder: Path) -> Iterator[Path]:
    """Yield a folder for the front of ``PATH``, whose programs run on the testbed's host.

    Args:
        testbed: where they run.
        folder: an empty folder, for the scripts and the socket.
    """
    address = folder / "socket"
    text = _SCRIPT.format(python=sys.executable, address=str(address), programs=PROGRAMS)
    scripts = folder / "bin"
    scripts.mkdir()
    for name in (*PROGRAMS, "sudo"):
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    with _Server(str(address), testbed) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield scripts
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    """Run what the scripts ask for."""

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
        ran = self.testbed.host(*words, stdin=stdin, check=False, timeout=_TIMEOUT)
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
