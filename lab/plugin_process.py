"""The plugin as a process of the testbed's host: find it, kill it, read what it says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.testbed import Testbed

NAME = "evercan:latest"

_ASK = """
import glob, http.client, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(glob.glob("/run/docker/plugins/*/evercan.sock")[0])
connection = Connection("plugin")
connection.request(sys.argv[1], sys.argv[2], sys.stdin.buffer.read() or None)
answer = connection.getresponse()
sys.stdout.write(str(answer.status) + "\\n")
sys.stdout.flush()
sys.stdout.buffer.write(answer.read())
"""


class PluginProcess:
    """The running plugin on one testbed."""

    def __init__(self, testbed: Testbed) -> None:
        """Take the testbed; the plugin may come and go."""
        self._testbed = testbed

    def pid(self) -> int | None:
        """Return the process id on the host, None when it does not run."""
        found = self._testbed.host("pgrep", "-f", "^/usr/bin/python3 .*-m evercan", check=False)
        pids = found.stdout.split()
        return int(pids[0]) if pids else None

    def kill(self) -> None:
        """Send SIGKILL, and wait until the engine has started another.

        Raises:
            LabError: the engine does not.
        """
        before = self.pid()
        if before is not None:
            self._testbed.host("kill", "-KILL", str(before), check=False)
        deadline = time.monotonic() + 60
        while self.pid() in (None, before) or self._is_mute():
            if time.monotonic() > deadline:
                raise LabError("the engine did not start the plugin again", "see its log")
            time.sleep(0.2)

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Send a GET, or with a body a POST, to the plugin's socket; return status and JSON."""
        method = "GET" if body is None else "POST"
        answer = self._testbed.host("python3", "-c", _ASK, method, path, stdin=body or b"")
        status, _, text = answer.stdout.partition(b"\n")
        return int(status), json.loads(text)

    def read(self, path: str) -> str:
        """Send a GET to the plugin's socket; return the text of its answer."""
        answer = self._testbed.host("python3", "-c", _ASK, "GET", path)
        return answer.stdout.partition(b"\n")[2].decode()

    def _is_mute(self) -> bool:
        try:
            return self.ask("/health")[0] not in (200, 503)
        except (LabError, ValueError):
            return True
