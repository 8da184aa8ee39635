"""Call the plugin's own socket: JSON over HTTP, on whichever host it is."""

from __future__ import annotations

import http.client
import io
import json
from typing import Any

from evercan.cli.access.engine import SOCKET
from evercan.cli.access.helper import SOCKETS
from evercan.cli.access.host import HostAccess
from evercan.cli.errors import CliError, NoAnswer
from evercan.cli.views.docker import DockerPlugin

_REJECTED, _NOT_FOUND = 400, 404
_SEE_LOG = "see the engine's log (journalctl -u docker)"


class PluginSocket:
    """A plugin's socket."""

    def __init__(self, plugin: DockerPlugin, host: HostAccess, folder: str = SOCKETS) -> None:
        """Take the plugin, the access to its host, and the folder of the plugins' sockets."""
        self.plugin = plugin
        self._host = host
        self._path = f"{folder}/{plugin.id}/{SOCKET}"

    def get(self, page: str) -> dict[str, Any]:
        """Read ``/status`` or another page, also if it reports bad health.

        Raises:
            NoAnswer: the plugin does not answer.
            CliError: it cannot be reached, or its answer is not valid.
        """
        status, answer = self._ask("GET", page, b"")
        if status not in (200, 503) or not isinstance(answer, dict):
            raise self._rejection(status, answer)
        return answer

    def post(self, page: str, document: object) -> dict[str, Any]:
        """Post a document; return the answer.

        Raises:
            NoAnswer: the plugin does not answer.
            CliError: it cannot be reached, or it rejects the request.
        """
        status, answer = self._ask("POST", page, json.dumps(document).encode())
        if status != 200 or not isinstance(answer, dict):
            raise self._rejection(status, answer)
        return answer

    def _rejection(self, status: int, answer: Any) -> CliError:
        if status == _NOT_FOUND:
            return CliError(f"plugin {self.plugin.name} is older than this command", "upgrade it")
        reason = answer.get("Err") if isinstance(answer, dict) else answer
        if status == _REJECTED and reason:
            return CliError(str(reason))  # it has the remedy
        return CliError(
            f"plugin {self.plugin.name} rejects the request: {reason or f'HTTP status {status}'}",
            _SEE_LOG,
        )

    def _ask(self, method: str, page: str, body: bytes) -> tuple[int, Any]:
        head = f"{method} {page} HTTP/1.1\r\nHost: evercan\r\nConnection: close\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        try:
            raw = self._host.exchange(self._path, f"{head}\r\n".encode() + body)
            return _parse(raw)
        except NoAnswer as error:
            name = self.plugin.name
            raise NoAnswer(
                f"plugin {name} is enabled and does not answer ({error})",
                f"{_SEE_LOG}, and restart it: docker plugin disable -f {name} && docker plugin "
                f"enable {name}",
            ) from error
        except (http.client.HTTPException, ValueError) as error:
            raise CliError(
                f"plugin {self.plugin.name} gives an answer that is not valid ({error})",
                f"upgrade it, or {_SEE_LOG}",
            ) from error


class _Bytes:
    """Bytes that ``http.client`` reads like a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(raw: bytes) -> tuple[int, Any]:
    """Parse an HTTP answer whose body is JSON.

    Raises:
        http.client.HTTPException, ValueError: it is not valid.
    """
    answer = http.client.HTTPResponse(_Bytes(raw))  # type: ignore[arg-type] # has the method that is used
    answer.begin()
    return answer.status, json.loads(answer.read() or b"null")
