"""The plugin's process on the testbed's host: find it, kill it, read its pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from tools.common.polling import attempts

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
        """Set the testbed; the plugin may stop and start."""
        self._testbed = testbed

    def pid(self) -> int | None:
        """Return the process id on the host, or None if the plugin does not run."""
        found = self._testbed.host("pgrep", "-f", "^/usr/bin/python3 .*-m evercan", check=False)
        pids = found.stdout.split()
        return int(pids[0]) if pids else None

    def signal(self, name: str) -> None:
        """Send a signal, such as ``STOP`` or ``CONT``, to the plugin's process."""
        self._testbed.host("kill", f"-{name}", str(self.pid()))

    def kill(self) -> None:
        """Send SIGKILL and wait until the engine has started the plugin again.

        Raises:
            LabError: The engine does not start it.
        """
        before = self.pid()
        if before is not None:
            self._testbed.host("kill", "-KILL", str(before), check=False)
        for _ in attempts(60, 0.2):
            if self.pid() not in (None, before) and self._answers():
                return
        raise LabError("the engine did not start the plugin again", "read the engine's log")

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

    def _answers(self) -> bool:
        try:
            return self.ask("/health")[0] in (200, 503)
        except (LabError, ValueError):
            return False
